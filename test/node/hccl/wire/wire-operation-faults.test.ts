/** What an operation on wires does when its peers lie, stop, leave, die, or call something else. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Rank } from '../../../../collectives/schedule.ts';
import { KiB } from '../../../../common/bytes.ts';
import { ranksOf } from '../../../../common/math.ts';
import { Prng } from '../../../../common/prng.ts';
import { ProgramFault } from '../../../../node/hccl/program/program-fault.ts';
import type { ProgramOperation } from '../../../../node/hccl/program/program-operation.ts';
import { digestOf } from '../../../../node/hccl/program/ready-call.ts';
import { type DataFrame, dataHeadBytes } from '../../../../node/hccl/wire/wire-frames.ts';
import { callBuffers, describeWorldCall, type WorldCall } from '../shared/world-call.ts';
import { callBytes, dataBytes, joined } from './wire-bytes.ts';
import { WireWorld } from './wire-world.ts';

/** Longer than a head and its payload come together, so that it is stored as it comes. */
const LONG_COUNT = 10_000;
const GATHER: WorldCall = {
  ...{ mode: 'pull', collective: 'allGather', algorithm: 'direct', root: 0 },
  ...{ count: LONG_COUNT, type: 'float32', op: 'sum', inPlace: [false, false, false] },
};
const REDUCTION: WorldCall = { ...GATHER, collective: 'allReduce', count: 2 * LONG_COUNT };
const SMALL: WorldCall = { ...REDUCTION, mode: 'small', algorithm: 'oneShot', count: 10 };
const CALLS = [
  ['a long gather', GATHER],
  ['a long reduction', REDUCTION],
  ['a small reduction', SMALL],
] as const;
const INPUT = 0x11;
const OUTPUT = 0xa5;
const TURNS = 50;

let world: WireWorld;
beforeEach(() => build(2));

function build(nranks: number, capacity = 64 * KiB): void {
  world = new WireWorld({ nranks, prng: new Prng(9), capacity, windowBytes: 256 * KiB });
  for (const { bytes, windows } of world.ranks) {
    bytes.fill(INPUT, windows[0], windows[1]);
    bytes.fill(OUTPUT, windows[1]);
  }
}

function operationOf(call: WorldCall, rank: Rank, text?: string, sequence = 1): ProgramOperation {
  const buffers = callBuffers(call, world.place(rank), 0);
  return world.operation(call, rank, { ...buffers, sequence, ...(text && { text }) });
}

/** What an operation comes to by itself. */
function outcomeOf(operation: ProgramOperation): unknown {
  try {
    for (let turn = 0; turn < TURNS; turn++) if (operation.advance()) return 'ended';
  } catch (fault) {
    if (fault instanceof ProgramFault) return fault.reason;
    throw fault;
  }
  return 'waiting';
}

/** What all of them come to, in turns. */
function outcomes(operations: ReadonlyMap<Rank, ProgramOperation>): ReadonlyMap<Rank, unknown> {
  const found = new Map<Rank, unknown>();
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [rank, operation] of operations) {
      if (['waiting', undefined].includes(found.get(rank) as string))
        found.set(rank, outcomeOf(operation));
    }
  }
  return found;
}

/** Nothing has been stored but what a gather has of the rank itself. */
function isUntouched(rank: Rank, call: WorldCall): boolean {
  const { bytes, windows } = world.rank(rank);
  const output = bytes.slice(windows[1]);
  const own = call === GATHER ? 4 * LONG_COUNT : 0;
  output.fill(OUTPUT, rank * own, (rank + 1) * own);
  return output.every((byte) => byte === OUTPUT);
}

/** What rank 1 sends rank 0 first in a call. */
function frameOf(call: WorldCall, more: Partial<DataFrame> = {}): DataFrame {
  const digest = digestOf(describeWorldCall(call));
  return { sequence: 1, digest, index: 0, bytes: 4 * Math.min(call.count, LONG_COUNT), ...more };
}

