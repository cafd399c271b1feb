/** Bytes that no honest peer sends, at a live listener and at a live dialler. */
import { once } from 'node:events';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { defined } from '../../../common/assert.ts';
import { wallScheduler } from '../../../common/scheduler.ts';
import {
  FRAME_HEADER_BYTES,
  type FrameHeader,
  LINK_MTU_BYTES,
} from '../../../node/transport/frame.ts';
import { decodeFrameHeader, encodeFrameHeader } from '../../../node/transport/frame-codec.ts';
import { isReply } from '../../../node/transport/frame-rules.ts';
import type { Transport } from '../../../node/transport/transport.ts';
import { createWebSocketTransport } from '../../../node/transport/websocket-transport.ts';
import { frame, pattern, RecordingSink, until } from '../../conformance/recording-sink.ts';
import { frameHeaders } from './frame-arbitrary.ts';
import { dialAs, handshakeHeaders, rawLink } from './raw-dialler.ts';
import { settleOnWallClock } from './wall-clock.ts';

const NOWHERE = { host: '127.0.0.1', port: 1 };
const FUZZ_RUNS = 60;
const PAYLOAD_BYTES_MAX = 300;

const wait = (condition: () => boolean) => settleOnWallClock(until(wallScheduler, condition));
const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0)) await settleOnWallClock(close());
});

async function host(nodeId: string): Promise<{ transport: Transport; sink: RecordingSink }> {
  const transport = await createWebSocketTransport({
    nodeId,
    bind: { host: '127.0.0.1', port: 0 },
    scheduler: wallScheduler,
    token: 'secret',
  });
  closers.push(() => transport.close());
  const sink = new RecordingSink();
  transport.attach(sink);
  return { transport, sink };
}

function message(header: FrameHeader, incarnation: number): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES + header.payloadLength, 0x5a);
  encodeFrameHeader(header, incarnation, bytes);
  return bytes;
}

/** Random bytes, and valid frames with a few bytes changed, cut or added. */
function messages(headers: fc.Arbitrary<FrameHeader>): fc.Arbitrary<Buffer> {
  const change = fc.tuple(fc.nat(FRAME_HEADER_BYTES - 1), fc.nat(255));
  const mutated = fc
    .tuple(headers, fc.array(change, { maxLength: 3 }), fc.integer({ min: -70, max: 70 }))
    .map(([header, changes, lengthen]) => {
      const bytes = message(header, 1);
      for (const [offset, value] of changes) bytes[offset] = value;
      const cut = bytes.subarray(0, Math.max(0, bytes.byteLength + lengthen));
      return Buffer.concat([cut, Buffer.alloc(Math.max(0, lengthen))]);
    });
  const random = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  return fc.oneof(random, mutated);
}

/** Whether an end that takes `takes` must accept these bytes in incarnation 1. */
function isLegal(bytes: Buffer, takes: 'data' | 'replies'): boolean {
  const decoded = decodeFrameHeader(bytes, bytes.byteLength);
  if (decoded.error !== undefined || decoded.incarnation !== 1) return false;
  return isReply(decoded.ok.type) === (takes === 'replies');
}

