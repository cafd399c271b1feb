/** Push plans keep the promise of their schedule, however little a link holds and whoever is slow. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkTable, type ElementCounts } from '../../collectives/chunks.ts';
import { pullPlan } from '../../collectives/pull-plan.ts';
import { type PushPlan, pushPlan } from '../../collectives/push-plan.ts';
import type { Rank, Schedule } from '../../collectives/schedule.ts';
import { flatTopology } from '../../collectives/topology.ts';
import { defined } from '../../common/assert.ts';
import { ranksOf } from '../../common/math.ts';
import { Prng } from '../../common/prng.ts';
import { type Actor, type ActorOrder, pushPlansOf, runPushes } from './push-runs.ts';
import { randomAllReduce, randomGossip, randomSchedule } from './random-schedule.ts';
import { CASES, type Case, scheduleOf } from './support.ts';

const RANKS_MAX = 9;
/** Elements; most divide by nothing. */
const COUNTS = [129, 499];
const SLICES = [1, 2, 3, 7];
/** Elements that a link holds: none, less than a message, a message, several. */
const CAPACITIES = [0, 1, 13, 64, 500, 5000];
const RUNS = 100;
const SEEDS = fc.integer({ min: 0, max: 2 ** 31 });

function built(one: Case, nranks: number, root: Rank): Schedule | undefined {
  const topology = flatTopology(nranks);
  return scheduleOf(one, { nranks, root, topology, placement: 'inPlace' });
}

/** Counts as the call would give them: of an all-to-all, a multiple of the ranks. */
function countsOf({ collective, nranks }: Schedule, count: number, prng: Prng): ElementCounts {
  if (collective === 'barrier') return 1;
  if (collective === 'allToAll') return count * nranks;
  if (!collective.endsWith('V')) return count;
  const blocks = collective === 'allToAllV' ? nranks * nranks : nranks;
  return Array.from({ length: blocks }, () => prng.below(2) * prng.below(count + 1));
}

/** Some prefer one kind of actor over all others for as long as there is one. */
function ordersOf(nranks: number, prng: Prng): readonly ActorOrder[] {
  const random: ActorOrder = (able) => able[prng.below(able.length)] as Actor;
  const who = prng.below(nranks);
  const preferring =
    (isPreferred: (actor: Actor) => boolean): ActorOrder =>
    (able) => {
      const preferred = able.filter(isPreferred);
      return random(preferred.length > 0 ? preferred : able);
    };
  return [
    random,
    (able) => able[0] as Actor,
    (able) => able.at(-1) as Actor,
    preferring(({ peer }) => peer !== undefined),
    preferring(({ peer }) => peer === undefined),
    preferring(({ rank }) => rank === who),
    preferring(({ rank }) => rank !== who),
    preferring(({ rank, peer }) => rank !== who && peer !== who),
  ];
}

/** Whether there are plans; those that there are must give what they should. */
function expectRight(
  schedule: Schedule,
  { count, prng, oracle }: { count: number; prng: Prng; oracle: 'promise' | 'rounds' },
): boolean {
  const { nranks, collective, algorithm } = schedule;
  const counts = countsOf(schedule, count, prng);
  const slices = SLICES[prng.below(SLICES.length)] as number;
  const plans = pushPlansOf(schedule, counts, slices);
  if ('reason' in plans) {
    expect(plans.reason).not.toBe('');
    return false;
  }
  const table = chunkTable(schedule, counts);
  const placements = [() => true, () => false, () => prng.below(2) === 0];
  const orders = prng.shuffle([...ordersOf(nranks, prng)]);
  for (const [index, placement] of placements.entries()) {
    const capacity = CAPACITIES[prng.below(CAPACITIES.length)] as number;
    const inPlace = ranksOf(nranks).map(placement);
    const run = { schedule, table, plans, inPlace, oracle, capacity, prng };
    const wrong = runPushes(run, orders[index] as ActorOrder);
    const what = `${collective} ${algorithm} on ${nranks} ranks, ${counts} elements, ${slices} slices, links of ${capacity}`;
    expect(wrong, what).toBeUndefined();
  }
  return true;
}

function named(name: string, nranks: number): Schedule | undefined {
  const one = CASES.find(({ collective, algorithm }) => `${collective} ${algorithm}` === name);
  return one && built(one, nranks, 0);
}

