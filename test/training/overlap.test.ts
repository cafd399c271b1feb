/** Training with several buckets, with and without overlap, on simulated hosts. */
import { describe, expect, it } from 'vitest';
import { defined } from '../../common/assert.ts';
import { hcclCommDestroy } from '../../node/hccl/api.ts';
import { SystemCallError } from '../../node/process/system-call.ts';
import { gradientBuckets } from '../../training/buckets.ts';
import type { Overlap } from '../../training/gradient-step.ts';
import { modelOf } from '../../training/model.ts';
import { type TrainOptions, trainOptions } from '../../training/options.ts';
import { TrainResults } from '../../training/results.ts';
import { Trainer } from '../../training/trainer.ts';
import { inlineWorld } from '../simulation/inline-library.ts';
import { type InlineRank, SimulatedCluster } from '../simulation/simulated-cluster.ts';
import { smallSplit } from './samples.ts';
import { trainingLibrary } from './training-library.ts';

const DIGITS = smallSplit(48, 12);
const HIDDEN = [96, 64, 48];
/** Every layer alone. */
const OPTIONS = trainOptions({ epochs: 2, batch: 16, hidden: HIDDEN, bucketBytes: 1 });
const BUCKETS = gradientBuckets(modelOf(HIDDEN), 1);
const RANKS = 3;

/** What one rank asked of its libraries, in order. */
type Step =
  | { readonly call: 'submit' }
  | { readonly call: 'wait' }
  | { readonly call: 'summed' }
  | { readonly call: 'reduce'; readonly count: number; readonly stream: number | undefined };

/** The library of a rank, with the calls of interest written down. */
function watched(rank: InlineRank, steps: Step[]) {
  const library = trainingLibrary(rank);
  return {
    ...library,
    hlthunk_command_submission: (
      ...args: Parameters<typeof library.hlthunk_command_submission>
    ) => {
      steps.push({ call: 'submit' });
      return library.hlthunk_command_submission(...args);
    },
    hlthunk_wait_for_cs: async (...args: Parameters<typeof library.hlthunk_wait_for_cs>) => {
      const status = await library.hlthunk_wait_for_cs(...args);
      steps.push({ call: 'wait' });
      return status;
    },
    synEventSynchronize: async (event: number) => {
      await library.synEventSynchronize(event);
      steps.push({ call: 'summed' });
    },
    hcclAllReduce: (...args: Parameters<typeof library.hcclAllReduce>) => {
      steps.push({ call: 'reduce', count: args[2], stream: args[6] });
      return library.hcclAllReduce(...args);
    },
  };
}

async function train(options: TrainOptions) {
  const cluster = new SimulatedCluster({ hosts: RANKS, latencyMs: 0.01, bandwidthBytesPerMs: 1e5 });
  const results = new TrainResults(options, RANKS);
  const { clock } = cluster.scheduler;
  const steps: Step[] = [];
  const job = await cluster.run(async (rank) => {
    const library = rank.rank === 0 ? watched(rank, steps) : trainingLibrary(rank);
    const world = await inlineWorld(rank);
    const trainer = await Trainer.start({ library, world, digits: DIGITS, options, clock });
    for (let epoch = 0; epoch < options.epochs; epoch++) {
      if (rank.rank === 0 && epoch === 0) steps.splice(0);
      const report = await trainer.runEpoch();
      if (rank.rank === 0) results.add(0, report);
    }
    results.add(rank.rank, await trainer.finish());
    await trainer.close();
    await hcclCommDestroy(rank.channel, world.comm);
  });
  expect([...job.errors.values()]).toEqual([]);
  return { summary: defined(results.summary(), 'the summary'), steps };
}

/** The trainings with and without overlap, each run once. */
const trainings = new Map<Overlap, ReturnType<typeof train>>();
function trained(overlap: Overlap): ReturnType<typeof train> {
  const known = trainings.get(overlap) ?? train({ ...OPTIONS, overlap });
  trainings.set(overlap, known);
  return known;
}

/** Calls of the first step, in order, to its update; the submission before it clears the metrics. */
async function firstStep(overlap: Overlap, ...calls: readonly Step['call'][]): Promise<string[]> {
  const { steps } = await trained(overlap);
  const words = steps.slice(2).map(({ call }) => call);
  let submissions = 0;
  const update = words.findIndex((call) => call === 'submit' && ++submissions > BUCKETS.length);
  return words.slice(0, update + 1).filter((call) => calls.includes(call));
}

