/** The receiving end of a wire: what it takes, what it refuses, and where it writes. */
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { KiB } from '../../../../common/bytes.ts';
import { Prng } from '../../../../common/prng.ts';
import { ProgramFault } from '../../../../node/hccl/program/program-fault.ts';
import { digestOf } from '../../../../node/hccl/program/ready-call.ts';
import { InboundWire } from '../../../../node/hccl/wire/inbound-wire.ts';
import {
  CALL_BYTES,
  type DataFrame,
  dataHeadBytes,
} from '../../../../node/hccl/wire/wire-frames.ts';
import { FakeSockets, type Pipe } from './fake-sockets.ts';
import { callBytes, counting, dataBytes, joined } from './wire-bytes.ts';

const TEXT = 'hcclAllReduce (allReduce ring, 3 float32)';
const OTHER = 'hcclBroadcast (broadcast direct, 3 float32)';
const FRAME: DataFrame = { sequence: 1, digest: digestOf(TEXT), index: 0, bytes: 12 };
const PEER = 3;

const AREA = 1 * KiB;
const PAYLOAD = 4 * KiB;
const MEMORY_BYTES = 32 * KiB;
const BEFORE = 0xa5;

let memory: SharedArrayBuffer;
let bytes: Uint8Array;
let pipe: Pipe;
let wire: InboundWire;

/** `seed` says how the bytes come: 0 all at once, else one to some at a time. */
function open(seed = 0): void {
  const prng = new Prng(seed);
  const most = 1 + prng.below(40);
  const sockets = new FakeSockets(() =>
    seed === 0 ? Number.POSITIVE_INFINITY : 1 + prng.below(most),
  );
  const fd = sockets.open(64 * KiB);
  pipe = sockets.pipe(fd);
  memory = new SharedArrayBuffer(MEMORY_BYTES);
  bytes = new Uint8Array(memory).fill(BEFORE);
  wire = new InboundWire({ peer: PEER, sockets: sockets.on(memory), memory, fd, area: AREA });
}
beforeEach(() => open());

/** Asks until it is there; fails if it is not after everything that was sent. */
function until(ask: () => boolean): void {
  for (let turn = 0; turn < 10_000; turn++) if (ask()) return;
  expect.fail('nothing came');
}

function taken(at: number, length: number): Uint8Array {
  return bytes.slice(at, at + length);
}

function reasonOf(ask: () => unknown): unknown {
  try {
    for (let turn = 0; turn < 2_000; turn++) ask();
  } catch (fault) {
    if (fault instanceof ProgramFault) return fault.reason;
    throw fault;
  }
  return 'nothing';
}

/** What a receiver of messages wants next, as a whole or in pieces. */
type Way = 'whole' | 'pieces';
const WAYS: readonly Way[] = ['whole', 'pieces'];

function ask(way: Way, frame: DataFrame): boolean {
  return way === 'whole' ? wire.message(frame, PAYLOAD) : wire.head(frame);
}

/** Takes one message, its payload to `PAYLOAD`. */
function receive(way: Way, frame: DataFrame): void {
  until(() => ask(way, frame));
  if (way === 'whole') return;
  let found = 0;
  until(() => {
    if (found < frame.bytes) found += wire.take(PAYLOAD + found, frame.bytes - found);
    return found === frame.bytes;
  });
}

describe('the end of a wire that receives', () => {
  const message = fc.record({
    call: fc.nat({ max: 2 }),
    bytes: fc.oneof(fc.nat({ max: 200 }), fc.nat({ max: 3000 })),
    way: fc.constantFrom(...WAYS),
  });

  it('has what was sent, however the bytes come', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), fc.integer(), (messages, seed) => {
        open(seed);
        let last = '';
        const frames = messages.map(({ call, bytes: length, way }, index) => {
          const text = `call ${call}`;
          const frame = { sequence: index + 1, digest: digestOf(text), index, bytes: length };
          if (text !== last) pipe.putAll(callBytes(text));
          pipe.putAll(dataBytes(frame, index));
          last = text;
          return { frame, way };
        });
        for (const [index, { frame, way }] of frames.entries()) {
          bytes.fill(BEFORE, PAYLOAD);
          receive(way, frame);
          expect(taken(PAYLOAD, frame.bytes)).toEqual(counting(frame.bytes, index));
          expect(bytes.subarray(PAYLOAD + frame.bytes).every((byte) => byte === BEFORE)).toBe(true);
        }
        expect(pipe.held).toBe(0);
        expect(wire.isEnded).toBe(false);
      }),
    );
  });

  it.each(WAYS)('leaves what comes behind the message in the socket: %s', (way) => {
    pipe.putAll(joined(callBytes(TEXT), dataBytes(FRAME), counting(100)));
    receive(way, FRAME);
    expect(pipe.held).toBe(100);
  });

  it('is not there before its last byte is', () => {
    const all = joined(callBytes(TEXT), dataBytes(FRAME));
    for (const byte of all.subarray(0, -1)) {
      pipe.putAll(Uint8Array.of(byte));
      expect(wire.message(FRAME, PAYLOAD)).toBe(false);
    }
    pipe.putAll(all.subarray(-1));
    expect(wire.message(FRAME, PAYLOAD)).toBe(true);
  });

  it.each(WAYS)('takes an empty message: %s', (way) => {
    const empty = { ...FRAME, bytes: 0 };
    pipe.putAll(joined(callBytes(TEXT), dataBytes(empty)));
    expect(ask(way, empty)).toBe(true);
    expect(pipe.held).toBe(0);
  });
});