describe('a hostile dialler', () => {
  async function attacked() {
    const { transport, sink } = await host('a');
    transport.connect({ nodeId: 'reader', address: NOWHERE });
    let incarnation = 0;
    const dial = async () => {
      const client = await dialAs(
        transport.address,
        handshakeHeaders({ incarnation: String(++incarnation) }),
      );
      client.on('error', () => undefined);
      return client;
    };
    return { transport, sink, dial };
  }

  it.each<[string, (client: WebSocket) => void]>([
    ['a text message', (client) => client.send('hello')],
    ['an empty message', (client) => client.send(Buffer.alloc(0))],
    [
      'a truncated ACK',
      (client) => client.send(message(frame({ type: 'ACK' }), 1).subarray(0, 63)),
    ],
    ['an oversized ACK', (client) => client.send(Buffer.alloc(65))],
    ['an ACK of another incarnation', (client) => client.send(message(frame({ type: 'ACK' }), 2))],
    ['a WRITE', (client) => client.send(message(frame(), 1))],
    ['a READ_RESPONSE', (client) => client.send(message(frame({ type: 'READ_RESPONSE' }), 1))],
    [
      'a message without an end',
      (client) => {
        for (let part = 0; part < 100; part++) client.send(Buffer.alloc(1), { fin: false });
      },
    ],
  ])('that sends %s is cut off with a protocolError', async (_name, attack) => {
    const { transport, sink, dial } = await attacked();
    const client = await dial();
    await wait(() => sink.count('linkUp reader') === 1);
    attack(client);
    await wait(() => sink.count('protocolError reader') === 1);
    await wait(() => client.readyState === WebSocket.CLOSED);
    expect(sink.events.at(-1)).toBe('linkDown reader');
    expect(sink.landedHeaders).toEqual([]);
    await dial();
    await wait(() => sink.count('linkUp reader') === 2);
    expect(transport.send('reader', frame(), [])).toBe('queued');
  });

  const UNMASKED_ACK = Buffer.concat([Buffer.from([0x82, 64]), message(frame({ type: 'ACK' }), 1)]);
  it.each<[string, Buffer]>([
    ['an unmasked frame', UNMASKED_ACK],
    ['reserved bits', Buffer.from([0xf2, 0x80, 0, 0, 0, 0])],
    ['an unknown opcode', Buffer.from([0x83, 0x80, 0, 0, 0, 0])],
    ['a frame of 2^62 bytes', Buffer.from([0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
    ['a continuation of nothing', Buffer.from([0x80, 0x80, 0, 0, 0, 0])],
  ])('that sends %s on the raw socket is cut off with a protocolError', async (_name, bytes) => {
    const { transport, sink } = await host('a');
    transport.connect({ nodeId: 'reader', address: NOWHERE });
    const socket = await rawLink(transport.address, handshakeHeaders());
    await wait(() => sink.count('linkUp reader') === 1);
    socket.write(bytes);
    await wait(() => sink.count('protocolError reader') === 1);
    socket.resume();
    if (!socket.closed) await settleOnWallClock(once(socket, 'close'));
    expect(sink.landedHeaders).toEqual([]);
  });

  it('that sends a frame before the link is wanted is cut off', async () => {
    const { transport, sink } = await host('a');
    const client = await dialAs(transport.address, handshakeHeaders());
    client.send(message(frame({ type: 'ACK' }), 1));
    await wait(() => sink.count('protocolError reader') === 1);
    transport.connect({ nodeId: 'reader', address: NOWHERE });
    await wait(() => client.readyState === WebSocket.CLOSED);
    expect(sink.count('linkUp')).toBe(0);
  });

  it('that speaks no HTTP is cut off, and reported as a stranger', async () => {
    const { connect } = await import('node:net');
    const { transport, sink } = await host('a');
    const socket = connect(transport.address.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('\x00\x01\x02 nonsense\r\n\r\n');
    await wait(() => sink.count('protocolError undefined') === 1);
    socket.destroy();
  });

  it('lands what is legal and nothing else, whatever the bytes (fuzz)', async () => {
    const { transport, sink } = await host('a');
    const everyHeader = frameHeaders(undefined, PAYLOAD_BYTES_MAX);
    const replies = frameHeaders(['ACK', 'NAK']);
    let run = 0;
    await fc.assert(
      fc.asyncProperty(messages(fc.oneof(replies, everyHeader)), async (bytes) => {
        // A host of its own, so that its dial has the incarnation that the frames carry.
        const node = `reader-${run++}`;
        const landed = sink.landedHeaders.length;
        transport.connect({ nodeId: node, address: NOWHERE });
        const client = await dialAs(transport.address, handshakeHeaders({ node }));
        client.on('error', () => undefined);
        client.send(bytes);
        if (isLegal(bytes, 'replies')) {
          await wait(() => sink.landedHeaders.length === landed + 1);
          expect(sink.count(`protocolError ${node}`)).toBe(0);
        } else {
          await wait(() => sink.count(`linkDown ${node}`) === 1);
          expect(sink.count(`protocolError ${node}`)).toBe(1);
          expect(sink.landedHeaders.length).toBe(landed);
        }
        transport.disconnect(node);
        client.terminate();
      }),
      { numRuns: FUZZ_RUNS },
    );
    expect(sink.memory.every((byte) => byte === 0)).toBe(true);
    await goodConnection(transport, sink);
  });

  it('harms nothing with random bytes on the raw socket (fuzz)', async () => {
    const { transport, sink } = await host('a');
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 400 }), async (bytes) => {
        const headers = handshakeHeaders({ node: `raw-${run++}` });
        const socket = await rawLink(transport.address, headers);
        socket.resume();
        socket.end(bytes);
        if (!socket.closed) await settleOnWallClock(once(socket, 'close'));
      }),
      { numRuns: FUZZ_RUNS },
    );
    expect(sink.landedHeaders).toEqual([]);
    await goodConnection(transport, sink);
  });
});

