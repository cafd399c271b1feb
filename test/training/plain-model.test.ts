import { describe, expect, it } from 'vitest';
import { Prng } from '../../common/prng.ts';
import { initialParameters, LAYOUT } from '../../training/model.ts';
import { plainGradient } from './plain-model.ts';
import { firstDigits } from './samples.ts';

const STEP = 1e-5;
const SAMPLES = 60;

describe('the plain model', () => {
  it.each(['weights1', 'bias1', 'weights2', 'bias2'] as const)(
    'has the gradient of finite differences in %s',
    (name) => {
      const { offset, rows, columns } = LAYOUT[name];
      const digits = firstDigits(7);
      const prng = new Prng(3);
      const parameters = Float64Array.from(
        initialParameters(1),
        (value) => value + prng.normal() / 50,
      );
      const lossAt = (index: number, change: number): number => {
        const moved = parameters.slice();
        moved[index] = (moved[index] ?? 0) + change;
        return plainGradient(moved, digits, digits.rows).loss / digits.rows;
      };
      const { gradient } = plainGradient(parameters, digits, digits.rows);
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
    },
  );
});
