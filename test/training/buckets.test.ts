import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gradientBuckets } from '../../training/buckets.ts';
import { METRIC_COUNT, modelOf } from '../../training/model.ts';

const hidden = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 8 });
const limit = fc.integer({ min: 1, max: 1_000_000 });

describe('gradientBuckets()', () => {
  it('is a partition of the gradients and the metrics, from the end of the buffer to its start', () => {
    fc.assert(
      fc.property(hidden, limit, (units, bucketBytes) => {
        const model = modelOf(units);
        let end = model.gradientCount;
        for (const { offset, count } of gradientBuckets(model, bucketBytes)) {
          expect(offset + count).toBe(end);
          expect(count).toBeGreaterThan(0);
          end = offset;
        }
        expect(end).toBe(0);
      }),
    );
  });

  it('takes whole layers, the last of the model first', () => {
    fc.assert(
      fc.property(hidden, limit, (units, bucketBytes) => {
        const model = modelOf(units);
        const buckets = gradientBuckets(model, bucketBytes);
        const order = buckets.flatMap(({ layers }) => layers);
        expect(order).toEqual([...model.layers.keys()].reverse());
        for (const { layers, offset } of buckets) {
          expect(model.layers[layers.at(-1) ?? -1]?.weights.offset).toBe(offset);
        }
      }),
    );
  });

  it('fills a bucket to its limit, and passes it only with a single layer', () => {
    fc.assert(
      fc.property(hidden, limit, (units, bucketBytes) => {
        const buckets = gradientBuckets(modelOf(units), bucketBytes);
        for (const { layers, count } of buckets) {
          if (layers.length > 1) expect(4 * count).toBeLessThanOrEqual(bucketBytes);
        }
        for (const [index, bucket] of buckets.entries()) {
          const [next] = gradientBuckets(modelOf(units), 1).filter(
            ({ layers }) => layers[0] === buckets[index + 1]?.layers[0],
          );
          if (next !== undefined)
            expect(4 * (bucket.count + next.count)).toBeGreaterThan(bucketBytes);
        }
      }),
    );
  });

  it('of the default model is one, with the metrics', () => {
    const model = modelOf([32]);
    expect(gradientBuckets(model, 64 * 1024)).toEqual([
      { layers: [1, 0], offset: 0, count: model.parameterCount + METRIC_COUNT },
    ]);
  });
});
