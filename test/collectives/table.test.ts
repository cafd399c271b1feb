import { describe, expect, it } from 'vitest';
import { COLLECTIVES } from '../../collectives/collective.ts';
import { algorithmsFor, type BuildRequest, buildSchedule } from '../../collectives/table.ts';
import { boxOf, flatTopology, ranksIn } from '../../collectives/topology.ts';
import { HlsimError } from '../../common/errors.ts';
import { CASES, RANK_COUNTS, scheduleOf } from './support.ts';

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
      { algorithm: 'star' },
      `Expected an algorithm for allReduce but found star: use one of ${algorithmsFor('allReduce').join(', ')}`,
    ],
    [
      'an algorithm of another collective',
      { collective: 'broadcast' },
      `Expected an algorithm for broadcast but found ring: use one of ${algorithmsFor('broadcast').join(', ')}`,
    ],
    [
      'an unknown collective',
      { collective: 'custom' },
      `Expected a collective of ${COLLECTIVES.join(', ')} but found custom`,
    ],
    [
      'a broken restriction',
      { chunks: 8 },
      'Expected a number of chunks that is a multiple of the number of ranks for ring allReduce ' +
        'but found 6 ranks in 2 boxes and 8 chunks: change it or use one of ' +
        algorithmsFor('allReduce').join(', '),
    ],
    [
      'uneven blocks that would have to change places in place',
      { collective: 'allToAllV', algorithm: 'direct', placement: 'inPlace' },
      'Expected buffers that lie apart for direct allToAllV but found 6 ranks in 2 boxes and ' +
        `default chunks: change it or use one of ${algorithmsFor('allToAllV').join(', ')}`,
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

  it('has for every collective an algorithm that does any number of ranks', () => {
    for (const collective of COLLECTIVES) {
      const general = CASES.filter(
        (one) =>
          one.collective === collective &&
          RANK_COUNTS.every((nranks) => scheduleOf(one, { nranks }) !== undefined),
      );
      expect(general.length, collective).toBeGreaterThan(0);
    }
  });

  it('builds what each row says, with as many channels as asked for', () => {
    for (const { collective, algorithm } of CASES) {
      const four = { ...request, topology: { boxes: 2, ranksPerBox: 2 }, collective, algorithm };
      const schedule = buildSchedule(four);
      expect(schedule).toMatchObject({ collective, algorithm });
      const spread = buildSchedule({ ...four, channels: 3 });
      expect(spread).toMatchObject({ collective, algorithm, chunks: 3 * schedule.chunks });
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
