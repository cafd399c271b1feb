/** Cards whose work is that of threads on cores that they share. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildSchedule } from '../../../collectives/table.ts';
import type { Topology } from '../../../collectives/topology.ts';
import { MomentQueue } from '../../../timing/engine/moment-queue.ts';
import { predict } from '../../../timing/engine/predict.ts';
import { CORES_END, SharedCores } from '../../../timing/engine/shared-cores.ts';
import { breakdownOf } from '../../../timing/explain/breakdown.ts';
import type { CardHost, Network } from '../../../timing/network.ts';
import type { Predicted, PredictionRequest } from '../../../timing/prediction.ts';
import { flatNetwork, hostBoxes, portBoxes, taperedBoxes } from './networks.ts';
import { evenCounts, schedulesOn } from './schedules.ts';

function predicted(request: PredictionRequest): Predicted {
  const prediction = predict(request);
  if (prediction.kind !== 'predicted') throw new Error(prediction.waiting.join('; '));
  return prediction;
}

const execution = { sliceBytes: 1e9, slotsPerConnection: 2 } as const;

/** Nothing takes time but threads. */
function threadsOnly(nranks: number, host: Omit<CardHost, 'cores'>, issueSeconds = 0): Network {
  return flatNetwork(nranks, {
    latency: () => 0,
    rate: () => 1e30,
    card: {
      ...{ issueSeconds, reduceBytesPerSecond: 1e30, copyBytesPerSecond: 1e30 },
      host: { cores: 'all', ...host },
    },
  });
}

function secondsOf(network: Network, collective: 'allToAll' | 'allGather', algorithm: string) {
  const work = buildSchedule({ collective, algorithm, topology: network.topology });
  const counts = network.nranks;
  const request = { work, counts, bytesPerElement: 4, network, model: 'flow', execution } as const;
  return predicted({ ...request, ranks: 'exact' }).seconds;
}

describe('threads on shared cores', () => {
  it('take turns one after the other where there are fewer cores than threads', () => {
    // Ring, p - 1 steps one after the other and the last receive: p turns on each of p threads.
    for (const [nranks, count] of [
      [8, 2],
      [8, 3],
      [6, 1],
      [4, 4],
      [4, 16],
    ] as const) {
      const seconds = secondsOf(
        threadsOnly(nranks, { count, turnSeconds: 1 }),
        'allGather',
        'ring',
      );
      expect(seconds).toBeCloseTo(nranks * Math.max(1, nranks / count), 9);
    }
  });

  it('do what waits in the same turn, with an issue for each', () => {
    // All sends are ready at the beginning: one turn. All messages are there at its end: one more.
    const host = { count: 2, turnSeconds: 1 };
    expect(secondsOf(threadsOnly(4, host), 'allGather', 'direct')).toBeCloseTo(2 * (4 / 2), 9);
  });

  it('are never faster than their cores for all the work together', () => {
    const issue = 3e-6;
    for (const { name, schedule } of schedulesOn({ boxes: 5, ranksPerBox: 1 })) {
      const counts = evenCounts(schedule, 3000);
      const work = { work: schedule, counts, bytesPerElement: 4, execution } as const;
      const of = (network: Network): Predicted =>
        predicted({ ...work, network, model: 'flow', ranks: 'exact' });
      let issued = 0;
      const card = { issueSeconds: issue, host: { cores: 'all', count: 1.5, turnSeconds: 0 } };
      const { seconds } = predicted({
        ...{ ...work, network: flatNetwork(5, { card }) },
        ...{ model: 'flow', ranks: 'exact' },
        record: ({ activity }) => {
          if (activity === 'issue') issued += 1;
        },
      });
      expect(seconds, name).toBeGreaterThanOrEqual(((issued * issue) / 1.5) * (1 - 1e-9));
      const slower = of(flatNetwork(5, { card: { ...card, host: { ...card.host, count: 0.5 } } }));
      expect(slower.seconds, name).toBeGreaterThanOrEqual(issued * issue * 2 * (1 - 1e-9));
    }
  });

  it('have a path to the end without gap', () => {
    const card = { issueSeconds: 1e-5, host: { cores: 'all', count: 2, turnSeconds: 3e-5 } };
    for (const { name, schedule } of schedulesOn({ boxes: 4, ranksPerBox: 1 })) {
      const { path = [], seconds } = predicted({
        ...{ work: schedule, counts: evenCounts(schedule, 3000), bytesPerElement: 4, execution },
        ...{ network: flatNetwork(4, { card }), model: 'flow', ranks: 'exact', explain: true },
      });
      const sum = breakdownOf(path).reduce((total, part) => total + part.seconds, 0);
      expect(Math.abs(sum / seconds - 1), name).toBeLessThan(1e-9);
    }
  });

  const topologies: readonly Topology[] = [
    { boxes: 1, ranksPerBox: 6 },
    { boxes: 3, ranksPerBox: 4 },
    { boxes: 8, ranksPerBox: 1 },
  ];
  it.each(topologies)('are alike to the last bit in $boxes boxes of $ranksPerBox', (topology) => {
    const { boxes, ranksPerBox } = topology;
    const host = { cores: 'all', count: 2.7, turnSeconds: 7.3e-6 };
    const card = { reduceBytesPerSecond: 1.7e9, copyBytesPerSecond: 2.3e9, host };
    const networks = [
      flatNetwork(boxes * ranksPerBox, { card }),
      ...[portBoxes, hostBoxes, taperedBoxes].map((make) => make({ ...topology, card })),
    ];
    let saved = 0;
    for (const network of networks) {
      for (const { name, schedule } of schedulesOn(network.topology)) {
        if (schedule.alike === undefined) continue;
        for (const sliceBytes of [1e9, 900]) {
          const request = {
            ...{ work: schedule, counts: evenCounts(schedule, 1001), bytesPerElement: 4, network },
            execution: { sliceBytes, slotsPerConnection: 3 },
          };
          const [exact, alike] = (['exact', 'alike'] as const).map((ranks) =>
            predicted({ ...request, model: 'flow', ranks }),
          );
          expect(alike?.seconds, `${network.name}, ${name}`).toBe(exact?.seconds);
          saved += (exact?.simulatedRanks ?? 0) - (alike?.simulatedRanks ?? 0);
        }
      }
    }
    expect(saved).toBeGreaterThan(0);
  });

  it('leave the other models as they are', () => {
    const work = buildSchedule({
      ...{ collective: 'allReduce', algorithm: 'ring' },
      topology: { boxes: 4, ranksPerBox: 1 },
    });
    for (const model of ['alphaBeta', 'storeAndForward', 'loggp'] as const) {
      const [own, shared] = [undefined, { cores: 'all', count: 1, turnSeconds: 1 }].map((host) => {
        const network = flatNetwork(4, host === undefined ? {} : { card: { host } });
        const counts = evenCounts(work, 100);
        const request = { work, counts, bytesPerElement: 4, network, model, execution } as const;
        return predicted({ ...request, ranks: 'exact' }).seconds;
      });
      expect(shared).toBe(own);
    }
  });
});