describe('a training in buckets', () => {
  it('gives the same bits and bytes with and without overlap', async () => {
    const { summary: on } = await trained('on');
    const { summary: off } = await trained('off');
    for (const summary of [on, off]) {
      expect(summary.weightsIdentical).toBe(true);
      expect(summary.buckets).toBe(BUCKETS.length);
      expect(summary.wireBytes).toBe(summary.wireBytesFormula);
      expect(summary.collectives).toBe(1 + 2 * 3 * BUCKETS.length + 2);
    }
    expect(on.weightsDigest).toBe(off.weightsDigest);
    expect(on.loss).toEqual(off.loss);
    expect(on.wireBytes).toBe(off.wireBytes);
  });

  it('reduces each bucket as soon as it is computed, when the device has the next ones already', async () => {
    expect(await firstStep('on', 'submit', 'wait', 'reduce')).toEqual([
      ...['submit', 'submit'],
      ...BUCKETS.slice(2).flatMap(() => ['submit', 'wait', 'reduce']),
      ...['wait', 'reduce', 'wait', 'reduce'],
      'submit',
    ]);
  });

  it('without overlap reduces when all is computed', async () => {
    expect(await firstStep('off', 'submit', 'wait', 'reduce')).toEqual([
      ...['submit', 'submit'],
      ...BUCKETS.slice(2).flatMap(() => ['submit', 'wait']),
      ...['wait', 'wait'],
      ...BUCKETS.map(() => 'reduce'),
      'submit',
    ]);
  });

  it.each<Overlap>(['on', 'off'])(
    'with overlap %s updates the parameters when every bucket is summed',
    async (overlap) => {
      const calls = await firstStep(overlap, 'submit', 'summed');
      expect(calls.slice(0, -1).filter((call) => call === 'summed')).toHaveLength(BUCKETS.length);
      expect(calls.at(-1)).toBe('submit');
    },
  );

  it.each<Overlap>(['on', 'off'])(
    'with overlap %s reduces the last layer first, on a stream of its own',
    async (overlap) => {
      const { steps } = await trained(overlap);
      const reduces = steps.filter((step) => step.call === 'reduce').slice(0, BUCKETS.length);
      expect(reduces.map(({ count }) => count)).toEqual(BUCKETS.map(({ count }) => count));
      const [stream, ...others] = new Set(reduces.map((reduce) => reduce.stream));
      expect(others).toEqual([]);
      expect(stream).toBeGreaterThan(0);
    },
  );

  it('tells computing, communication and waiting apart', async () => {
    for (const overlap of ['on', 'off'] as const) {
      const { step } = (await trained(overlap)).summary;
      // Kernels take no virtual time, so that all communication is waited for.
      expect(step.communicationMs).toBeGreaterThan(0);
      expect(step.exposedMs).toBeCloseTo(step.communicationMs, 6);
    }
  });

  it('a host that dies in the middle of a step fails the step on every other rank, which names it', async () => {
    const cluster = new SimulatedCluster({
      hosts: RANKS,
      latencyMs: 0.1,
      bandwidthBytesPerMs: 1e4,
    });
    const { clock } = cluster.scheduler;
    let reduced = 0;
    const job = await cluster.run(async (rank) => {
      const library = trainingLibrary(rank);
      const dying = {
        ...library,
        hcclAllReduce: (...args: Parameters<typeof library.hcclAllReduce>) => {
          // In mid step: one bucket is on its way, the others are not computed yet.
          if (rank.rank === 0 && ++reduced === BUCKETS.length + 2) {
            cluster.network.kill('node-2');
            defined(cluster.controls[2], 'host 2').sever();
          }
          return library.hcclAllReduce(...args);
        },
      };
      const world = await inlineWorld(rank);
      const trainer = await Trainer.start({
        ...{ library: dying, world, digits: DIGITS, clock },
        options: OPTIONS,
      });
      await trainer.runEpoch();
    });
    for (const rank of [0, 1]) {
      const error = defined(job.errors.get(rank), `an error of rank ${rank}`);
      expect(error).toBeInstanceOf(SystemCallError);
      expect(error.message).toContain('host-2');
    }
    expect(job.failure?.code).toBe('HLSIM_HOST_LOST');
  });
});
