/** Which sockets links run over, and what the ends of one do that are no host of this project. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { assert, defined } from '../../../common/assert.ts';
import { wallScheduler } from '../../../common/scheduler.ts';
import { FRAME_HEADER_BYTES, LINK_MTU_BYTES } from '../../../node/transport/frame.ts';
import { encodeFrameHeader } from '../../../node/transport/frame-codec.ts';
import type { Transport } from '../../../node/transport/transport.ts';
import { unixSocketPath } from '../../../node/transport/unix-socket-path.ts';
import {
  createWebSocketTransport,
  type WebSocketTransportInit,
} from '../../../node/transport/websocket-transport.ts';
import { frame, pattern, RecordingSink, until } from '../../conformance/recording-sink.ts';
import { dialAs, handshakeHeaders, rawLink } from './raw-dialler.ts';
import { settleOnWallClock } from './wall-clock.ts';

const NOWHERE = { host: '127.0.0.1', port: 1 };

const wait = (condition: () => boolean) => settleOnWallClock(until(wallScheduler, condition));
const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await settleOnWallClock(close());
});

async function host(nodeId: string, init: Partial<WebSocketTransportInit> = {}) {
  const transport = await createWebSocketTransport({
    nodeId,
    bind: { host: '127.0.0.1', port: 0 },
    scheduler: wallScheduler,
    token: 'secret',
    ...init,
  });
  closers.push(() => transport.close());
  const sink = new RecordingSink();
  transport.attach(sink);
  return { transport, sink };
}

type Host = Awaited<ReturnType<typeof host>>;

async function link(a: Host, b: Host): Promise<void> {
  const peer = ({ nodeId, address }: Transport) => ({ nodeId, address });
  a.transport.connect(peer(b.transport));
  b.transport.connect(peer(a.transport));
  await wait(() => a.sink.count('linkUp') === 1 && b.sink.count('linkUp') === 1);
}

describe('the sockets of a link', () => {
  it.each([
    ['tcp', 'tcp', 'tcp', 'tcp'],
    ['unix', 'unix', 'unix', 'unix'],
    ['auto', 'auto', 'unix', 'unix'],
    // Who dials decides; the link a -> b is dialled by b.
    ['auto', 'tcp', 'tcp', 'tcp'],
  ] as const)('of hosts with %s and %s are %s and %s', async (left, right, out, back) => {
    const a = await host('kinds-a', { links: left });
    const b = await host('kinds-b', { links: right });
    expect(a.transport.linkKind('kinds-b')).toBeUndefined();
    await link(a, b);
    expect(a.transport.linkKind('kinds-b')).toBe(out);
    expect(b.transport.linkKind('kinds-a')).toBe(back);
    a.transport.send('kinds-b', frame({ payloadLength: 100_000 }), [pattern(100_000)]);
    b.transport.send('kinds-a', frame({ payloadLength: 100_000 }), [pattern(100_000, 2)]);
    await wait(() => a.sink.psns.length === 1 && b.sink.psns.length === 1);
    expect(b.sink.memory.subarray(0, 100_000)).toEqual(pattern(100_000));
    expect(a.sink.memory.subarray(0, 100_000)).toEqual(pattern(100_000, 2));
    a.transport.disconnect('kinds-b');
    expect(a.transport.linkKind('kinds-b')).toBeUndefined();
  });

  it('of a host to itself are memory', async () => {
    const a = await host('kinds-a');
    a.transport.connect({ nodeId: 'kinds-a', address: a.transport.address });
    expect(a.transport.linkKind('kinds-a')).toBe('memory');
  });

  it('have the same token, names and versions to pass on a Unix socket', async () => {
    const a = await host('kinds-a', { links: 'unix', token: 'other' });
    const b = await host('kinds-b', { links: 'unix' });
    b.transport.connect({ nodeId: 'kinds-a', address: a.transport.address });
    await wait(() => b.sink.count('linkLost') === 1);
    expect(b.sink.events[0]).toContain('refused the dial (HTTP 401)');
    await wait(() => a.sink.count('protocolError') === 1);
    expect(a.sink.events[0]).toContain('Refused a dial from this machine (HTTP 401)');
  });

  it('on Unix leave nothing behind when their host is closed', async () => {
    const a = await host('kinds-a', { links: 'unix' });
    const path = unixSocketPath('kinds-a', a.transport.address);
    const probe = connect(path);
    await once(probe, 'connect');
    probe.destroy();
    await settleOnWallClock(a.transport.close());
    const refused = connect(path);
    const [error] = await once(refused, 'error');
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('have to be Unix sockets if that was asked for: a taken name is an error, with auto it is TCP', async () => {
    const free = createServer();
    free.listen(0, '127.0.0.1');
    await once(free, 'listening');
    const address = free.address();
    assert(typeof address === 'object' && address !== null, 'Expected a TCP address');
    const { port } = address;
    await new Promise((resolve) => free.close(resolve));
    const squatter = createServer((socket) => socket.destroy());
    squatter.listen(unixSocketPath('kinds-a', { port }));
    await once(squatter, 'listening');
    closers.push(() => new Promise((resolve) => squatter.close(resolve)));
    const bind = { host: '127.0.0.1', port };
    await expect(host('kinds-a', { bind, links: 'unix' })).rejects.toMatchObject({
      code: 'HLSIM_CONFIG',
    });
    const a = await host('kinds-a', { bind, links: 'auto' });
    expect(a.transport.address.port).toBe(port);
  });
});

describe('a plain WebSocket client at a link', () => {
  async function dialled() {
    const a = await host('a');
    a.transport.connect({ nodeId: 'reader', address: NOWHERE });
    return a;
  }

  it('has its pings answered, its random masks taken off, its close answered with its code', async () => {
    const { transport, sink } = await dialled();
    const client = await dialAs(transport.address, handshakeHeaders());
    await wait(() => sink.count('linkUp reader') === 1);
    client.ping('are you there');
    const [pong] = await settleOnWallClock(once(client, 'pong'));
    expect(String(pong)).toBe('are you there');
    for (let psn = 0; psn < 20; psn++) {
      const bytes = Buffer.alloc(FRAME_HEADER_BYTES);
      encodeFrameHeader(frame({ type: 'ACK', psn }), 1, bytes);
      client.send(bytes.subarray(0, psn), { fin: false });
      client.send(bytes.subarray(psn), { fin: true });
    }
    await wait(() => sink.psns.length === 20);
    expect(sink.psns).toEqual(Array.from({ length: 20 }, (_, psn) => psn));
    client.close(4999, 'for a test');
    const [code] = await settleOnWallClock(once(client, 'close'));
    expect(code).toBe(4999);
    await wait(() => sink.count('linkDown reader') === 1);
  });

  it('may send its bytes one by one', async () => {
    const { transport, sink } = await dialled();
    const socket = await rawLink(transport.address, handshakeHeaders());
    await wait(() => sink.count('linkUp reader') === 1);
    const mask = [0x12, 0x34, 0x56, 0x78];
    const payload = Buffer.alloc(FRAME_HEADER_BYTES);
    encodeFrameHeader(frame({ type: 'ACK', psn: 99 }), 1, payload);
    const masked = payload.map((byte, index) => byte ^ defined(mask[index % 4], 'a byte'));
    for (const byte of [0x82, 0x80 | 64, ...mask, ...masked]) {
      await new Promise((resolve) => socket.write(Buffer.from([byte]), resolve));
    }
    await wait(() => sink.psns.includes(99));
    socket.destroy();
  });

  it('that stops reading gets a bounded queue, and everything once it reads again', async () => {
    const { transport, sink } = await dialled();
    const client = await dialAs(transport.address, handshakeHeaders());
    let received = 0;
    client.on('message', () => received++);
    client.pause();
    await wait(() => sink.count('linkUp reader') === 1);
    const payload = pattern(100_000);
    let sent = 0;
    const fill = () => {
      while (
        sent < 5_000 &&
        transport.send('reader', frame({ psn: sent, payloadLength: 100_000 }), [payload]) ===
          'queued'
      ) {
        sent++;
      }
      return sent;
    };
    // The kernel takes some megabytes, the queue 4 MiB; then nothing more, however often it is asked.
    let before = -1;
    await wait(() => {
      const isStill = before === sent;
      before = fill();
      return isStill;
    });
    expect(sent).toBeLessThan(1_000);
    expect(transport.isQuiet('reader')).toBe(false);
    client.resume();
    await wait(() => received === sent && sink.count('writable reader') > 0);
    expect(transport.isQuiet('reader')).toBe(true);
    client.terminate();
  });
});

describe('a plain WebSocket server that is dialled', () => {
  async function served(attack: (socket: WebSocket) => void): Promise<{ port: number }> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
    await once(server, 'listening');
    closers.push(() => {
      for (const client of server.clients) client.terminate();
      return new Promise((resolve) => server.close(resolve));
    });
    server.on('connection', (socket) => {
      socket.on('error', () => undefined);
      attack(socket);
    });
    return defined(server.address(), 'an address') as { port: number };
  }

  function message(payload: Uint8Array): Buffer {
    const bytes = Buffer.alloc(FRAME_HEADER_BYTES + payload.byteLength);
    encodeFrameHeader(frame({ payloadLength: payload.byteLength }), 1, bytes);
    bytes.set(payload, FRAME_HEADER_BYTES);
    return bytes;
  }

  it('may send whole messages and fragments, pings between them, and gets replies and pongs', async () => {
    const payload = pattern(LINK_MTU_BYTES);
    const replies: Buffer[] = [];
    let pongs = 0;
    const { port } = await served((socket) => {
      socket.on('message', (data) => replies.push(data as Buffer));
      socket.on('pong', () => pongs++);
      const bytes = message(payload);
      socket.send(bytes);
      socket.send(bytes.subarray(0, 40), { fin: false });
      socket.ping('one');
      socket.send(bytes.subarray(40, 100_000), { fin: false });
      socket.ping('two');
      socket.send(bytes.subarray(100_000), { fin: true });
    });
    const { transport, sink } = await host('a');
    transport.connect({ nodeId: 'server', address: { host: '127.0.0.1', port } });
    await wait(() => sink.landedHeaders.length === 2 && pongs === 2);
    expect(Buffer.compare(sink.memory.subarray(0, LINK_MTU_BYTES), payload)).toBe(0);
    transport.reply('server', frame({ type: 'ACK', psn: 5 }));
    await wait(() => replies.length === 1);
    expect(defined(replies[0], 'a reply').byteLength).toBe(FRAME_HEADER_BYTES);
  });

  /** A server that sends half of a large WRITE on every connection. */
  async function stopping() {
    const open: Socket[] = [];
    const { port } = await served((socket) => {
      const { _socket: raw } = socket as unknown as { _socket: Socket };
      open.push(raw);
      const bytes = message(pattern(200_000));
      // The head of a WebSocket frame, and half of its payload.
      const head = Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 0, 0, 0]);
      head.writeUInt32BE(bytes.byteLength, 6);
      raw.write(Buffer.concat([head, bytes.subarray(0, 100_000)]));
    });
    const { transport, sink } = await host('a');
    transport.connect({ nodeId: 'server', address: { host: '127.0.0.1', port } });
    await wait(() => !transport.isQuiet('server'));
    await wait(() => sink.memory[90_000] !== 0);
    expect(sink.landedHeaders).toEqual([]);
    return { transport, sink, open };
  }

  it('that is in mid-payload at a disconnect stores nothing more, whatever it sends', async () => {
    const { transport, sink, open } = await stopping();
    const socket = defined(open[0], 'a connection');
    transport.disconnect('server');
    sink.memory.fill(0);
    socket.write(Buffer.alloc(100_000, 0xee));
    await wait(() => socket.closed);
    expect(sink.memory.every((byte) => byte === 0)).toBe(true);
    expect(sink.landedHeaders).toEqual([]);
  });

  it('that stops in mid-payload holds memory until it is wanted back, then loses the connection', async () => {
    const { transport, sink, open } = await stopping();
    sink.refuses = () => true;
    await settleOnWallClock(transport.quiesce('server', 30));
    // It is another's now.
    sink.memory.fill(0);
    expect(transport.isQuiet('server')).toBe(true);
    await wait(() => open.length > 1);
    transport.disconnect('server');
    expect(sink.landedHeaders).toEqual([]);
    expect(sink.memory.every((byte) => byte === 0)).toBe(true);
  });

  it.each([
    ['another accept value', 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo='],
    ['no accept value', 'X-Nothing: 1'],
  ])('that answers the handshake with %s is not taken for one', async (_what, line) => {
    let dials = 0;
    const server = createServer((socket) => {
      dials++;
      socket.resume();
      socket.on('error', () => undefined);
      // It stays open: the dialler is the one who ends it.
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${line}\r\n\r\n`,
      );
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(() => new Promise((resolve) => server.close(resolve)));
    const address = server.address();
    assert(typeof address === 'object' && address !== null, 'Expected a TCP address');
    const { transport, sink } = await host('a');
    transport.connect({ nodeId: 'b', address: { host: '127.0.0.1', port: address.port } });
    await wait(() => dials > 2);
    expect(transport.reply('b', frame({ type: 'ACK' }))).toBe('down');
    transport.disconnect('b');
    expect(sink.events).toEqual([]);
  });
});
