/** What holds of every prediction: more to do takes no less time, and what nobody uses changes nothing. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COLLECTIVES } from '../../../collectives/collective.ts';
import { countsOfProblem } from '../../../collectives/problem-size.ts';
import { buildSchedule } from '../../../collectives/table.ts';
import { possibleAlgorithms } from '../../../collectives/tuner.ts';
import { predict } from '../../../timing/engine/predict.ts';
import { lowerBound } from '../../../timing/lower-bound.ts';
import { builtInTopology } from '../../../timing/topology/built-in.ts';
import { networkOf } from '../../../timing/topology/network.ts';

const BYTES_PER_ELEMENT = 4;
const EXECUTION = { sliceBytes: 64 * 1024, slotsPerConnection: 8 };

interface Case {
  readonly algorithm: string;
  readonly cards: number;
  /** Elements of a rank's part of the vector. */
  readonly part: number;
  readonly overrides?: Readonly<Record<string, number>>;
}

/** Seconds of an all-reduce in one HLS-2, where every two cards have a link of their own. */
function seconds({ algorithm, cards, part, overrides = {} }: Case): number {
  const network = networkOf(builtInTopology('hls2'), { cards, overrides });
  const topology = { boxes: 1, ranksPerBox: cards };
  const prediction = predict({
    work: buildSchedule({ collective: 'allReduce', algorithm, topology }),
    counts: part * cards,
    bytesPerElement: BYTES_PER_ELEMENT,
    network,
    model: 'flow',
    execution: EXECUTION,
    ranks: 'alike',
  });
  if (prediction.kind !== 'predicted') throw new Error(prediction.waiting.join());
  return prediction.seconds;
}

/** Nothing is shared: one message at a time enters a rank, so that no reduction waits for another. */
const unshared = fc.record({
  algorithm: fc.constantFrom('ring', 'recursiveDoubling', 'binomialTree'),
  cards: fc.integer({ min: 2, max: 8 }),
  part: fc.integer({ min: 1, max: 100_000 }),
});
const more = fc.double({ min: 1, max: 8, noNaN: true });

describe('a prediction', () => {
  it('is never shorter for more bytes, latency or issue time, or for slower links', () => {
    const property = fc.property(unshared, more, (one, factor) => {
      const before = seconds(one);
      const with_ = (overrides: Readonly<Record<string, number>>) => seconds({ ...one, overrides });
      expect(seconds({ ...one, part: Math.ceil(one.part * factor) })).toBeGreaterThanOrEqual(
        before,
      );
      expect(with_({ 'scaleUp.latency': 700e-9 * factor })).toBeGreaterThanOrEqual(before);
      expect(with_({ 'card.issue': 500e-9 * factor })).toBeGreaterThanOrEqual(before);
      expect(with_({ 'scaleUp.rate': 12.5e9 / factor })).toBeGreaterThanOrEqual(before);
    });
    fc.assert(property, { numRuns: 40, seed: 20 });
  });

  it('is the same to the last bit whatever links have that nobody uses', () => {
    const property = fc.property(unshared, more, (one, factor) => {
      const overrides = { 'scaleOut.latency': 1e-6 * factor, 'pcie.rate': 1e9 * factor };
      expect(seconds({ ...one, overrides })).toBe(seconds(one));
    });
    fc.assert(property, { numRuns: 20, seed: 21 });
  });
});

describe('every algorithm', () => {
  it('is predicted on 2 to 33 cards, and never below the bound', { timeout: 120_000 }, () => {
    const flat = builtInTopology('flat');
    let predicted = 0;
    for (let cards = 2; cards <= 33; cards++) {
      const network = networkOf(flat, { cards });
      for (const collective of COLLECTIVES) {
        for (const algorithm of possibleAlgorithms(collective, network.topology)) {
          const work = buildSchedule({ collective, algorithm, topology: network.topology });
          const elements = collective === 'barrier' ? 0 : 16 * 1024;
          const counts = countsOfProblem(work, elements);
          const asked = { counts, bytesPerElement: BYTES_PER_ELEMENT };
          const prediction = predict({
            ...{ ...asked, work, network, model: 'flow', execution: EXECUTION, ranks: 'alike' },
          });
          const what = `${algorithm} ${collective} on ${cards} cards`;
          if (prediction.kind !== 'predicted') throw new Error(`${what}: ${prediction.waiting}`);
          const bound = lowerBound({ ...asked, collective, nranks: cards, root: 0 }, network);
          expect(prediction.seconds * (1 + 1e-9), what).toBeGreaterThanOrEqual(bound.seconds);
          predicted++;
        }
      }
    }
    expect(predicted).toBeGreaterThan(1500);
  });
});
