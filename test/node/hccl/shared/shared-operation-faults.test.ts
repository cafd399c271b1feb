/** What an operation on shared memory does when its peers lie, leave, or call something else. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Rank } from '../../../../collectives/schedule.ts';
import { defined } from '../../../../common/assert.ts';
import { ranksOf } from '../../../../common/math.ts';
import { Prng } from '../../../../common/prng.ts';
import { DeclinedOperation } from '../../../../node/hccl/shared/declined-operation.ts';
import type { SharedOperation } from '../../../../node/hccl/shared/shared-operation.ts';
import { drive, SharedWorld } from './shared-world.ts';
import type { WorldCall } from './world-call.ts';

describe('what goes wrong in an operation', () => {
  const call: WorldCall = {
    ...{ mode: 'pull', collective: 'allReduce', algorithm: 'direct', root: 0 },
    ...{ count: 1000, type: 'float32', op: 'sum', inPlace: [false, false] },
  };
  const small: WorldCall = { ...call, mode: 'small', algorithm: 'mailbox', count: 10 };
  let world: SharedWorld;
  let prng: Prng;
  beforeEach(() => {
    world = new SharedWorld(2);
    prng = new Prng(9);
    for (const { windows } of world.ranks)
      for (const start of windows) world.bytes.fill(0x11, start, start + 1000);
  });

  function operationOf(one: WorldCall, rank: Rank, changes: object = {}, text?: string) {
    const { input, output } = world.buffers(one, rank, 0);
    const options = { input: { ...input, ...changes }, output, sequence: 1 };
    return world.operation(one, rank, { ...options, ...(text && { text }) });
  }

  it.each([
    ['pull', call],
    ['small', small],
  ] as const)(
    'ranks that call different things both hear of it, before a byte moves: %s',
    (_, one) => {
      const before = Buffer.from(world.bytes.slice());
      const operations = new Map([
        [0, operationOf(one, 0)],
        [1, operationOf(one, 1, {}, 'something else')],
      ]);
      const outcomes = drive(operations, prng);
      expect(outcomes.get(0)).toMatchObject({
        reason: { kind: 'mismatch', peer: 1, theirs: 'something else' },
      });
      expect(outcomes.get(1)).toMatchObject({ reason: { kind: 'mismatch', peer: 0 } });
      for (const { windows } of world.ranks) {
        for (const start of windows) {
          const now = Buffer.from(world.bytes.slice(start, start + 8192));
          expect(now.equals(before.subarray(start, start + 8192))).toBe(true);
        }
      }
    },
  );

  it.each([[call], [small]])('a rank that declines: all hear of it, before a byte moves', (one) => {
    world = new SharedWorld(3);
    const [first = 0, second = 0] = world.rank(0).windows;
    const before = Buffer.from(world.bytes.slice(first, second + 8192));
    const operations = new Map<Rank, SharedOperation>([
      [0, operationOf(one, 0)],
      [1, new DeclinedOperation(world.rank(1).place, 'the call', 1)],
      [2, operationOf(one, 2)],
    ]);
    const outcomes = drive(operations, prng);
    for (const rank of ranksOf(3))
      expect(outcomes.get(rank)).toMatchObject({ reason: { kind: 'declined' } });
    expect(Buffer.from(world.bytes.slice(first, second + 8192)).equals(before)).toBe(true);
  });

  it.each([
    ['a number that nobody has announced', { window: 77 }],
    ['no window at all', { window: 0 }],
    ['a number that was taken back', { window: 1, removed: true }],
    ['a place behind the end', { windowOffset: 1024 * 1024 - 1999 }],
    ['a place far behind the end', { windowOffset: 2 ** 52 }],
    ['a place that makes the sum inexact', { windowOffset: Number.MAX_SAFE_INTEGER }],
    ['a negative place', { windowOffset: -4 }],
    ['half a byte', { windowOffset: 0.5 }],
    ['no number as a place', { windowOffset: Number.NaN }],
    ['an infinite place', { windowOffset: Number.POSITIVE_INFINITY }],
  ])(
    'a peer that names %s is not read',
    (_, {
      removed = false,
      ...changes
    }: { removed?: boolean; window?: number; windowOffset?: number }) => {
      if (removed) world.rank(0).control.removeWindow(1, 1);
      const before = world.bytes.slice();
      const operations = new Map([
        [0, operationOf(call, 0)],
        [1, operationOf(call, 1, changes)],
      ]);
      const outcomes = drive(operations, prng, (ended) => ended.has(0));
      expect(outcomes.get(0)).toMatchObject({ reason: { kind: 'window', peer: 1 } });
      // Nothing that is this rank's was written.
      const [first, second] = world.rank(0).windows;
      const end = 2 * second - first;
      expect(Buffer.from(world.bytes.slice(first, end)).equals(before.subarray(first, end))).toBe(
        true,
      );
    },
  );

  it('a place that is no multiple of the element is read as it is, inside the window', () => {
    const operations = new Map([
      [0, operationOf(call, 0)],
      [1, operationOf(call, 1, { windowOffset: 3 })],
    ]);
    expect([...drive(operations, prng).values()]).toEqual(['ended', 'ended']);
  });

  it('a window that is shorter than what is read of it is refused', () => {
    const { control, windows } = world.rank(0);
    const [offset] = world.rank(1).windows;
    control.removeWindow(1, 1);
    // Of the peer's vector of 4000 bytes this rank reads the first 2000.
    control.addWindow({ rank: 1, id: 1, offset, bytes: 1999 });
    const operations = new Map([0, 1].map((rank) => [rank, operationOf(call, rank)]));
    const outcomes = drive(operations, prng, (ended) => ended.has(0));
    expect(outcomes.get(0)).toMatchObject({ reason: { kind: 'window', peer: 1 } });
    expect(world.bytes[windows[1]]).toBe(0x11);
  });

  it.each([
    ['pull', call],
    ['small', small],
  ] as const)('a peer that left before it is a fault that names it: %s', (_, one) => {
    const operation = operationOf(one, 0);
    expect(operation.advance()).toBe(false);
    world.rank(0).control.departed(1, world.rank(1).mailbox.progress);
    expect(() => operation.advance()).toThrow(
      expect.objectContaining({ reason: { kind: 'departed', peer: 1 } }),
    );
  });

  it('a peer that left in the middle of it is a fault that names it', () => {
    const operations = [operationOf(call, 0), operationOf(call, 1)] as const;
    // Both have the other's header, and the second stops in the middle.
    expect(operations[1].advance()).toBe(false);
    expect(operations[0].advance()).toBe(false);
    const { progress } = world.rank(1).mailbox;
    expect(progress).toBeGreaterThan(0);
    world.rank(0).control.departed(1, progress);
    expect(() => operations[0].advance()).toThrow(
      expect.objectContaining({ reason: { kind: 'departed', peer: 1 } }),
    );
  });

  it.each([
    ['pull', call],
    ['small', small],
  ] as const)(
    'a peer that left after its end is no fault, as long as it has been read: %s',
    (_, one) => {
      const operations = [operationOf(one, 0), operationOf(one, 1)] as const;
      const firstToEnd = (): Rank => {
        for (let turn = 0; turn < 20; turn++)
          for (const rank of [1, 0]) if (operations[rank]?.advance()) return rank;
        expect.fail('nobody got to the end');
      };
      const [first, last] = firstToEnd() === 0 ? [0, 1] : [1, 0];
      world.rank(last).control.departed(first, world.rank(first).mailbox.progress);
      const left = new Map([[last, defined(operations[last], 'an operation')]]);
      expect(drive(left, prng).get(last)).toBe('ended');
    },
  );

  it('a peer whose mailbox has gone is never read, even if it had come so far', () => {
    const three = new SharedWorld(3);
    const one = { ...small, inPlace: [false, false, false] };
    const operations = ranksOf(3).map((rank) => {
      const { input, output } = three.buffers(one, rank, 0);
      return three.operation(one, rank, { input, output, sequence: 1 });
    });
    const [first, second, third] = operations as [
      SharedOperation,
      SharedOperation,
      SharedOperation,
    ];
    // Rank 0 has greeted rank 1 and waits for rank 2; rank 1 gets to its end and leaves.
    second.advance();
    expect(first.advance()).toBe(false);
    third.advance();
    expect(second.advance()).toBe(true);
    const { mailbox } = three.rank(1);
    three.rank(0).control.departed(1, mailbox.progress);
    three.bytes.fill(0, mailbox.doorbellOffset - 4, mailbox.doorbellOffset - 4 + 65_536);
    expect(() => first.advance()).toThrow(
      expect.objectContaining({ reason: { kind: 'departed', peer: 1 } }),
    );
  });
});