describe('a hostile listener', () => {
  /** Accepts every dial; `attack` gets the connection. */
  async function hostile(attack: (socket: WebSocket) => void) {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
    await once(server, 'listening');
    closers.push(
      () =>
        new Promise((resolve) => {
          for (const client of server.clients) client.terminate();
          server.close(resolve);
        }),
    );
    server.on('connection', (socket) => {
      socket.on('error', () => undefined);
      attack(socket);
    });
    const address = defined(server.address(), 'an address') as { port: number };
    return { host: '127.0.0.1', port: address.port };
  }

  it.each<[string, (socket: WebSocket) => void]>([
    ['a text message', (socket) => socket.send('hello')],
    ['an ACK', (socket) => socket.send(message(frame({ type: 'ACK' }), 1))],
    ['a WRITE of another incarnation', (socket) => socket.send(message(frame(), 2))],
    ['a masked frame', (socket) => socket.send(message(frame(), 1), { mask: true })],
    ['more than the MTU', (socket) => socket.send(Buffer.alloc(LINK_MTU_BYTES + 65))],
    [
      'a WRITE that is shorter than its header says',
      (socket) => socket.send(message(frame({ payloadLength: 100 }), 1).subarray(0, 163)),
    ],
    [
      'ten thousand fragments',
      (socket) => {
        for (let part = 0; part < 10_000; part++) socket.send(Buffer.alloc(1), { fin: false });
      },
    ],
  ])('that sends %s is cut off and given up', async (_name, attack) => {
    const { transport, sink } = await host('a');
    const address = await hostile(attack);
    transport.connect({ nodeId: 'evil', address });
    await wait(() => sink.count('linkLost evil') === 1);
    expect(sink.events).toEqual([
      expect.stringContaining('protocolError evil: evil broke the link protocol'),
      expect.stringContaining('linkLost evil: evil broke the link protocol'),
    ]);
    expect(sink.landedHeaders).toEqual([]);
    expect(sink.memory.every((byte) => byte === 0)).toBe(true);
    await goodConnection(transport, sink);
  });

  it('that breaks off in mid-frame leaves memory untouched', async () => {
    const { transport, sink } = await host('a');
    let dials = 0;
    const address = await hostile((socket) => {
      dials++;
      const bytes = message(frame({ payloadLength: 200_000 }), dials);
      socket.send(bytes.subarray(0, FRAME_HEADER_BYTES), { fin: false });
      socket.send(bytes.subarray(FRAME_HEADER_BYTES, 100_000), { fin: false }, () => {
        socket.terminate();
      });
    });
    transport.connect({ nodeId: 'evil', address });
    await wait(() => dials >= 3);
    transport.disconnect('evil');
    expect(sink.landedHeaders).toEqual([]);
    expect(sink.memory.every((byte) => byte === 0)).toBe(true);
  });

  it('lands what is legal and nothing else, whatever the bytes (fuzz)', async () => {
    let next: Buffer = Buffer.alloc(0);
    const address = await hostile((socket) => socket.send(next));
    const data = frameHeaders(undefined, PAYLOAD_BYTES_MAX);
    await fc.assert(
      fc.asyncProperty(messages(data), async (bytes) => {
        next = bytes;
        // A host of its own, so that its first dial has the incarnation that the frames carry.
        const { transport, sink } = await host('a');
        sink.place = (_nodeId, header) => [sink.memory.subarray(0, header.payloadLength)];
        transport.connect({ nodeId: 'evil', address });
        if (isLegal(bytes, 'data')) {
          await wait(() => sink.landedHeaders.length === 1);
          expect(sink.count('protocolError')).toBe(0);
        } else {
          await wait(() => sink.count('linkLost evil') === 1);
          expect(sink.count('protocolError evil')).toBe(1);
          expect(sink.landedHeaders).toEqual([]);
          expect(sink.memory.subarray(0, 512).every((byte) => byte === 0)).toBe(true);
        }
        await settleOnWallClock(transport.close());
      }),
      { numRuns: FUZZ_RUNS },
    );
  });
});

/** The host still serves an honest peer. */
async function goodConnection(transport: Transport, sink: RecordingSink): Promise<void> {
  const friend = await host('friend');
  transport.connect({ nodeId: 'friend', address: friend.transport.address });
  friend.transport.connect({ nodeId: transport.nodeId, address: transport.address });
  await wait(() => friend.sink.count('linkUp') === 1 && sink.count('linkUp friend') === 1);
  friend.transport.send(transport.nodeId, frame({ psn: 77, payloadLength: 64 }), [pattern(64)]);
  await wait(() => sink.psns.includes(77));
  expect(sink.memory.subarray(0, 64)).toEqual(pattern(64));
}
