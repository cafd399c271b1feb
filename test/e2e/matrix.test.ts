/** The numeric matrix on real processes, with the largest count in a few cases only; whole: `npm run matrix`. */
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ALGORITHMS } from '../../collectives/algorithms.ts';
import { COLLECTIVE_WORDS, wordOfCollective } from '../../collectives/names.ts';
import { buildSchedule } from '../../collectives/table.ts';
import { HlsimError } from '../../common/errors.ts';
import { TestProcesses } from './command.ts';
import { type MatrixCase, pairwiseCases } from './matrix/cases.ts';
import { expectedDigests } from './matrix/reference.ts';
import { reportFile, reportLine } from './matrix/report.ts';
import { type ClusterOutcome, type RunHlsim, runMatrix } from './matrix/run.ts';
import { CLUSTERS, COUNTS, matrixWays, SMALL_COUNTS, topologyOf, type Way } from './matrix/ways.ts';

const MATRIX_TIMEOUT_MS = 600_000;

const LARGE: readonly Omit<MatrixCase, 'id'>[] = [
  large({ collective: 'all_reduce', algorithm: 'ring', dataType: 'float', reduceOp: 'sum' }),
  large({ collective: 'all_reduce', algorithm: 'hierarchical', dataType: 'half', reduceOp: 'avg' }),
  large({ collective: 'reduce', algorithm: 'chain', dataType: 'int64', reduceOp: 'prod' }),
  large({ collective: 'reduce_scatter', algorithm: 'direct', dataType: 'double', reduceOp: 'min' }),
  large({ collective: 'all_gather', algorithm: 'bruck', dataType: 'uint8', reduceOp: 'none' }),
  large({ collective: 'alltoall', algorithm: 'bruck', dataType: 'int32', reduceOp: 'none' }),
];

function large(
  one: Pick<MatrixCase, 'collective' | 'algorithm' | 'dataType' | 'reduceOp'>,
): Omit<MatrixCase, 'id'> {
  return { ...one, cluster: '2x2', count: 2 ** 20, place: 'outOfPlace', channels: 2 };
}

const CASE: MatrixCase = {
  ...{ id: 0, collective: 'all_reduce', algorithm: 'ring', cluster: '2x2', count: 1000 },
  ...{ dataType: 'half', reduceOp: 'sum', place: 'outOfPlace', channels: 1 },
};

async function outcomesOf(cases: readonly MatrixCase[], hlsim: RunHlsim) {
  const outcomes: ClusterOutcome[] = [];
  for await (const outcome of runMatrix(cases, hlsim)) outcomes.push(outcome);
  return outcomes;
}

describe('the ways of the matrix', () => {
  const ways = matrixWays(COUNTS);

  it('are all collectives of all algorithms', () => {
    for (const { name, collectives } of ALGORITHMS) {
      for (const collective of collectives) {
        const word = wordOfCollective(collective);
        const found = ways.filter(
          (way) => way.collective === word && way.algorithm.split('(')[0] === name,
        );
        expect(found.length, `${word} ${name}`).toBeGreaterThan(0);
      }
    }
    expect(new Set(ways.map(({ collective }) => collective))).toEqual(
      new Set(Object.keys(COLLECTIVE_WORDS)),
    );
  });

  it('keep to the restrictions, and leave out nothing else', () => {
    for (const { collective, algorithm, sites } of ways) {
      for (const cluster of CLUSTERS) {
        for (const placement of ['outOfPlace', 'inPlace'] as const) {
          if (placement === 'inPlace' && ['barrier', 'sendrecv'].includes(collective)) continue;
          const isIn = sites.some((site) => site.cluster === cluster && site.place === placement);
          const build = () =>
            buildSchedule({
              collective: COLLECTIVE_WORDS[collective],
              ...{ algorithm, topology: topologyOf(cluster), placement },
            });
          if (isIn) expect(build).not.toThrow();
          else expect(build).toThrow(HlsimError);
        }
      }
    }
  });

  it('have operations where there is a reduction', () => {
    const reducing = new Set(
      ways.filter(({ reduceOps }) => reduceOps.length === 5).map(({ collective }) => collective),
    );
    expect(reducing).toEqual(
      new Set(['all_reduce', 'reduce', 'reduce_scatter', 'reduce_scatter_v']),
    );
    const others = ways.filter(({ collective }) => !reducing.has(collective));
    expect(new Set(others.flatMap(({ reduceOps }) => reduceOps))).toEqual(new Set(['none']));
  });
});

describe.each([
  ['small', SMALL_COUNTS],
  ['whole', COUNTS],
])('the %s matrix', (_, counts) => {
  const ways = matrixWays(counts);
  const cases = pairwiseCases(ways);

  it('has every pair of values that can go together, and no case that cannot be', () => {
    const covered = new Set(
      cases.flatMap((one) => pairs(`${one.collective} ${one.algorithm}`, one)),
    );
    const possible = new Set(ways.flatMap(possiblePairs));
    expect(possible.size).toBeGreaterThan(2000);
    expect(covered).toEqual(possible);
  });

  it('is the same every time', () => {
    expect(pairwiseCases(ways)).toEqual(cases);
  });
});

