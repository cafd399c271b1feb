/** A payload goes from the socket straight to its place, and stops there when the memory is taken back. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defined } from '../../../common/assert.ts';
import { wallScheduler } from '../../../common/scheduler.ts';
import { HEAD_WINDOW_BYTES, WINDOW_BYTES } from '../../../node/transport/dialled-websocket.ts';
import { OPCODES } from '../../../node/transport/websocket-frames.ts';
import { frame, pattern, until } from '../../conformance/recording-sink.ts';
import { DrivenDialler, message, webSocketFrame } from './driven-dialler.ts';
import { settleOnWallClock } from './wall-clock.ts';

const LARGE_BYTES = 200_000;
const SLOT_BYTES = 128 * 1024;

let dialler: DrivenDialler;

beforeEach(async () => {
  dialler = await DrivenDialler.create();
});

afterEach(() => dialler.close());

/** A large WRITE to `remoteAddress` in one WebSocket frame. */
function largeWrite(remoteAddress = 0, psn = 0): { bytes: Buffer; payload: Uint8Array } {
  const payload = pattern(LARGE_BYTES, psn + 1);
  const header = frame({ psn, remoteAddress, payloadLength: LARGE_BYTES });
  return { bytes: webSocketFrame(message(header, payload)), payload };
}

function isClear(from: number, to: number): boolean {
  return dialler.sink.memory.subarray(from, to).every((byte) => byte === 0);
}

describe('a large payload', () => {
  it('is in memory as far as it has arrived, and reported when it is whole', () => {
    const { bytes, payload } = largeWrite();
    dialler.feed(bytes.subarray(0, 150_000));
    const { memory, landedHeaders } = dialler.sink;
    expect(memory.subarray(0, 140_000)).toEqual(payload.subarray(0, 140_000));
    expect(landedHeaders).toEqual([]);
    dialler.feed(bytes.subarray(150_000));
    expect(memory.subarray(0, LARGE_BYTES)).toEqual(payload);
    expect(landedHeaders.length).toBe(1);
  });

  it('is read into the views that place gave: no byte of it is copied but those behind its header', () => {
    dialler.sink.pieces = 4;
    const { bytes, payload } = largeWrite(64);
    dialler.feed(bytes.subarray(0, 100));
    const window = dialler.link.window();
    expect(window.buffer).toBe(dialler.sink.memory.buffer);
    // 10 bytes of WebSocket head, 64 of header, 26 of payload.
    expect([window.byteOffset, window.byteLength]).toEqual([64 + 26, LARGE_BYTES / 4 - 26]);
    dialler.feed(bytes.subarray(100));
    expect(dialler.sink.memory.subarray(64, 64 + LARGE_BYTES)).toEqual(payload);
  });

  it('behind another one is read a little at first: hardly any of it has to be copied', () => {
    dialler.feed(largeWrite().bytes);
    expect(dialler.link.window().byteLength).toBe(HEAD_WINDOW_BYTES);
    const { bytes, payload } = largeWrite(0, 1);
    dialler.feed(bytes.subarray(0, HEAD_WINDOW_BYTES));
    expect(dialler.link.window().buffer).toBe(dialler.sink.memory.buffer);
    dialler.feed(bytes.subarray(HEAD_WINDOW_BYTES));
    expect(dialler.sink.memory.subarray(0, LARGE_BYTES)).toEqual(payload);
  });

  it('before many small frames does not make their reads short', () => {
    dialler.feed(largeWrite().bytes);
    const small = webSocketFrame(message(frame({ psn: 1, payloadLength: 1000 }), pattern(1000)));
    dialler.feed(small);
    expect(dialler.link.window().byteLength).toBe(HEAD_WINDOW_BYTES);
    dialler.feed(Buffer.concat([small, small, small, small]));
    dialler.feed(small);
    expect(dialler.link.window().byteLength).toBe(WINDOW_BYTES);
    expect(dialler.sink.psns).toEqual([0, 1, 1, 1, 1, 1, 1]);
  });

  it.each([
    ['a key', { rkey: 1 }],
    ['a range', { remoteAddress: 900_000 }],
  ])(
    'whose header has %s that place refuses stores nothing, and the next frame is read',
    (_what, fields) => {
      dialler.sink.refuses = (header) => header.psn === 0;
      const header = frame({ psn: 0, payloadLength: LARGE_BYTES, ...fields });
      dialler.feed(webSocketFrame(message(header, pattern(LARGE_BYTES))), 50_000);
      expect(isClear(0, dialler.sink.memory.byteLength)).toBe(true);
      const next = largeWrite(0, 1);
      dialler.feed(next.bytes);
      expect(dialler.sink.psns).toEqual([1]);
      expect(dialler.sink.memory.subarray(0, LARGE_BYTES)).toEqual(next.payload);
    },
  );

  it('whose length is a lie is refused when its header is there, before a byte is stored', () => {
    const header = frame({ payloadLength: LARGE_BYTES });
    const lie = webSocketFrame(message(header, pattern(LARGE_BYTES)).subarray(0, LARGE_BYTES));
    dialler.feed(lie.subarray(0, 2_000));
    expect(dialler.closures).toMatchObject([{ kind: 'violated' }]);
    dialler.feed(lie.subarray(2_000));
    expect(isClear(0, dialler.sink.memory.byteLength)).toBe(true);
  });

  it('that breaks off is never reported', async () => {
    const { bytes } = largeWrite();
    dialler.feed(bytes.subarray(0, 100_000));
    expect(dialler.link.filling.isQuiet).toBe(false);
    dialler.link.abort('the peer is dead');
    expect(dialler.link.filling.isQuiet).toBe(true);
    dialler.feed(bytes.subarray(100_000));
    expect(dialler.sink.landedHeaders).toEqual([]);
    expect(isClear(100_000, LARGE_BYTES)).toBe(true);
  });

  it('leaves memory alone once its link is closed', () => {
    const { bytes } = largeWrite();
    dialler.feed(bytes.subarray(0, 100_000));
    dialler.link.close('DISCONNECTED', 'test');
    expect(dialler.link.filling.isQuiet).toBe(true);
    dialler.feed(bytes.subarray(100_000));
    expect(isClear(100_000, LARGE_BYTES)).toBe(true);
    expect(dialler.sink.landedHeaders).toEqual([]);
  });
});

