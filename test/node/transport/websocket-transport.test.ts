import { connect as connectTcp } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { defined } from '../../../common/assert.ts';
import { delay, wallScheduler } from '../../../common/scheduler.ts';
import { FRAME_HEADER_BYTES, FRAME_VERSION } from '../../../node/transport/frame.ts';
import { decodeFrameHeader } from '../../../node/transport/frame-codec.ts';
import type { Transport } from '../../../node/transport/transport.ts';
import {
  createWebSocketTransport,
  type WebSocketTransportInit,
} from '../../../node/transport/websocket-transport.ts';
import { frame, pattern, RecordingSink, until } from '../../conformance/recording-sink.ts';
import { describeTransport } from '../../conformance/transport.ts';
import { BreakableCable } from './breakable-cable.ts';
import { dialAs, handshakeHeaders, refusalOf } from './raw-dialler.ts';
import { settleOnWallClock } from './wall-clock.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };

function transportOf(nodeId: string, init: Partial<WebSocketTransportInit> = {}) {
  return createWebSocketTransport({
    nodeId,
    bind: LOOPBACK,
    scheduler: wallScheduler,
    token: 'secret',
    ...init,
  });
}

/** Sockets and servers of this process. */
function socketResources(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((name) => /^(?:TCP|Pipe(?:Server|Connect))/.test(name));
}

describe.each(['tcp', 'unix'] as const)('over %s', (links) => {
  describeTransport(`ws over ${links}`, async (init) => {
    const before = socketResources();
    const [a, b] = [
      await transportOf('a', { ...init, links }),
      await transportOf('b', { ...init, links }),
    ];
    const cables = new Map<Transport, BreakableCable>();
    const addresses = new Map<Transport, { host: string; port: number }>();
    for (const transport of [a, b]) {
      const cable = new BreakableCable(transport.address, transport.nodeId);
      cables.set(transport, cable);
      addresses.set(transport, await cable.plugIn(links));
    }
    return {
      scheduler: wallScheduler,
      a,
      b,
      settle: settleOnWallClock,
      connect: (from, to) =>
        from.connect({ nodeId: to.nodeId, address: defined(addresses.get(to), 'an address') }),
      interrupt: () => {
        for (const cable of cables.values()) cable.cut();
      },
      separate: () => {
        for (const cable of cables.values()) cable.pull();
      },
      close: async () => {
        await settleOnWallClock(Promise.all([a.close(), b.close()]));
        for (const cable of cables.values()) await cable.close();
        await settleOnWallClock(
          until(wallScheduler, () => socketResources().length <= before.length),
        );
      },
    };
  });
});