describe.each(CALLS)('%s', (_, call) => {
  const mismatch = (theirs: string) => ({ kind: 'mismatch', peer: 1, theirs });
  const wrong = { kind: 'frame', peer: 1, found: 'another frame' };
  const text = describeWorldCall(call);
  const named = callBytes(text);
  const head = dataHeadBytes(frameOf(call).bytes);
  const data = dataBytes(frameOf(call));
  const wide = (...bytes: readonly number[]) => joined(Uint8Array.from(bytes), new Uint8Array(600));

  it.each([
    ['another call', callBytes('another call'), mismatch('another call')],
    ['data without a call', data, { kind: 'frame', peer: 1, found: 'no call' }],
    ['a text that is no call', wide(0x81, 7), { ...wrong, found: 'a text that is no call' }],
    ['another operation', joined(named, dataBytes(frameOf(call, { sequence: 2 }))), mismatch(text)],
    ['another digest', joined(named, dataBytes(frameOf(call, { digest: 5 }))), mismatch(text)],
    ['another number', joined(named, dataBytes(frameOf(call, { index: 1 }))), wrong],
    ['another length', joined(named, dataBytes(frameOf(call, { bytes: 36 }))), wrong],
    ['a header of another length', joined(named, data.with(head - 1, 0x80)), wrong],
    ['a mask', joined(named, data.with(1, (data[1] ?? 0) | 0x80)), wrong],
    ['a ping', joined(named, Uint8Array.of(0x89, 0)), wrong],
    ['a close', joined(named, Uint8Array.of(0x88, 0)), wrong],
    ['half a message', joined(named, data.with(0, 0x02)), wrong],
    ['rubbish', joined(named, wide(1, 2, 3)), wrong],
    ['a call in its middle', joined(named, callBytes('another call')), mismatch('another call')],
  ])('%s ends it before a byte is stored', (_what, sent, reason) => {
    const operation = operationOf(call, 0);
    world.wire(1, 0).putAll(sent);
    expect(outcomeOf(operation)).toEqual(reason);
    expect(isUntouched(0, call)).toBe(true);
  });

  it('ranks that call different things both hear of it, before a byte is stored', () => {
    const operations = new Map([
      [0, operationOf(call, 0)],
      [1, operationOf(call, 1, 'something else')],
    ]);
    const found = outcomes(operations);
    expect(found.get(0)).toEqual(mismatch('something else'));
    expect(found.get(1)).toEqual({ kind: 'mismatch', peer: 0, theirs: text });
    expect(ranksOf(2).every((rank) => isUntouched(rank, call))).toBe(true);
  });

  it('a call that differs from the one before is told too, whoever is behind', () => {
    for (const late of [0, 1]) {
      build(2);
      expect([...outcomes(both(call, 1)).values()]).toEqual(['ended', 'ended']);
      const second = new Map(
        ranksOf(2).map((rank) => {
          return [rank, operationOf(call, rank, rank === late ? undefined : 'the next', 2)];
        }),
      );
      const found = outcomes(second);
      const theirs = ['the next', text];
      expect(found.get(late)).toEqual({ kind: 'mismatch', peer: 1 - late, theirs: theirs[0] });
      expect(found.get(1 - late)).toEqual({ kind: 'mismatch', peer: late, theirs: theirs[1] });
    }
  });

  const all = joined(named, data);
  const cuts = [0, 1, 300, 511, 512, 513, 520, 530, 535, 540, all.length - 1];

  it.each(cuts)('a peer that left after %i bytes is a fault that names it', (cut) => {
    const operation = operationOf(call, 0);
    world.wire(1, 0).putAll(all.subarray(0, cut));
    world.kill(1);
    // Nobody has said yet that it has left, so it is waited for.
    expect(outcomeOf(operation)).toBe('waiting');
    world.rank(0).control.departed(1, 0);
    expect(outcomeOf(operation)).toEqual({ kind: 'departed', peer: 1 });
  });

  it.each(cuts)('a wire that ends after %i bytes is lost if nobody says why', (cut) => {
    const operation = operationOf(call, 0);
    world.wire(1, 0).putAll(all.subarray(0, cut));
    world.kill(1, cut % 2 === 0 ? 'ended' : 'broken');
    expect(outcomeOf(operation)).toBe('waiting');
    world.now += 5_000;
    expect(outcomeOf(operation)).toBe('waiting');
    world.now += 1;
    expect(outcomeOf(operation)).toEqual({ kind: 'lost', peer: 1 });
  });

  it('a wire to a peer that breaks is lost, too, though the one from it is there', () => {
    build(2, 512 + 20);
    const operation = operationOf(call, 0);
    expect(outcomeOf(operation)).toBe('waiting');
    world.wire(0, 1).state = 'broken';
    expect(outcomeOf(operation)).toBe('waiting');
    world.now += 5_001;
    expect(outcomeOf(operation)).toEqual({ kind: 'lost', peer: 1 });
  });

  it('a wire from a peer that ends is lost, too, though the one to it is there', () => {
    const operation = operationOf(call, 0);
    world.wire(1, 0).state = 'ended';
    expect(outcomeOf(operation)).toBe('waiting');
    world.now += 5_001;
    expect(outcomeOf(operation)).toEqual({ kind: 'lost', peer: 1 });
  });

  it('a peer that left after its end is no fault: what it sent is still there', () => {
    build(2, 256 * KiB);
    const operations = [operationOf(call, 0), operationOf(call, 1)] as const;
    expect(outcomeOf(operations[0])).toBe('waiting');
    // The second has all it needs, unless it must wait for an answer.
    for (let turn = 0; turn < 4 && outcomeOf(operations[1]) !== 'ended'; turn++)
      outcomeOf(operations[0]);
    world.kill(1);
    world.rank(0).control.departed(1, 0);
    expect(outcomeOf(operations[0])).toBe('ended');
  });

  it('never sleeps for a wire that has ended', () => {
    const operation = operationOf(call, 0);
    world.kill(1);
    expect(outcomeOf(operation)).toBe('waiting');
    world.stopped(0);
    expect(world.isAwake(0)).toBe(false);
  });
});

