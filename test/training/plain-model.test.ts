import { describe, expect, it } from 'vitest';
import { defined } from '../../common/assert.ts';
import { Prng } from '../../common/prng.ts';
import { initialParameters, modelOf } from '../../training/model.ts';
import { plainGradient } from './plain-model.ts';
import { firstDigits } from './samples.ts';

const STEP = 1e-5;
const SAMPLES = 60;

describe('the plain model', () => {
  const model = modelOf([24, 16]);

  it.each([
    ['weights', 0],
    ['bias', 0],
    ['weights', 1],
    ['bias', 1],
    ['weights', 2],
    ['bias', 2],
  ] as const)('has the gradient of finite differences in the %s of layer %i', (name, index) => {
    const { offset, rows, columns } = defined(model.layers[index], `layer ${index}`)[name];
    const digits = firstDigits(7);
    const prng = new Prng(3);
    const parameters = Float64Array.from(
      initialParameters(model, 1),
      (value) => value + prng.normal() / 50,
    );
    const lossAt = (index: number, change: number): number => {
      const moved = parameters.slice();
      moved[index] = (moved[index] ?? 0) + change;
      return plainGradient(model, moved, digits, digits.rows).loss / digits.rows;
    };
    const { gradient } = plainGradient(model, parameters, digits, digits.rows);
    let largest = 0;
    for (let sample = 0; sample < SAMPLES; sample++) {
      const index = offset + prng.below(rows * columns);
      const slope = (lossAt(index, STEP) - lossAt(index, -STEP)) / (2 * STEP);
      expect(Math.abs((gradient[index] ?? Number.NaN) - slope), `${name} ${index}`).toBeLessThan(
        1e-8,
      );
      largest = Math.max(largest, Math.abs(slope));
    }
    expect(largest).toBeGreaterThan(1e-3);
  });
});
