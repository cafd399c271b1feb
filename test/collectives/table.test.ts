import { describe, expect, it } from 'vitest';
import { COLLECTIVES } from '../../collectives/collective.ts';
import { algorithmsFor, type BuildRequest, buildSchedule } from '../../collectives/table.ts';
import { boxOf, flatTopology, ranksIn } from '../../collectives/topology.ts';
import { LATENCY_BOUND_BYTES, selectAlgorithm } from '../../collectives/tuner.ts';
import { KiB } from '../../common/bytes.ts';
import { HlsimError } from '../../common/errors.ts';
import { CASES } from './support.ts';

const request: BuildRequest = {
  collective: 'allReduce',
  algorithm: 'ring',
  topology: { boxes: 2, ranksPerBox: 3 },
};

function errorOf(change: Partial<BuildRequest>): HlsimError {
  try {
    buildSchedule({ ...request, ...change });
  } catch (reason) {
    if (reason instanceof HlsimError) return reason;
    throw reason;
  }
  throw new Error('Expected buildSchedule() to throw');
}

describe('buildSchedule()', () => {
  it('builds for all ranks of the topology, and hands on root and chunks', () => {
    expect(buildSchedule(request)).toMatchObject({ algorithm: 'ring', nranks: 6, chunks: 6 });
    expect(buildSchedule({ ...request, chunks: 12 }).chunks).toBe(12);
    const broadcast = { ...request, collective: 'broadcast', algorithm: 'binomialTree' } as const;
    expect(buildSchedule({ ...broadcast, root: 5 })).toMatchObject({ root: 5, chunks: 1 });
  });

  it.each<[string, Partial<BuildRequest>, string]>([
    [
      'an unknown algorithm',
      { algorithm: 'bruck' },
      'Expected an algorithm for allReduce but found bruck: use one of ring, recursiveDoubling',
    ],
    [
      'an algorithm of another collective',
      { collective: 'broadcast' },
      'Expected an algorithm for broadcast but found ring: use one of binomialTree',
    ],
    [
      'an unknown collective',
      { collective: 'allToAll' as 'allReduce' },
      'Expected a collective of allReduce, allGather, broadcast but found allToAll',
    ],
    [
      'a broken restriction',
      { chunks: 8 },
      'Expected a number of chunks that is a multiple of the number of ranks for ring allReduce ' +
        'but found 6 ranks and 8 chunks: change it or use one of ring, recursiveDoubling',
    ],
    ['a root outside', { root: 6 }, 'Expected root from 0 to 5 but found 6'],
    ['no chunks', { chunks: 0 }, 'Expected chunks of at least 1 but found 0'],
    ['no ranks', { topology: flatTopology(0) }, 'Expected ranks of at least 1 but found 0'],
  ])('refuses %s', (_, change, message) => {
    const error = errorOf(change);
    expect(error.code).toBe('HLSIM_USAGE');
    expect(error.message).toBe(message);
  });
});

describe('the table', () => {
  it('has an algorithm for every collective, and no name twice within one', () => {
    for (const collective of COLLECTIVES) {
      const names = algorithmsFor(collective);
      expect(names.length).toBeGreaterThan(0);
      expect(new Set(names).size).toBe(names.length);
    }
  });

  it('builds what each row says', () => {
    for (const { collective, algorithm } of CASES) {
      const schedule = buildSchedule({ ...request, collective, algorithm });
      expect(schedule).toMatchObject({ collective, algorithm });
    }
  });
});

describe('selectAlgorithm()', () => {
  const select = (bytes: number, nranks = 4) =>
    selectAlgorithm({ collective: 'allReduce', bytes, nranks });

  it('takes few rounds for small all-reduces and few bytes for large ones', () => {
    expect(select(0)).toBe('recursiveDoubling');
    expect(select(LATENCY_BOUND_BYTES)).toBe('recursiveDoubling');
    expect(select(LATENCY_BOUND_BYTES + 4)).toBe('ring');
  });

  it('does not cut a ring into crumbs', () => {
    expect(select(63 * KiB, 64)).toBe('recursiveDoubling');
    expect(select(64 * KiB, 64)).toBe('ring');
  });

  it('only names algorithms that the table has for any number of ranks', () => {
    for (const collective of COLLECTIVES) {
      for (const bytes of [0, 1 * KiB, 1024 * KiB]) {
        for (const nranks of [1, 2, 3, 64]) {
          const algorithm = selectAlgorithm({ collective, bytes, nranks });
          const schedule = buildSchedule({ collective, algorithm, topology: flatTopology(nranks) });
          expect(schedule.nranks).toBe(nranks);
        }
      }
    }
  });
});

describe('Topology', () => {
  it('numbers ranks box by box', () => {
    const topology = { boxes: 2, ranksPerBox: 3 };
    expect(ranksIn(topology)).toBe(6);
    expect([0, 2, 3, 5].map((rank) => boxOf(topology, rank))).toEqual([0, 0, 1, 1]);
    expect(() => boxOf(topology, 6)).toThrow('Expected a rank below 6 but found 6');
  });
});