function both(call: WorldCall, sequence: number): Map<Rank, ProgramOperation> {
  return new Map(ranksOf(2).map((rank) => [rank, operationOf(call, rank, undefined, sequence)]));
}

describe('a peer that stops reading', () => {
  it.each(CALLS)('makes the sender wait, which keeps nothing of its own: %s', (_, call) => {
    build(2, 512 + 20);
    const { memory } = world.rank(0);
    const operation = operationOf(call, 0);
    // All that the peer has to send comes, but it reads nothing.
    const outcome = outcomeOf(operation);
    const { byteLength } = memory.buffer;
    const before = process.memoryUsage().arrayBuffers;
    for (let turn = 0; turn < 2_000; turn++) expect(operation.advance()).toBe(false);
    expect(outcome).toBe('waiting');
    expect(world.wire(0, 1).held).toBe(532);
    expect(memory.buffer.byteLength).toBe(byteLength);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * KiB);
  });

  it.each(CALLS)('holds the sender up only until it reads again: %s', (_, call) => {
    build(2, 600);
    const operations = both(call, 1);
    expect(outcomeOf(operations.get(0) as ProgramOperation)).toBe('waiting');
    const found = ranksOf(400).reduce((last) => {
      const now = outcomes(new Map([...operations].filter(([rank]) => last.get(rank) !== 'ended')));
      return new Map([...last, ...now]);
    }, new Map<Rank, unknown>());
    expect([...found.values()]).toEqual(['ended', 'ended']);
  });
});

describe('the communicator of three ranks', () => {
  it('one that dies is told by whoever waits for it, others wait', () => {
    build(3);
    const operations = [0, 2].map((rank) => operationOf(REDUCTION, rank));
    world.kill(1);
    for (const operation of operations) expect(outcomeOf(operation)).toBe('waiting');
    for (const rank of [0, 2]) world.rank(rank).control.departed(1, 0);
    expect(operations.map(outcomeOf)).toEqual([
      { kind: 'departed', peer: 1 },
      { kind: 'departed', peer: 1 },
    ]);
  });
});