function plansOf(name: string, nranks: number, slices = 1): readonly PushPlan[] {
  const schedule = named(name, nranks);
  const plans = schedule && pushPlansOf(schedule, 4000, slices);
  if (plans === undefined || 'reason' in plans) throw new Error('Expected plans');
  return plans;
}

describe('a push plan of the table', () => {
  it.each(CASES.map((one) => [one.collective, one.algorithm, one] as const))(
    '%s %s, if there is one, keeps the promise over links of any size',
    (_, __, one) => {
      const prng = new Prng(11);
      for (let nranks = 1; nranks <= RANKS_MAX; nranks++) {
        const schedule = built(one, nranks, prng.below(nranks));
        if (schedule === undefined) continue;
        for (const count of COUNTS) {
          if (!expectRight(schedule, { count, prng, oracle: 'promise' })) break;
        }
      }
    },
  );

  it('is there where a pull plan is, and says why else', () => {
    let pushed = 0;
    for (const one of CASES) {
      const schedule = built(one, 4, 0);
      if (schedule === undefined) continue;
      const table = chunkTable(schedule, countsOf(schedule, 8, new Prng(1)));
      const request = { schedule, table, rank: 1, sliceElements: 1, slicesMax: 1 };
      const [pull, push] = [pullPlan(request), pushPlan(request)];
      if ('reason' in pull) expect(push).toEqual(pull);
      else expect(push).not.toHaveProperty('reason');
      if (!('reason' in push)) pushed++;
    }
    expect(pushed).toBeGreaterThan(20);
  });

  it.each([
    ['allReduce recursiveDoubling', 'in round 1 rank 3 overwrites what another is to read'],
    ['allReduce oneShot', 'it keeps data in scratch memory'],
  ])('says why %s cannot be pushed', (name, reason) => {
    const schedule = defined(named(name, 4), 'a schedule');
    const table = chunkTable(schedule, 8);
    expect(pushPlan({ schedule, table, rank: 0, sliceElements: 1, slicesMax: 1 })).toEqual({
      reason,
    });
  });
});

describe('a push plan', () => {
  it('lets what was there from the start go at once, and what is computed after its cell', () => {
    const [plan] = plansOf('allReduce direct', 4);
    expect(plan?.cells).toHaveLength(2);
    const befores = plan?.outbound.map((messages) => messages.map((one) => one.afterCells));
    expect(befores).toEqual([[], [0, 1], [0, 1], [0, 1]]);
  });

  it('overwrites nothing before it has been sent', () => {
    const [plan] = plansOf('allReduce direct', 4);
    expect(plan?.cells[0]?.sent).toEqual([]);
    const sent = plan?.cells[1]?.sent.toSorted((one, other) => one.peer - other.peer);
    expect(sent).toEqual([1, 2, 3].map((peer) => ({ peer, messages: 1 })));
  });

  it('waits for slices one by one', () => {
    const [plan] = plansOf('allReduce direct', 2, 3);
    const afterCells = plan?.outbound[1]?.map((one) => one.afterCells);
    // Cells: A0, A1, B0, A2, B1, B2.
    expect(afterCells).toEqual([0, 0, 1, 0, 2, 4]);
    const sent = plan?.cells.map((cell) => cell.sent.map(({ messages }) => messages));
    expect(sent).toEqual([[], [], [1], [], [2], [4]]);
  });

  it('sends (p - 1) / p of a vector twice in a direct all-reduce, and receives as much', () => {
    for (const { elementsSent, elementsReceived } of plansOf('allReduce direct', 4))
      expect([elementsSent, elementsReceived]).toEqual([6000, 6000]);
  });
});

describe('a push plan of any schedule', () => {
  it.each([
    ['an all-reduce', (seed: number) => randomAllReduce(seed, 1), 'promise'],
    ['any rounds', randomSchedule, 'rounds'],
    ['values that are soon overwritten', randomGossip, 'rounds'],
  ] as const)('of %s gives what it should, or says why there is none', (_, make, oracle) => {
    let pushed = 0;
    fc.assert(
      fc.property(SEEDS, (seed) => {
        const schedule = make(seed);
        if (schedule.collective.endsWith('V')) return;
        const prng = new Prng(seed);
        if (expectRight(schedule, { count: 1 + prng.below(300), prng, oracle })) pushed++;
      }),
      { numRuns: RUNS },
    );
    expect(pushed).toBeGreaterThan(RUNS / 20);
  });
});
