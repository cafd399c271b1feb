/** The sending end of a wire: every byte once and in order, however little the socket takes at a time. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KiB } from '../../../../common/bytes.ts';
import { Prng } from '../../../../common/prng.ts';
import { digestOf } from '../../../../node/hccl/program/ready-call.ts';
import { OutboundWire } from '../../../../node/hccl/wire/outbound-wire.ts';
import {
  CALL_BYTES,
  type DataFrame,
  dataHeadBytes,
  writeDataHead,
} from '../../../../node/hccl/wire/wire-frames.ts';
import { FakeSockets, type Pipe } from './fake-sockets.ts';
import { callBytes, counting, dataBytes, joined } from './wire-bytes.ts';

const AREA = 256;
const PAYLOAD = 4 * KiB;
const MEMORY_BYTES = 16 * KiB;
const TEXT = 'hcclAllGather (allGather direct, 3 int32)';

class Sender {
  readonly memory = new SharedArrayBuffer(MEMORY_BYTES);
  readonly bytes = new Uint8Array(this.memory).fill(0xa5);
  readonly pipe: Pipe;
  readonly sockets: FakeSockets;
  readonly wire: OutboundWire;

  constructor(capacity: number, piece?: () => number) {
    this.sockets = new FakeSockets(piece);
    const fd = this.sockets.open(capacity);
    this.pipe = this.sockets.pipe(fd);
    const sockets = this.sockets.on(this.memory);
    this.wire = new OutboundWire({ sockets, memory: this.memory, fd, area: AREA });
  }

  /** All that the peer receives while this end sends what is left. */
  received(): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let turn = 0; turn < 20_000; turn++) {
      const isOver = this.wire.flush();
      expect(this.wire.isBlocked).toBe(!isOver);
      parts.push(this.taken());
      if (isOver) return joined(...parts);
    }
    expect.fail('it never got to the end');
  }

  taken(): Uint8Array {
    const bytes = new Uint8Array(this.pipe.held);
    this.pipe.take(bytes);
    return bytes;
  }
}

function frameOf(text: string, more: Partial<DataFrame> = {}): DataFrame {
  return { sequence: 1, digest: digestOf(text), index: 0, bytes: 12, ...more };
}

describe('the end of a wire that sends', () => {
  const message = fc.record({
    call: fc.nat({ max: 2 }),
    bytes: fc.oneof(fc.nat({ max: 200 }), fc.nat({ max: 3000 })),
    isWhole: fc.boolean(),
  });

  it('sends every byte once and in order, a call before its first message only', () => {
    const messages = fc.array(message, { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(messages, fc.integer(), fc.integer({ min: 1, max: 900 }), (some, seed, room) => {
        const prng = new Prng(seed);
        const most = 1 + prng.below(500);
        const sender = new Sender(room, () => 1 + prng.below(most));
        let last = '';
        for (const [index, { call, bytes, isWhole }] of some.entries()) {
          const text = `call ${call}`;
          const frame = frameOf(text, { sequence: index + 1, index, bytes });
          sender.bytes.set(counting(bytes, index), PAYLOAD);
          if (isWhole) {
            const head = dataHeadBytes(bytes);
            writeDataHead(new DataView(sender.memory), PAYLOAD - head, frame);
            sender.wire.beginWhole(frame.digest, text, PAYLOAD - head, head + bytes);
          } else {
            sender.wire.begin(frame, text, PAYLOAD);
          }
          const expected = [dataBytes(frame, index)];
          if (text !== last) expected.unshift(callBytes(text));
          last = text;
          expect(sender.received()).toEqual(joined(...expected));
        }
      }),
    );
  });

  it('sends nothing before it is told to go on', () => {
    const sender = new Sender(1 * KiB);
    sender.wire.begin(frameOf(TEXT), TEXT, PAYLOAD);
    expect(sender.wire.isBlocked).toBe(true);
    expect(sender.pipe.held).toBe(0);
  });

  it('goes on with call, head and payload in one go where there is room', () => {
    const sender = new Sender(1 * KiB);
    sender.wire.begin(frameOf(TEXT), TEXT, PAYLOAD);
    expect(sender.wire.flush()).toBe(true);
    expect(sender.sockets.calls).toBe(1);
    expect(sender.pipe.held).toBe(CALL_BYTES + 18 + 12);
  });

  it('keeps nothing of a payload: what is sent late is what lies there then', () => {
    const sender = new Sender(600);
    sender.bytes.set(counting(200), PAYLOAD);
    sender.wire.begin(frameOf(TEXT, { bytes: 200 }), TEXT, PAYLOAD);
    expect(sender.wire.flush()).toBe(false);
    expect(sender.wire.flush()).toBe(false);
    expect(sender.pipe.held).toBe(600);
    const sent = sender.pipe.held - CALL_BYTES - dataHeadBytes(200);
    sender.taken();
    sender.bytes.fill(0x77, PAYLOAD, PAYLOAD + 200);
    expect(sender.received()).toEqual(new Uint8Array(200 - sent).fill(0x77));
  });

  it('writes nothing but its call and its head', () => {
    const sender = new Sender(1 * KiB);
    const payload = sender.bytes.slice(PAYLOAD);
    sender.wire.begin(frameOf(TEXT), TEXT, PAYLOAD);
    sender.wire.flush();
    expect(sender.bytes.slice(0, AREA).every((byte) => byte === 0xa5)).toBe(true);
    const behind = sender.bytes.slice(AREA + CALL_BYTES + 64, PAYLOAD);
    expect(behind.every((byte) => byte === 0xa5)).toBe(true);
    expect(sender.bytes.slice(PAYLOAD)).toEqual(payload);
  });

  it.each(['ended', 'broken'] as const)(
    'whose peer is gone (%s) is broken, and stays so',
    (how) => {
      const sender = new Sender(100);
      sender.wire.begin(frameOf(TEXT), TEXT, PAYLOAD);
      expect(sender.wire.flush()).toBe(false);
      expect(sender.wire.isBroken).toBe(false);
      sender.pipe.state = how;
      expect(sender.wire.flush()).toBe(false);
      expect(sender.wire.isBroken).toBe(true);
      const { calls } = sender.sockets;
      sender.pipe.state = 'open';
      expect(sender.wire.flush()).toBe(false);
      expect(sender.sockets.calls).toBe(calls);
    },
  );

  it('with nothing to send is never broken', () => {
    const sender = new Sender(1 * KiB);
    sender.wire.begin(frameOf(TEXT), TEXT, PAYLOAD);
    expect(sender.wire.flush()).toBe(true);
    sender.pipe.state = 'broken';
    expect(sender.wire.flush()).toBe(true);
    expect(sender.wire.isBroken).toBe(false);
  });
});
