import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Prover } from '../../../timing/experiment/proof.ts';
import { builtInTopology } from '../../../timing/topology/built-in.ts';
import { networkOf } from '../../../timing/topology/network.ts';
import { AllReduceTimes } from '../../../timing/training-step/all-reduce-times.ts';
import { readTrainingModel } from '../../../timing/training-step/model-file.ts';
import { stepBuckets } from '../../../timing/training-step/step-buckets.ts';
import { stepSweep } from '../../../timing/training-step/step-sweep.ts';
import { stepTime } from '../../../timing/training-step/step-time.ts';
import type { TrainingModel } from '../../../timing/training-step/training-model.ts';
import { gradientBuckets } from '../../../training/buckets.ts';
import { METRIC_COUNT, modelOf } from '../../../training/model.ts';

const TEXT = `name: three
bucketBytes: 8
update: 3s
layers:
  - {name: a, parameters: 2, forward: 1s, backward: 10s}
  - {name: b, parameters: 1, forward: 2s, backward: 20s}
  - {name: c, parameters: 1, forward: 4s, backward: 40s}
`;
const three = (change = (text: string) => text): TrainingModel =>
  readTrainingModel(change(TEXT), 'three.yaml');

/** A second an element, and one to begin. */
const reduceSeconds = (elements: number): number => 1 + elements;

const stepOf = (model: TrainingModel, overlap = true) =>
  stepTime({ model, buckets: stepBuckets(model, model.bucketBytes), overlap, reduceSeconds });

describe('stepBuckets()', () => {
  it('cuts as the training does, for any layers and any size', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 400_000 }),
        (hidden, bucketBytes) => {
          const trained = modelOf(hidden);
          const model: TrainingModel = {
            ...three(),
            metrics: METRIC_COUNT,
            layers: trained.layers.map(({ weights, bias }, index) => ({
              name: `${index}`,
              parameters: weights.rows * weights.columns + bias.columns,
              forwardSeconds: 0,
              backwardSeconds: 0,
              overlap: true,
            })),
          };
          const expected = gradientBuckets(trained, bucketBytes);
          expect(stepBuckets(model, bucketBytes)).toEqual(
            expected.map(({ layers, count }) => ({ layers, elements: count })),
          );
        },
      ),
    );
  });
});

describe('stepTime()', () => {
  it('hides what is reduced beside the backward pass, and exposes the rest', () => {
    // Backward of c ends at 47, of b at 67, of a at 77. Buckets: c and b (3 s), a (3 s).
    const step = stepOf(three());
    expect(step.buckets).toEqual([
      { elements: 2, readySeconds: 67, beginSeconds: 67, endSeconds: 70 },
      { elements: 2, readySeconds: 77, beginSeconds: 77, endSeconds: 80 },
    ]);
    expect(step).toMatchObject({ computeSeconds: 80, communicationSeconds: 6, exposedSeconds: 3 });
    expect(step.stepSeconds).toBe(83);
    expect(step.efficiency).toBe(80 / 83);
  });

  it('exposes everything without overlap', () => {
    expect(stepOf(three(), false)).toMatchObject({ exposedSeconds: 6, stepSeconds: 86 });
  });

  it('keeps the gradients of a layer without overlap until the pass has ended', () => {
    const model = three((text) => text.replace('backward: 20s', 'backward: 20s, overlap: off'));
    expect(stepOf(model).buckets[0]?.readySeconds).toBe(77);
    expect(stepOf(model).exposedSeconds).toBe(6);
  });

  it('is never shorter than computing, nor than communication, and overlap never makes it longer', () => {
    const seconds = fc.double({ min: 0, max: 100, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), seconds, seconds), {
          minLength: 1,
          maxLength: 8,
        }),
        fc.integer({ min: 1, max: 400 }),
        (layers, bucketBytes) => {
          const model: TrainingModel = {
            ...three(),
            layers: layers.map(([parameters, forwardSeconds, backwardSeconds]) => ({
              ...{ name: 'x', parameters, forwardSeconds, backwardSeconds, overlap: true },
            })),
          };
          const buckets = stepBuckets(model, bucketBytes);
          const [on, off] = [true, false].map((overlap) =>
            stepTime({ model, buckets, overlap, reduceSeconds }),
          );
          if (on === undefined || off === undefined) throw new Error('two steps');
          expect(on.stepSeconds).toBeGreaterThanOrEqual(on.computeSeconds);
          expect(on.stepSeconds).toBeGreaterThanOrEqual(on.communicationSeconds);
          expect(on.stepSeconds).toBeLessThanOrEqual(off.stepSeconds + 1e-9);
        },
      ),
    );
  });
});

describe('stepSweep()', () => {
  const transformer = `name: t
elementType: bfloat16
layers:
  - {parameters: 4000000, forward: 1ms, backward: 2ms, repeat: 6}
`;

  it('costs nothing but computing on one rank, and more on more boxes', () => {
    const model = readTrainingModel(transformer, 't.yaml');
    const hls2 = builtInTopology('hls2');
    const networks = [
      networkOf(hls2, { cards: 1 }),
      ...[1, 2, 4].map((boxes) => networkOf(hls2, { boxes })),
    ];
    const request = { model, networks, bucketBytes: [2 ** 20, 2 ** 25], overlap: true };
    const rows = [...stepSweep(request, new Prover())];
    expect(rows[0]?.every(({ efficiency }) => efficiency === 1)).toBe(true);
    const steps = rows.map((some) => some.find(({ best }) => best)?.stepSeconds ?? 0);
    expect(steps.toSorted((a, b) => a - b)).toEqual(steps);
    for (const some of rows) expect(some.filter(({ best }) => best)).toHaveLength(1);
  });

  it('predicts each length once', () => {
    const network = networkOf(builtInTopology('hls2'), { boxes: 1 });
    const times = new AllReduceTimes({ network, bytesPerElement: 4 }, new Prover());
    expect(times.seconds(1 << 20)).toBe(times.seconds(1 << 20));
    expect(times.seconds(0)).toBe(0);
  });
});

describe('readTrainingModel()', () => {
  it.each([
    ['parameters: 1,', 'parameters: -1,', /layers > 2 > parameters .* whole number .*\(line 6\)/],
    ['forward: 2s', 'forward: 2GB/s', /layers > 2 > forward .* time such as 1.5ms .*\(line 6\)/],
    ['bucketBytes: 8', 'bucketBytes: 0', /bucketBytes .* size such as .*\(line 2\)/],
    ['update: 3s', 'updates: 3s', /updates .* not to be there.*\(line 3\)/],
  ])('tells the line of what is wrong: %s -> %s', (from, to, message) => {
    expect(() => three((text) => text.replace(from, to))).toThrow(message);
  });

  it('refuses a model without parameters', () => {
    const none = (text: string) => text.replace(/parameters: \d+/g, 'parameters: 0');
    expect(() => three(none)).toThrow(/layers .* to have parameters/);
  });

  it('repeats a layer', () => {
    const model = three((text) => text.replace('backward: 20s', 'backward: 20s, repeat: 3'));
    expect(model.layers.map(({ name }) => name)).toEqual(['a', 'b.0', 'b.1', 'b.2', 'c']);
  });
});