interface Job {
  readonly at: number;
  readonly seconds: number;
}

/** When each job ends, second by second of a fixed small length: slow, and right to that length. */
function endsBySteps(jobs: readonly Job[], count: number, step: number): number[] {
  const left = jobs.map(({ seconds }) => seconds);
  const ends = jobs.map(() => Number.NaN);
  for (let now = 0; ends.some(Number.isNaN); now += step) {
    const active = jobs.flatMap(({ at }, job) => (at <= now && Number.isNaN(ends[job]) ? job : []));
    const share = Math.min(1, count / active.length);
    for (const job of active) {
      left[job] = (left[job] ?? 0) - step * share;
      if ((left[job] ?? 0) <= 0) ends[job] = now + step;
    }
  }
  return ends;
}

function endsByEvents(jobs: readonly Job[], count: number): number[] {
  const queue = new MomentQueue();
  const cores = new SharedCores({ number: 0, count, weight: 1, queue });
  const ends = jobs.map(() => Number.NaN);
  for (const [job, { at }] of jobs.entries()) queue.add(at, 0, job, 0, 0);
  while (queue.length > 0) {
    const now = queue.time;
    while (queue.time === now) {
      queue.take();
      const { kind, subject, detail } = queue;
      if (kind !== CORES_END) cores.add(subject, jobs[subject]?.seconds ?? 0, now);
      else for (const job of cores.take(detail, now)) ends[job] = now;
    }
    cores.settle(now);
  }
  return ends;
}

describe('SharedCores', () => {
  it('gives every thread the same part, as a walk in small steps does', () => {
    const job = fc.record({
      at: fc.integer({ min: 0, max: 20 }),
      seconds: fc.integer({ min: 1, max: 9 }),
    });
    const jobs = fc.array(job, { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(jobs, fc.constantFrom(0.5, 1, 2, 2.5, 16), (some, count) => {
        const step = 0.01;
        const slow = endsBySteps(some, count, step);
        for (const [index, end] of endsByEvents(some, count).entries()) {
          expect(Math.abs(end - (slow[index] ?? 0))).toBeLessThan(10 * step);
        }
      }),
      { numRuns: 60 },
    );
  });
});
