/** Pull plans keep the promise of their schedule, whoever is fast and whoever is slow. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkTable } from '../../collectives/chunks.ts';
import type { Rank, Schedule } from '../../collectives/schedule.ts';
import { flatTopology } from '../../collectives/topology.ts';
import { ranksOf } from '../../common/math.ts';
import { Prng } from '../../common/prng.ts';
import { type Order, plansOf, runPulls } from './pull-runs.ts';
import { randomAllReduce, randomSchedule } from './random-schedule.ts';
import { CASES, type Case, scheduleOf } from './support.ts';

const RANKS_MAX = 9;
const COUNTS = [0, 1, 129, 500];
const SLICES = [1, 2, 3, 7];
/** Random orders of each problem. */
const ORDERS = 1;
const RUNS = 150;
const SEEDS = fc.integer({ min: 0, max: 2 ** 31 });
/** A root that fills its output anew in the round in which another rank reads what was there. */
const FOUND = 1_222_867_012;

function random(prng: Prng): Order {
  return (able) => able[prng.below(able.length)] as Rank;
}

/** One rank as late as can be, or as early. */
function extreme(who: Rank, when: 'first' | 'last'): Order {
  return (able) => {
    const others = able.filter((rank) => rank !== who);
    if (when === 'first') return able.includes(who) ? who : (others[0] as Rank);
    return others[0] ?? who;
  };
}

const ORDERLY: readonly Order[] = [(able) => able[0] as Rank, (able) => able.at(-1) as Rank];

function built(one: Case, nranks: number, placement: 'inPlace' | 'outOfPlace', root: Rank) {
  return scheduleOf(one, { nranks, root, topology: flatTopology(nranks), placement });
}

/** A count as the call would give it: of an all-to-all, a multiple of the ranks. */
function countOf({ collective, nranks }: Schedule, count: number): number {
  return collective === 'allToAll' ? count * nranks : collective === 'barrier' ? 1 : count;
}

function expectRight(
  schedule: Schedule,
  count: number,
  { slices, oracle, prng }: { slices: number; oracle: 'promise' | 'rounds'; prng: Prng },
): boolean {
  const plans = plansOf(schedule, count, slices);
  if ('reason' in plans) {
    expect(plans.reason).not.toBe('');
    return false;
  }
  const table = chunkTable(schedule, count);
  const { nranks } = schedule;
  const placements = [
    ranksOf(nranks).map(() => true),
    ranksOf(nranks).map(() => false),
    ranksOf(nranks).map(() => prng.below(2) === 0),
  ];
  const who = prng.below(nranks);
  const orders = [
    ...ORDERLY,
    extreme(who, 'first'),
    extreme(who, 'last'),
    ...Array.from({ length: ORDERS }, () => random(prng)),
  ];
  for (const inPlace of placements) {
    const order = orders[prng.below(orders.length)] as Order;
    const all = inPlace === placements[2] ? orders : [order];
    for (const one of all) {
      const wrong = runPulls({ schedule, table, plans, inPlace, oracle }, one);
      const { collective, algorithm } = schedule;
      const what = `${collective} ${algorithm} on ${nranks} ranks, ${count} elements, ${slices} slices`;
      expect(wrong, what).toBeUndefined();
    }
  }
  return true;
}

describe('a pull plan of the table', () => {
  it.each(CASES.map((one) => [one.collective, one.algorithm, one] as const))(
    '%s %s, if there is one, keeps the promise in every order',
    (_, __, one) => {
      const prng = new Prng(5);
      for (let nranks = 1; nranks <= RANKS_MAX; nranks++) {
        const schedule = built(one, nranks, 'inPlace', prng.below(nranks));
        if (schedule === undefined || one.collective.endsWith('V')) continue;
        for (const count of COUNTS) {
          const slices = SLICES[prng.below(SLICES.length)] as number;
          const options = { slices, oracle: 'promise', prng } as const;
          if (!expectRight(schedule, countOf(schedule, count), options)) break;
        }
      }
    },
  );

  it('is there for what runs on shared memory by default', () => {
    const found = CASES.filter((one) => {
      const schedule = built(one, 4, 'inPlace', 0);
      return schedule !== undefined && !('reason' in plansOf(schedule, countOf(schedule, 8), 1));
    });
    const names = found.map(({ collective, algorithm }) => `${collective} ${algorithm}`);
    expect(names).toMatchInlineSnapshot(`
      [
        "allReduce ring",
        "allReduce halvingDoubling",
        "allReduce binomialTree",
        "allReduce direct",
        "allGather ring",
        "allGatherV ring",
        "allGather recursiveDoubling",
        "allGather direct",
        "allGatherV direct",
        "reduceScatter direct",
        "reduceScatterV direct",
        "broadcast binomialTree",
        "broadcast direct",
        "reduce direct",
        "gather direct",
        "scatter direct",
        "allGather neighbourExchange",
        "allGatherV neighbourExchange",
        "reduceScatter pairwiseExchange",
        "reduceScatterV pairwiseExchange",
        "allReduce doubleBinaryTree",
        "broadcast chain",
        "broadcast scatterAllGather",
        "broadcast scatterRecursiveDoubling",
        "broadcast doubleBinaryTree",
        "allReduce hierarchical",
        "allReduce hccl",
        "allGather hierarchical",
        "allGatherV hierarchical",
        "allGather hccl",
        "reduceScatter hccl",
        "broadcast hierarchical",
        "broadcast hccl",
      ]
    `);
  });

  it('has the same number of cells on every rank: they count alike', () => {
    for (const one of CASES) {
      const schedule = built(one, 5, 'inPlace', 2);
      if (schedule === undefined || one.collective.endsWith('V')) continue;
      const plans = plansOf(schedule, countOf(schedule, 1000), 7);
      if (!('reason' in plans))
        expect(new Set(plans.map(({ cells }) => cells.length)).size).toBe(1);
    }
  });

  it('reads each byte once: a direct all-reduce takes (p - 1) / p of its vector, and serves as much twice', () => {
    const one = CASES.find((row) => row.collective === 'allReduce' && row.algorithm === 'direct');
    const schedule = one && built(one, 4, 'inPlace', 0);
    const plans = schedule && plansOf(schedule, 400, 1);
    if (plans === undefined || 'reason' in plans) throw new Error('Expected plans');
    for (const { elementsRead, elementsServed } of plans) {
      expect(elementsRead).toBe(2 * 300);
      expect(elementsServed).toBe(2 * 300);
    }
  });
});

describe('a pull plan of any schedule', () => {
  it.each([
    ['an all-reduce', (seed: number) => randomAllReduce(seed, 1), 'promise'],
    ['any rounds', randomSchedule, 'rounds'],
  ] as const)('of %s gives what it should, or says why there is none', (_, make, oracle) => {
    let pulled = 0;
    fc.assert(
      fc.property(SEEDS, (seed) => {
        const schedule = make(seed);
        if (schedule.collective.endsWith('V')) return;
        const prng = new Prng(seed);
        const count = countOf(schedule, 1 + prng.below(300));
        const options = { slices: 1 + prng.below(7), oracle, prng } as const;
        if (expectRight(schedule, count, options)) pulled++;
      }),
      { numRuns: RUNS, examples: [[FOUND]] },
    );
    expect(pulled).toBeGreaterThan(RUNS / 20);
  });
});