describe('the reference', () => {
  it('has other bits where the order of additions is another', () => {
    const ring = expectedDigests(CASE);
    expect(new Set(ring).size).toBe(1);
    expect(expectedDigests({ ...CASE, algorithm: 'binomialTree' })).not.toEqual(ring);
    expect(expectedDigests({ ...CASE, algorithm: 'recursiveDoubling' })).not.toEqual(ring);
  });

  it.each(['sum', 'prod', 'min', 'max', 'avg'] as const)('tells %s from the others', (reduceOp) => {
    const found = expectedDigests({ ...CASE, reduceOp })[0];
    for (const other of ['sum', 'prod', 'min', 'max', 'avg'] as const) {
      const [digest] = expectedDigests({ ...CASE, reduceOp: other });
      if (other !== reduceOp) expect(digest).not.toBe(found);
    }
  });
});

describe('the comparison', () => {
  const digests = expectedDigests(CASE);
  const choice = { algorithm: 'ring', channels: 1 };
  const right = digests.map((digest) => ({ case: 0, digest, inputKept: true, choice }));

  /** Writes what the ranks are to have said. */
  const saying =
    (reports: readonly (typeof right)[number][], code = 0): RunHlsim =>
    async (args) => {
      const file = args.at(-1) ?? '';
      for (const [rank, report] of reports.entries()) {
        writeFileSync(reportFile(file, rank), reportLine(report));
      }
      return { code, stderr: 'told so' };
    };

  it('finds nothing where all is right', async () => {
    const [outcome] = await outcomesOf([CASE], saying(right));
    expect(outcome).toMatchObject({ results: 4, wrong: [] });
  });

  it('names what is wrong', async () => {
    const [first, second, third] = right;
    if (first === undefined || second === undefined || third === undefined) expect.unreachable();
    const reports = [
      { ...first, digest: 'another' },
      { ...second, inputKept: false },
      { ...third, choice: { algorithm: 'direct', channels: 1 } },
    ];
    const [outcome] = await outcomesOf([CASE], saying(reports, 1));
    const where = 'in all_reduce ring on 2x2, 1000 half sum, out of place, 1 channels (case 0)';
    expect(outcome?.wrong).toEqual([
      'on 2x2 exit code 1: told so',
      `other bits than the reference on rank 0 ${where}`,
      `an input that was overwritten on rank 1 ${where}`,
      `direct x1 (undefined chunks) instead, on rank 2 ${where}`,
      `no result of rank 3 ${where}`,
    ]);
    expect(outcome?.wrongCases).toEqual(new Set([0]));
  });
});

describe('the matrix on real processes', () => {
  let processes: TestProcesses;
  beforeEach(() => {
    processes = new TestProcesses();
  });
  afterEach(() => processes.expectNone());

  it(
    'has the bits of the reference in every result of every rank',
    async () => {
      const small = pairwiseCases(matrixWays(SMALL_COUNTS));
      const cases = [
        ...small,
        ...LARGE.map((one, index) => ({ id: small.length + index, ...one })),
      ];
      const outcomes = await outcomesOf(cases, (args) => processes.run(args));
      expect(outcomes.flatMap(({ wrong }) => wrong)).toEqual([]);
      expect(outcomes.map(({ cluster }) => cluster)).toEqual(CLUSTERS);
      const results = outcomes.reduce((sum, outcome) => sum + outcome.results, 0);
      expect(results).toBeGreaterThan(2 * cases.length);
    },
    MATRIX_TIMEOUT_MS,
  );
});

/** `factor value, factor value`, the factors in the order of their names. */
function pairs(way: string, one: Partial<Omit<MatrixCase, 'id'>>): string[] {
  const { collective: _, algorithm: __, ...rest } = one;
  const { id: ___, ...factors } = { id: 0, ...rest };
  const values = Object.entries({ way, ...factors })
    .map(([factor, value]) => `${factor} ${value}`)
    .sort();
  return values.flatMap((first, index) =>
    values.slice(index + 1).map((next) => `${first}, ${next}`),
  );
}

/** Said once more, by looking at what goes together: only cluster and place depend on each other. */
function possiblePairs(way: Way): string[] {
  const name = `${way.collective} ${way.algorithm}`;
  const [anySite] = way.sites;
  const found: string[] = [];
  for (const [count, dataType, reduceOp, channels] of alternatives(way)) {
    found.push(...pairs(name, { ...anySite, count, dataType, reduceOp, channels }));
  }
  for (const site of way.sites) {
    for (const count of way.counts) found.push(...pairs(name, { ...site, count }));
    for (const dataType of way.dataTypes) found.push(...pairs(name, { ...site, dataType }));
    for (const reduceOp of way.reduceOps) found.push(...pairs(name, { ...site, reduceOp }));
    for (const channels of way.channels) found.push(...pairs(name, { ...site, channels }));
  }
  return found;
}

/** Every two values of two factors, with any values of the others. */
function alternatives({ counts, dataTypes, reduceOps, channels }: Way) {
  const most = Math.max(counts.length, dataTypes.length, reduceOps.length, channels.length);
  const at = <T>(values: readonly T[], index: number): T => values[index % values.length] as T;
  return Array.from({ length: most ** 2 }, (_, index) => {
    const [first, second] = [index % most, Math.floor(index / most)];
    return [
      [at(counts, first), at(dataTypes, second), at(reduceOps, 0), at(channels, 0)],
      [at(counts, first), at(dataTypes, 0), at(reduceOps, second), at(channels, 0)],
      [at(counts, first), at(dataTypes, 0), at(reduceOps, 0), at(channels, second)],
      [at(counts, 0), at(dataTypes, first), at(reduceOps, second), at(channels, 0)],
      [at(counts, 0), at(dataTypes, first), at(reduceOps, 0), at(channels, second)],
      [at(counts, 0), at(dataTypes, 0), at(reduceOps, first), at(channels, second)],
    ] as const;
  }).flat();
}
