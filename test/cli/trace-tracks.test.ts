import { describe, expect, it } from 'vitest';
import { alignmentOf, uncertaintyMs } from '../../cli/trace-clock.ts';
import { tracksOfTrace } from '../../cli/trace-tracks.ts';
import type { ReadEvent } from '../../node/hccl/traced-events.ts';

const reading = (atMs: number, offsetMs: number, uncertainty: number) => ({
  ...{ atMs, offsetMs },
  uncertaintyMs: uncertainty,
});

describe('Clocks of hosts', () => {
  it('that run alike have the offset that is known best', () => {
    const clock = { begin: reading(0, 100, 0.5), end: reading(1_000, 100.4, 0.2) };
    expect(alignmentOf(clock)(500)).toBe(600.4);
    expect(uncertaintyMs(clock)).toBe(0.2);
  });

  it('that drift have an offset that does', () => {
    const clock = { begin: reading(0, 100, 0.1), end: reading(1_000, 102, 0.2) };
    expect(alignmentOf(clock)(500)).toBe(601);
    expect(uncertaintyMs(clock)).toBe(0.2);
  });
});

/** Ranks 1 and 0 of the communicator are ranks 4 and 5 of the world, each on a host of its own. */
function trace(...events: readonly (readonly [rank: 0 | 1, event: Partial<ReadEvent>])[]) {
  const hosts = [0, 1].map((index) => {
    const offset = reading(0, index === 0 ? 1_000 : 2_000, 0.1);
    const own = events.filter(([rank]) => rank === index);
    return {
      host: { index, hostname: `box${index}` },
      ...{ clock: { begin: offset, end: offset }, dropped: 0, remarks: [] },
      events: own.map(([rank, event]): ReadEvent => {
        const place = { rank, worldRank: 5 - rank, uniqueId: 'u', sequence: 1 };
        const part = { channel: 0, step: 2, slice: 1, bytes: 64 };
        return { kind: 'sendBegin', atMs: 0, ...place, ...part, ...event };
      }),
    };
  });
  return tracksOfTrace({ hosts, failures: [] });
}

describe('The tracks of a real run', () => {
  it('put a message on the way to its receiver, from begin to acknowledgement, and say when it arrived', () => {
    const { events, startMs, unpaired } = trace(
      [0, { kind: 'sendBegin', atMs: 1_000, peer: 1 }],
      [0, { kind: 'sendEnd', atMs: 1_004, peer: 1 }],
      // The receiver's step has another number.
      [1, { kind: 'arrived', atMs: 3, step: 7, peer: 0 }],
    );
    expect(startMs).toBe(2_000);
    expect(unpaired).toBe(0);
    expect(events).toEqual([
      expect.objectContaining({
        ...{ rank: 5, track: { kind: 'link', to: 4 }, name: 'send 0.2.1', category: 'link' },
        ...{ beginMicros: 0, endMicros: 4_000 },
        details: expect.objectContaining({ bytes: 64, peer: 4, arrivedMicros: 3_000, call: 1 }),
      }),
    ]);
  });

  it('say nothing of arrivals where one of them is missing', () => {
    const { events } = trace(
      [0, { kind: 'sendBegin', atMs: 0, peer: 1, slice: 0 }],
      [0, { kind: 'sendBegin', atMs: 1, peer: 1, slice: 1 }],
      [0, { kind: 'sendEnd', atMs: 2, peer: 1, slice: 0 }],
      [0, { kind: 'sendEnd', atMs: 3, peer: 1, slice: 1 }],
      [1, { kind: 'arrived', atMs: 3, peer: 0 }],
    );
    expect(events).toHaveLength(2);
    for (const { details } of events) expect(details).not.toHaveProperty('arrivedMicros');
  });

  it('show a read on the way from the peer, and what the reader does with it', () => {
    const { events } = trace(
      [0, { kind: 'waited', atMs: 0, endMs: 1, peer: 1 }],
      [0, { kind: 'read', atMs: 1, endMs: 2, peer: 1, isReduced: true }],
      [1, { kind: 'read', atMs: -999, endMs: -998, peer: 1, isReduced: false }],
    );
    const shown = events.map(({ rank, track, name }) => [rank, track, name]);
    expect(shown).toEqual([
      [5, { kind: 'channel', channel: 0 }, 'wait for rank 4'],
      [5, { kind: 'channel', channel: 0 }, 'reduce 0.2.1'],
      [4, { kind: 'link', to: 5 }, 'read 0.2.1'],
      // Its own memory: no way to anybody.
      [4, { kind: 'channel', channel: 0 }, 'copy 0.2.1'],
    ]);
  });

  it('count halves whose other half is missing', () => {
    const { events, unpaired } = trace(
      [0, { kind: 'computeEnd', atMs: 0 }],
      [1, { kind: 'sendBegin', atMs: 0, peer: 0 }],
    );
    expect(events).toEqual([]);
    expect(unpaired).toBe(2);
  });
});