describe.each([0, 1, 2, 3])('a peer that does wrong (bytes as of seed %i)', (seed) => {
  beforeEach(() => open(seed));

  const mismatch = (theirs: string) => ({ kind: 'mismatch', peer: PEER, theirs });
  const wrong = (found: string) => ({ kind: 'frame', peer: PEER, found });
  const data = (change: Partial<DataFrame> = {}) => dataBytes({ ...FRAME, ...change });
  const changed = (all: Uint8Array, index: number, value: number) => all.with(index, value);
  /** Unlike `data`, long enough for `message` and `head` to have all they want. */
  const padded = (...parts: readonly Uint8Array[]) => joined(...parts, new Uint8Array(1024));

  it.each(
    WAYS.flatMap((way) => [
      { way, what: 'another call', sent: callBytes(OTHER), reason: mismatch(OTHER) },
      { way, what: 'no call, but data', sent: data(), reason: wrong('no call') },
      {
        way,
        what: 'a text that is no call',
        sent: padded(Uint8Array.of(0x81, 5)),
        reason: wrong('a text that is no call'),
      },
      {
        way,
        what: 'a text with a mask',
        sent: changed(callBytes(TEXT), 1, 0xfe),
        reason: wrong('a text that is no call'),
      },
      {
        way,
        what: 'a text of another length',
        sent: changed(callBytes(TEXT), 3, 251),
        reason: wrong('a text that is no call'),
      },
      {
        way,
        what: 'a piece of a text',
        sent: changed(callBytes(TEXT), 0, 0x01),
        reason: wrong('another frame'),
      },
      { way, what: 'a ping', sent: Uint8Array.of(0x89, 0), reason: wrong('another frame') },
      {
        way,
        what: 'a close',
        sent: Uint8Array.of(0x88, 2, 3, 0xe8),
        reason: wrong('another frame'),
      },
      { way, what: 'rubbish', sent: counting(700, 77), reason: wrong('another frame') },
      {
        way,
        what: 'HTTP',
        sent: padded(new TextEncoder().encode('HTTP/1.1 400 Bad Request\r\n\r\n')),
        reason: wrong('another frame'),
      },
    ]),
  )('$way: $what where a call was to come', ({ way, sent, reason }) => {
    pipe.putAll(sent);
    expect(reasonOf(() => ask(way, FRAME))).toEqual(reason);
    expect(taken(PAYLOAD, 1000).every((byte) => byte === BEFORE)).toBe(true);
  });

  it.each(
    WAYS.flatMap((way) => [
      { way, what: 'another call', sent: callBytes(OTHER), reason: mismatch(OTHER) },
      { way, what: 'the same call once more', sent: callBytes(TEXT), reason: mismatch(TEXT) },
      {
        way,
        what: 'a text that is no call',
        sent: padded(Uint8Array.of(0x81, 5)),
        reason: wrong('a text that is no call'),
      },
      { way, what: 'another operation', sent: data({ sequence: 2 }), reason: mismatch(TEXT) },
      { way, what: 'another digest', sent: data({ digest: 1 }), reason: mismatch(TEXT) },
      { way, what: 'another number', sent: data({ index: 1 }), reason: wrong('another frame') },
      { way, what: 'less bytes', sent: data({ bytes: 11 }), reason: wrong('another frame') },
      { way, what: 'more bytes', sent: data({ bytes: 13 }), reason: wrong('another frame') },
      { way, what: 'far more bytes', sent: data({ bytes: 200 }), reason: wrong('another frame') },
      {
        way,
        what: 'as many as need another form of length',
        sent: data({ bytes: 3000 }),
        reason: wrong('another frame'),
      },
      {
        way,
        what: 'a frame with a mask',
        sent: padded(changed(data(), 1, 0x80 + 28)),
        reason: wrong('another frame'),
      },
      {
        way,
        what: 'a length that is longer than it must be',
        sent: padded(Uint8Array.of(0x82, 126, 0, 28)),
        reason: wrong('another frame'),
      },
      {
        way,
        what: 'a frame that is not the last of its message',
        sent: changed(data(), 0, 0x02),
        reason: wrong('another frame'),
      },
      {
        way,
        what: 'a frame with a reserved bit',
        sent: changed(data(), 0, 0xc2),
        reason: wrong('another frame'),
      },
      {
        way,
        what: 'a continuation',
        sent: changed(data(), 0, 0x80),
        reason: wrong('another frame'),
      },
      { way, what: 'a ping', sent: Uint8Array.of(0x89, 0), reason: wrong('another frame') },
      {
        way,
        what: 'a close',
        sent: Uint8Array.of(0x88, 2, 3, 0xe8),
        reason: wrong('another frame'),
      },
      { way, what: 'rubbish', sent: counting(700, 77), reason: wrong('another frame') },
    ]),
  )('$way: $what where a message was to come', ({ way, sent, reason }) => {
    pipe.putAll(joined(callBytes(TEXT), sent));
    expect(reasonOf(() => ask(way, FRAME))).toEqual(reason);
    // A message as a whole comes to a place that is the wire's own; in pieces nothing has been taken.
    if (way === 'pieces') expect(taken(PAYLOAD, 1000).every((byte) => byte === BEFORE)).toBe(true);
  });

  it.each(WAYS)('goes on with the call before where it was to name another: %s', (way) => {
    pipe.putAll(joined(callBytes(TEXT), data(), data({ sequence: 2 })));
    receive(way, FRAME);
    const next = { ...FRAME, sequence: 2, digest: digestOf(OTHER) };
    expect(reasonOf(() => ask(way, next))).toEqual(mismatch(TEXT));
  });

  it.each(WAYS)('%s: another call in place of the second message', (way) => {
    pipe.putAll(joined(callBytes(TEXT), data(), callBytes(OTHER), data({ sequence: 2 })));
    receive(way, FRAME);
    expect(reasonOf(() => ask(way, { ...FRAME, index: 1 }))).toEqual(mismatch(OTHER));
  });

  it('any byte of a head that is another is refused before a byte of the payload is taken', () => {
    for (let index = 0; index < dataHeadBytes(FRAME.bytes); index++) {
      open(seed);
      pipe.putAll(callBytes(TEXT));
      pipe.putAll(padded(data().with(index, (data()[index] ?? 0) ^ (1 + seed))));
      const found = reasonOf(() => wire.head(FRAME)) as { kind: string };
      expect(['frame', 'mismatch'], `byte ${index}`).toContain(found.kind);
      expect(taken(PAYLOAD, 1000).every((byte) => byte === BEFORE)).toBe(true);
    }
  });

  it.each(['ended', 'broken'] as const)('%s anywhere is seen, and nothing is there', (state) => {
    const all = joined(callBytes(TEXT), data());
    for (let length = 0; length < all.length; length += length < CALL_BYTES - 3 ? 101 : 1) {
      for (const way of WAYS) {
        open(seed);
        pipe.putAll(all.subarray(0, length));
        // A peer that breaks down may take what was under way with it.
        pipe.state = state;
        for (let turn = 0; turn < 1000 && !wire.isEnded; turn++) {
          if (way === 'whole') expect(wire.message(FRAME, PAYLOAD)).toBe(false);
          else if (wire.head(FRAME)) wire.take(PAYLOAD, FRAME.bytes + 1);
        }
        expect(wire.isEnded, `${length} bytes, ${way}`).toBe(true);
      }
    }
  });

  it('whatever comes is refused, ended or waited for, and nothing else is written', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.constantFrom(...WAYS), (sent, way) => {
        open(seed);
        pipe.putAll(joined(callBytes(TEXT), sent));
        pipe.state = 'ended';
        const isFrame = sent.length >= 30 && dataBytes(FRAME).every((one, at) => one === sent[at]);
        fc.pre(!isFrame);
        reasonOf(() => ask(way, FRAME));
        expect(bytes.subarray(0, AREA).every((byte) => byte === BEFORE)).toBe(true);
        const head = dataHeadBytes(FRAME.bytes);
        const outside = bytes.subarray(AREA + CALL_BYTES + 64, PAYLOAD - head);
        expect(outside.every((byte) => byte === BEFORE)).toBe(true);
        if (way === 'pieces')
          expect(taken(PAYLOAD, 1000).every((one) => one === BEFORE)).toBe(true);
      }),
    );
  });
});