describe('provider ws', () => {
  const open: Transport[] = [];
  const wait = (condition: () => boolean) => settleOnWallClock(until(wallScheduler, condition));

  afterEach(async () => {
    await settleOnWallClock(Promise.all(open.splice(0).map((transport) => transport.close())));
  });

  async function host(nodeId: string, init: Partial<WebSocketTransportInit> = {}) {
    const transport = await transportOf(nodeId, init);
    open.push(transport);
    const sink = new RecordingSink();
    transport.attach(sink);
    return { transport, sink };
  }

  it('lets a plain ws client read a link: header, payload, several fragments', async () => {
    const { transport, sink } = await host('a');
    const client = await dialAs(transport.address, handshakeHeaders({ incarnation: '41' }));
    const messages: Buffer[] = [];
    client.on('message', (data) => messages.push(data as Buffer));
    transport.connect({ nodeId: 'reader', address: { host: '127.0.0.1', port: 1 } });
    await wait(() => sink.count('linkUp reader') === 1);
    const payload = pattern(100_000);
    const small = frame({ psn: 1, payloadLength: 9, remoteAddress: 2 ** 53 - 1024 });
    const large = frame({ type: 'SEND', psn: 2, payloadLength: 100_000 });
    transport.send('reader', small, [payload.subarray(0, 9)]);
    transport.send('reader', large, [payload.subarray(0, 1), payload.subarray(1)]);
    await wait(() => messages.length === 2);
    for (const [index, header] of [small, large].entries()) {
      const message = defined(messages[index], 'a message');
      const decoded = decodeFrameHeader(message, message.byteLength);
      expect(decoded).toEqual({ ok: header, incarnation: 41 });
      const body = new Uint8Array(message.subarray(FRAME_HEADER_BYTES));
      expect(body).toEqual(new Uint8Array(payload.subarray(0, header.payloadLength)));
    }
    client.terminate();
  });

  it('sends payload views over shared memory without a copy: later changes can show', async () => {
    const { transport, sink } = await host('a', { highWaterBytes: 64 * 1024 * 1024 });
    const client = await dialAs(transport.address, handshakeHeaders());
    let last: Buffer | undefined;
    let received = 0;
    transport.connect({ nodeId: 'reader', address: { host: '127.0.0.1', port: 1 } });
    await wait(() => sink.count('linkUp reader') === 1);
    client.pause();
    client.on('message', (data) => {
      last = data as Buffer;
      received++;
    });
    // More than any kernel buffers, so that the last frame still waits when its source changes.
    const payload = pattern(256 * 1024);
    for (let psn = 0; psn < 128; psn++) {
      transport.send('reader', frame({ psn, payloadLength: payload.byteLength }), [payload]);
    }
    payload.fill(0xee);
    client.resume();
    await wait(() => received === 128);
    expect(
      defined(last, 'a message')
        .subarray(FRAME_HEADER_BYTES)
        .every((byte) => byte === 0xee),
    ).toBe(true);
    client.terminate();
  });

  it('reads no queued payload any more after disconnect', async () => {
    const { transport, sink } = await host('a', { highWaterBytes: 64 * 1024 * 1024 });
    const client = await dialAs(transport.address, handshakeHeaders());
    const bodies: Buffer[] = [];
    client.on('message', (data) => bodies.push((data as Buffer).subarray(FRAME_HEADER_BYTES)));
    transport.connect({ nodeId: 'reader', address: { host: '127.0.0.1', port: 1 } });
    await wait(() => sink.count('linkUp reader') === 1);
    const original = pattern(100_000);
    const payload = pattern(100_000);
    for (let psn = 0; psn < 400; psn++) {
      transport.send('reader', frame({ psn, payloadLength: payload.byteLength }), [payload]);
    }
    transport.disconnect('reader');
    payload.fill(0xee);
    await wait(() => client.readyState === WebSocket.CLOSED);
    expect(bodies.length).toBeLessThan(400);
    expect(bodies.every((body) => body.equals(Buffer.from(original.buffer)))).toBe(true);
  });

  describe('refuses at the upgrade', () => {
    const cases: readonly (readonly [string, number, Record<string, string | undefined>])[] = [
      ['a wrong token', 401, { authorization: 'Bearer wrong' }],
      ['a missing token', 401, { authorization: undefined }],
      ['another scheme', 401, { authorization: 'Basic secret' }],
      ['another version', 426, { 'x-hlsim-link-version': String(FRAME_VERSION + 1) }],
      ['a missing version', 400, { 'x-hlsim-link-version': undefined }],
      ['a missing node id', 400, { 'x-hlsim-node': undefined }],
      ['a node id with spaces', 400, { 'x-hlsim-node': 'a b' }],
      ['its own node id', 409, { 'x-hlsim-node': 'a' }],
      ['a dial for another host', 409, { 'x-hlsim-expect-node': 'b' }],
      ['incarnation 0', 400, { 'x-hlsim-incarnation': '0' }],
      ['an incarnation above 32 bit', 400, { 'x-hlsim-incarnation': '4294967296' }],
      ['an incarnation that is no number', 400, { 'x-hlsim-incarnation': '1e3' }],
    ];
    it.each(cases)('%s (%i)', async (_name, status, headers) => {
      const { transport, sink } = await host('a');
      expect(await refusalOf(transport.address, { ...handshakeHeaders(), ...headers })).toBe(
        status,
      );
      const isStatedByTheDoor = status !== 409 || headers['x-hlsim-node'] === undefined;
      if (isStatedByTheDoor) {
        await wait(() => sink.count(`protocolError undefined: Refused a dial`) === 1);
      }
    });

    it('another path, and plain HTTP', async () => {
      const { transport } = await host('a');
      expect(await refusalOf(transport.address, handshakeHeaders(), '/other')).toBe(404);
      const { host: name, port } = transport.address;
      const response = await fetch(`http://${name}:${port}/link`);
      expect(response.status).toBe(426);
    });

    it('a dial before the host is ready, for now', async () => {
      const transport = await transportOf('a');
      open.push(transport);
      expect(await refusalOf(transport.address, handshakeHeaders())).toBe(503);
    });

    it('an incarnation that is not newer than the last (412)', async () => {
      const { transport } = await host('a');
      const client = await dialAs(transport.address, handshakeHeaders({ incarnation: '5' }));
      expect(await refusalOf(transport.address, handshakeHeaders({ incarnation: '5' }))).toBe(412);
      expect(await refusalOf(transport.address, handshakeHeaders({ incarnation: '4' }))).toBe(412);
      client.terminate();
    });
  });

  it('loses a peer with another token at once, and says what to do', async () => {
    const { transport: a } = await host('a');
    const { transport: b, sink } = await host('b', { token: 'another' });
    b.connect({ nodeId: 'a', address: a.address });
    await wait(() => sink.count('linkLost') === 1);
    expect(sink.events).toEqual([
      expect.stringMatching(/^linkLost a: a at .* refused the dial \(HTTP 401\): .* token/),
    ]);
  });

  it('keeps dialling a peer that is not ready yet', async () => {
    const a = await transportOf('a');
    open.push(a);
    const { transport: b, sink } = await host('b');
    b.connect({ nodeId: 'a', address: a.address });
    await settleOnWallClock(delay(wallScheduler, 80));
    const sinkA = new RecordingSink();
    a.attach(sinkA);
    a.connect({ nodeId: 'b', address: b.address });
    await wait(() => sink.count('linkUp a') === 1 && sinkA.count('linkUp b') === 1);
    expect(sink.events).toEqual(['linkUp a']);
  });

  it('loses a peer whose address cannot be an address, at once', async () => {
    const { transport, sink } = await host('a');
    transport.connect({ nodeId: 'b', address: { host: 'not a host', port: 1 } });
    expect(sink.events).toEqual([]);
    await wait(() => sink.count('linkLost b') === 1);
    expect(sink.events[0]).toContain('Expected an address to dial');
  });

  it('loses a peer whose port speaks HTTP but serves no links, at once', async () => {
    const { createServer } = await import('node:http');
    const server = createServer();
    server.on('upgrade', (_request, socket) => {
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = defined(server.address(), 'an address') as { port: number };
    const { transport, sink } = await host('a');
    transport.connect({ nodeId: 'b', address: { host: '127.0.0.1', port: address.port } });
    await wait(() => sink.count('linkLost b') === 1);
    expect(sink.events[0]).toContain('it is no link listener');
    server.closeAllConnections();
    server.close();
  });

  it('replaces a connection that the peer has given up by its newer dial', async () => {
    const { transport, sink } = await host('a');
    const address = { host: '127.0.0.1', port: 1 };
    const first = await dialAs(transport.address, handshakeHeaders({ incarnation: '1' }));
    transport.connect({ nodeId: 'reader', address });
    await wait(() => sink.count('linkUp reader') === 1);
    const second = await dialAs(transport.address, handshakeHeaders({ incarnation: '2' }));
    await wait(() => sink.count('linkUp reader') === 2);
    expect(sink.events).toEqual(['linkUp reader', 'linkDown reader', 'linkUp reader']);
    await wait(() => first.readyState === WebSocket.CLOSED);
    expect(second.readyState).toBe(WebSocket.OPEN);
    second.terminate();
  });

  it('fails with HLSIM_PORT_IN_USE when the port is taken', async () => {
    const { transport } = await host('a');
    await expect(transportOf('b', { bind: transport.address })).rejects.toMatchObject({
      code: 'HLSIM_PORT_IN_USE',
    });
  });

  it('fails with HLSIM_CONFIG for an address of another machine, a bare wildcard, a bad token', async () => {
    const config = { code: 'HLSIM_CONFIG' };
    const elsewhere = { host: '192.0.2.1', port: 0 };
    await expect(transportOf('b', { bind: elsewhere })).rejects.toMatchObject(config);
    const wildcard = { host: '0.0.0.0', port: 0 };
    await expect(transportOf('b', { bind: wildcard })).rejects.toMatchObject(config);
    await expect(transportOf('b', { token: 'two\nlines' })).rejects.toMatchObject(config);
  });

  it('advertises the host that it is told to', async () => {
    const { transport } = await host('a', {
      bind: { host: '0.0.0.0', port: 0 },
      advertiseHost: 'localhost',
    });
    expect(transport.address.host).toBe('localhost');
    expect(transport.address.port).toBeGreaterThan(0);
  });

  it('closes although a client never answers the closing handshake', async () => {
    const { transport, sink } = await host('a');
    const client = await dialAs(transport.address, handshakeHeaders());
    transport.connect({ nodeId: 'reader', address: { host: '127.0.0.1', port: 1 } });
    await wait(() => sink.count('linkUp reader') === 1);
    client.pause();
    await settleOnWallClock(transport.close());
    const refused = new Promise<string | undefined>((resolve) => {
      const probe = connectTcp(transport.address.port, '127.0.0.1');
      probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
      probe.on('connect', () => resolve('connected'));
    });
    expect(await settleOnWallClock(refused)).toBe('ECONNREFUSED');
    client.terminate();
  });
});