describe('memory that is taken back while a payload is stored in it', () => {
  it('gets what the read under way brings and nothing after it; nothing is reported', async () => {
    const { bytes } = largeWrite();
    dialler.feed(bytes.subarray(0, 80_000));
    dialler.sink.refuses = () => true;
    dialler.link.recall();
    let isQuiet = false;
    const quiet = dialler.link.filling.quiet().then(() => {
      isQuiet = true;
    });
    await Promise.resolve();
    expect(isQuiet).toBe(false);
    dialler.feed(bytes.subarray(80_000, 90_000));
    await quiet;
    // From here on the memory belongs to somebody else.
    dialler.sink.memory.fill(0);
    dialler.feed(bytes.subarray(90_000), 7_000);
    expect(isClear(0, dialler.sink.memory.byteLength)).toBe(true);
    expect(dialler.sink.landedHeaders).toEqual([]);
    dialler.sink.refuses = () => false;
    const next = largeWrite(0, 1);
    dialler.feed(next.bytes);
    expect(dialler.sink.psns).toEqual([1]);
    expect(dialler.sink.memory.subarray(0, LARGE_BYTES)).toEqual(next.payload);
  });

  it('is noticed even when the last bytes come before anybody has asked', async () => {
    const { bytes } = largeWrite();
    dialler.feed(bytes.subarray(0, 80_000));
    dialler.link.recall();
    // It has moved: what has arrived is in the wrong place.
    const place = dialler.sink.place.bind(dialler.sink);
    dialler.sink.place = (nodeId, header) =>
      place(nodeId, { ...header, remoteAddress: header.remoteAddress + 500_000 });
    dialler.feed(bytes.subarray(80_000));
    await dialler.link.filling.quiet();
    expect(dialler.sink.landedHeaders).toEqual([]);
    expect(isClear(500_000, 500_000 + LARGE_BYTES)).toBe(true);
  });

  it('does not disturb a payload of other memory, and nobody waits for that one', async () => {
    const { bytes, payload } = largeWrite();
    dialler.feed(bytes.subarray(0, 80_000));
    dialler.link.recall();
    const quiet = dialler.link.filling.quiet();
    dialler.feed(bytes.subarray(80_000, 81_000));
    await quiet;
    expect(dialler.link.filling.isQuiet).toBe(false);
    dialler.feed(bytes.subarray(81_000));
    expect(dialler.sink.landedHeaders.length).toBe(1);
    expect(dialler.sink.memory.subarray(0, LARGE_BYTES)).toEqual(payload);
  });
});

