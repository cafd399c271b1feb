/** The link models of papers and other simulators: equal to closed forms and to sums by hand. */
import { describe, expect, it } from 'vitest';
import { COLLECTIVES } from '../../../collectives/collective.ts';
import { countsOfProblem, problemElements } from '../../../collectives/problem-size.ts';
import { algorithmsFor, buildSchedule, optionsOf, rowFor } from '../../../collectives/table.ts';
import { HlsimError } from '../../../common/errors.ts';
import { predict } from '../../../timing/engine/predict.ts';
import { LINK_MODELS, type Predicted, type PredictionRequest } from '../../../timing/prediction.ts';
import { flatNetwork } from './networks.ts';

const EXECUTION = { sliceBytes: 1e12, slotsPerConnection: 8 };

function predicted(request: Omit<PredictionRequest, 'execution'>): Predicted {
  const prediction = predict({ ...request, execution: EXECUTION });
  if (prediction.kind !== 'predicted') throw new Error(prediction.waiting.join('; '));
  return prediction;
}

describe('the alpha-beta model', () => {
  // As in the literature's forms for start-ups that overlap, a byte is added faster than it is sent.
  const card = { reduceBytesPerSecond: 50e9 };
  for (const nranks of [2, 3, 4, 5, 7, 8, 12, 16, 31, 32, 33, 64]) {
    it(`equals every closed form on ${nranks} ranks`, () => {
      const network = flatNetwork(nranks, { card });
      let compared = 0;
      for (const collective of COLLECTIVES) {
        for (const algorithm of algorithmsFor(collective)) {
          const { closedForm } = rowFor(collective, algorithm);
          const options = { collective, algorithm, topology: network.topology };
          const schedule = buildable(options, nranks);
          if (closedForm === undefined || schedule === undefined) continue;
          const { chunks } = schedule;
          const form = closedForm(optionsOf({ ...options, chunks }));
          if (form.text.startsWith('≤')) continue;
          const counts = countsOfProblem(schedule, nranks * chunks * 64, chunks);
          const size = problemElements(schedule, counts) * 4;
          const expected =
            form.alphas * 1.4e-6 + (form.bytes * size) / 25e9 + (form.reducedBytes * size) / 50e9;
          const work = { work: schedule, counts, bytesPerElement: 4, network } as const;
          const { seconds } = predicted({ ...work, model: 'alphaBeta', ranks: 'alike' });
          const title = `${collective} ${algorithm}: ${form.text}`;
          expect(Math.abs(seconds - expected), title).toBeLessThanOrEqual(1e-9 * expected);
          compared++;
        }
      }
      expect(compared).toBeGreaterThan(20);
    });
  }

  it('has no jitter, and says so', () => {
    const network = flatNetwork(2);
    const work = broadcast();
    expect(() =>
      predicted({
        ...{ work, counts: 4, bytesPerElement: 4, network, model: 'alphaBeta', ranks: 'exact' },
        jitter: { seed: 1, fraction: 0.1 },
      }),
    ).toThrow('Expected no jitter');
  });
});

function buildable(options: Parameters<typeof buildSchedule>[0], nranks: number) {
  for (const chunks of [1, nranks, 2 * nranks]) {
    try {
      return buildSchedule({ ...options, chunks });
    } catch (error) {
      if (!(error instanceof HlsimError)) throw error;
    }
  }
  return undefined;
}

function broadcast() {
  const topology = { boxes: 2, ranksPerBox: 1 };
  return buildSchedule({ collective: 'broadcast', algorithm: 'direct', topology });
}

describe('one message of 1,000,000 bytes over two links', () => {
  const card = { issueSeconds: 5e-7, copyBytesPerSecond: 1e15 };
  const network = flatNetwork(2, { card });
  const work = {
    ...{ work: broadcast(), counts: 250_000, bytesPerElement: 4, network },
    ranks: 'exact',
  } as const;

  it('is stored and forwarded in whole nanoseconds, with 2^30 bytes in a GB', () => {
    const perLink = Math.floor(700 + 1e6 / ((25 * 2 ** 30) / 1e9));
    const { seconds } = predicted({ ...work, model: 'storeAndForward' });
    expect(seconds * 1e9).toBeCloseTo(500 + 2 * perLink + 500, 6);
  });

  it('takes o + (s-1)G + L + o in loggp', () => {
    const { seconds } = predicted({ ...work, model: 'loggp' });
    expect(seconds).toBeCloseTo(5e-7 + 999_999 / 25e9 + 1.4e-6 + 5e-7, 15);
  });

  it('takes at least its bytes by the rate in every model, and gives a path to its end', () => {
    for (const model of LINK_MODELS) {
      const { seconds, path = [] } = predicted({ ...work, model, explain: true });
      expect(seconds).toBeGreaterThan(1e6 / (25 * 2 ** 30));
      expect(path.at(-1)?.endSeconds, model).toBeCloseTo(seconds, 12);
      expect(path[0]?.beginSeconds, model).toBe(0);
    }
  });
});

describe('jitter', () => {
  const network = flatNetwork(6);
  const topology = network.topology;
  const schedule = buildSchedule({
    collective: 'allReduce',
    algorithm: 'ring',
    topology,
    chunks: 6,
  });
  const seconds = (seed: number, fraction: number): number =>
    predicted({
      ...{ work: schedule, counts: 6000, bytesPerElement: 4, network, model: 'flow' },
      ...{ ranks: 'alike', jitter: { seed, fraction } },
    }).seconds;

  it('gives the same for the same seed, and something else for another', () => {
    expect(seconds(7, 0.3)).toBe(seconds(7, 0.3));
    expect(seconds(7, 0.3)).not.toBe(seconds(8, 0.3));
  });

  it('of nothing changes no bit, and of more never makes this ring faster', () => {
    const without = predicted({
      ...{ work: schedule, counts: 6000, bytesPerElement: 4, network, model: 'flow' },
      ranks: 'exact',
    }).seconds;
    expect(seconds(3, 0)).toBe(without);
    expect(seconds(3, 0.1)).toBeGreaterThan(without);
    expect(seconds(3, 0.2)).toBeGreaterThan(seconds(3, 0.1));
  });
});