describe('any stream of valid frames', () => {
  interface Piece {
    readonly bytes: Buffer;
    readonly payload?: Uint8Array;
  }

  const sizes = fc.oneof(
    fc.nat(200),
    fc.constantFrom(125 - 64, 126 - 64, 65_535 - 64, 65_536 - 64, 16_320, 16_321),
    fc.integer({ min: 16_000, max: SLOT_BYTES }),
  );
  const cuts = fc.array(fc.nat(1_000_000), { maxLength: 3 });
  const ping = fc.uint8Array({ maxLength: 125 }).map((payload): Piece => {
    return { bytes: webSocketFrame(payload, { opcode: OPCODES.PING }) };
  });

  /** Frame number `psn`, cut into fragments, with pings between them. */
  function fragments(psn: number, length: number, at: readonly number[]): Piece {
    const payload = pattern(length, psn);
    const slot = psn % 8;
    const whole = message(
      frame({ psn, remoteAddress: slot * SLOT_BYTES, payloadLength: length }),
      payload,
    );
    const ends = [...at.map((cut) => cut % (whole.byteLength + 1)), whole.byteLength];
    ends.sort((a, b) => a - b);
    const frames = ends.map((end, index) =>
      webSocketFrame(whole.subarray(index === 0 ? 0 : ends[index - 1], end), {
        opcode: index === 0 ? OPCODES.BINARY : OPCODES.CONTINUATION,
        isFinal: index === ends.length - 1,
      }),
    );
    const pinged = frames.flatMap((bytes) => [
      bytes,
      webSocketFrame(Buffer.from('hi'), { opcode: OPCODES.PING }),
    ]);
    return { bytes: Buffer.concat(pinged), payload };
  }

  it('lands whole and in order, however it is cut into fragments and reads', async () => {
    const stream = fc.array(
      fc.oneof({ arbitrary: fc.tuple(sizes, cuts), weight: 4 }, { arbitrary: ping, weight: 1 }),
      { minLength: 1, maxLength: 7 },
    );
    const reads = fc.oneof(
      fc.integer({ min: 1, max: 90 }),
      fc.integer({ min: 1_000, max: 200_000 }),
    );
    await fc.assert(
      fc.asyncProperty(stream, reads, fc.boolean(), async (parts, readBytes, isOneFeed) => {
        const driven = await DrivenDialler.create();
        let psn = 0;
        const pieces = parts.map((part) => ('bytes' in part ? part : fragments(psn++, ...part)));
        const payloads = pieces.flatMap(({ payload }) => payload ?? []);
        if (isOneFeed) driven.feed(Buffer.concat(pieces.map(({ bytes }) => bytes)), readBytes);
        else for (const { bytes } of pieces) driven.feed(bytes, readBytes);
        expect(driven.closures).toEqual([]);
        expect(driven.sink.psns).toEqual(payloads.map((_, index) => index));
        for (const [index, payload] of payloads.entries()) {
          const start = (index % 8) * SLOT_BYTES;
          const placed = driven.sink.memory.subarray(start, start + payload.byteLength);
          expect(Buffer.compare(placed, payload)).toBe(0);
        }
        expect(driven.link.filling.isQuiet).toBe(true);
        await driven.close();
      }),
      { numRuns: 60 },
    );
  });

  it('is answered with a pong per ping, masked, with the same payload', async () => {
    dialler.feed(webSocketFrame(Buffer.from('how are you'), { opcode: OPCODES.PING }));
    await settleOnWallClock(until(wallScheduler, () => dialler.answers.length > 0));
    const answer = defined(dialler.answers[0], 'an answer');
    expect([...answer.subarray(0, 6)]).toEqual([0x8a, 0x80 | 11, 0, 0, 0, 0]);
    expect(answer.toString('latin1', 6)).toBe('how are you');
  });
});

describe('a stream that is not RFC 6455', () => {
  const large = webSocketFrame(new Uint8Array(300));
  it.each<[string, Uint8Array]>([
    ['a length of 16 bits that fits into 7', Buffer.from([0x82, 126, 0, 125])],
    [
      'a length of 64 bits that fits into 16',
      Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
    ],
    ['a length with its highest bit set', Buffer.from([0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0])],
    ['a ping of 126 bytes', Buffer.concat([Buffer.from([0x89, 126, 0, 126]), Buffer.alloc(126)])],
    ['a ping in fragments', Buffer.from([0x09, 0])],
    ['a reserved control opcode', Buffer.from([0x8b, 0])],
    ['a reserved data opcode', Buffer.from([0x87, 0])],
    ['reserved bits', Buffer.from([0xc2, 0])],
    ['a masked frame', Buffer.from([0x82, 0x80, 0, 0, 0, 0])],
    ['a continuation of nothing', Buffer.from([0x80, 0])],
    ['a message within a message', Buffer.concat([Buffer.from([0x02, 1, 0]), large])],
    ['text', webSocketFrame(Buffer.from('hi'), { opcode: OPCODES.TEXT })],
    ['a close frame of one byte', Buffer.from([0x88, 1, 3])],
    ['a close code that must not be sent', Buffer.from([0x88, 2, 0x03, 0xed])],
    ['a close code of nobody', Buffer.from([0x88, 2, 0x00, 0x10])],
    ['a close reason that is no UTF-8', Buffer.from([0x88, 3, 0x03, 0xe8, 0xff])],
  ])('is refused: %s', (_name, bytes) => {
    dialler.feed(bytes, 3);
    expect(dialler.closures).toMatchObject([{ kind: 'violated' }]);
    // Nothing behind it is read.
    dialler.feed(largeWrite().bytes);
    expect(dialler.sink.landedHeaders).toEqual([]);
    expect(isClear(0, LARGE_BYTES)).toBe(true);
  });
});
