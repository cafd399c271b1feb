/**
 * Levenberg and Marquardt's method for few parameters whose model is costly (Marquardt, "An algorithm for
 * least-squares estimation of nonlinear parameters", SIAM J. Appl. Math. 11, 1963). Our own, as the package
 * ml-levenberg-marquardt 5.1.0 takes no fewer than three points (one published figure is one point), goes on
 * from worse values, asks point by point, and ends only after all its iterations.
 */
import { assert } from '../../common/assert.ts';

export interface LeastSquares {
  /** One residual per point. */
  readonly residuals: (values: readonly number[]) => readonly number[];
  readonly min: readonly number[];
  readonly max: readonly number[];
  /** For derivatives: a difference of a value. */
  readonly step: number;
}

const ITERATIONS_MAX = 40;
/** A step that changes no value by more is the last. */
const CHANGE_MIN = 1e-10;
const DAMPING_START = 1e-3;
const DAMPING_MIN = 1e-12;
/** So much damping leaves steps that change nothing. */
const DAMPING_MAX = 1e9;

/** From `start` downhill, within the limits, until nothing gets better. */
export function leastSquares(problem: LeastSquares, start: readonly number[]): readonly number[] {
  let values = start;
  let residuals = problem.residuals(values);
  let damping = DAMPING_START;
  for (let iteration = 0; iteration < ITERATIONS_MAX; iteration += 1) {
    const jacobian = jacobianOf(problem, values);
    let moved: readonly number[] | undefined;
    while (moved === undefined && damping <= DAMPING_MAX) {
      const candidate = limited(problem, stepFrom(values, residuals, jacobian, damping));
      const found = problem.residuals(candidate);
      if (sumOfSquares(found) < sumOfSquares(residuals)) {
        moved = candidate;
        residuals = found;
        damping = Math.max(DAMPING_MIN, damping / 10);
      } else {
        damping *= 10;
      }
    }
    if (moved === undefined) break;
    const before = values;
    values = moved;
    const change = values.map((value, index) => Math.abs(value - (before[index] ?? 0)));
    if (Math.max(...change) < CHANGE_MIN) break;
  }
  return values;
}

export function sumOfSquares(residuals: readonly number[]): number {
  return residuals.reduce((sum, residual) => sum + residual * residual, 0);
}

/** Derivatives of all residuals by each value: central differences, at a limit to one side. */
function jacobianOf(problem: LeastSquares, values: readonly number[]): readonly number[][] {
  return values.map((_, index) => {
    const at = (by: number) =>
      limited(
        problem,
        values.map((value, other) => (other === index ? value + by : value)),
      );
    const [low, high] = [at(-problem.step), at(problem.step)];
    const width = (high[index] ?? 0) - (low[index] ?? 0);
    const below = problem.residuals(low);
    return problem.residuals(high).map((above, point) => (above - (below[point] ?? 0)) / width);
  });
}

function limited({ min, max }: LeastSquares, values: readonly number[]): readonly number[] {
  return values.map((value, index) =>
    Math.min(max[index] ?? value, Math.max(min[index] ?? value, value)),
  );
}

/** Solves (JᵀJ + damping·(diag(JᵀJ) + small)) step = -Jᵀr, Marquardt's scaling. */
function stepFrom(
  values: readonly number[],
  residuals: readonly number[],
  jacobian: readonly (readonly number[])[],
  damping: number,
): readonly number[] {
  const dot = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
  const matrix = jacobian.map((row, i) =>
    jacobian.map((column, j) => {
      const product = dot(row, column);
      // What has no influence yet must not divide by 0: it stays where it is.
      return i === j ? product * (1 + damping) + DAMPING_MIN : product;
    }),
  );
  const step = solve(
    matrix,
    jacobian.map((row) => -dot(row, residuals)),
  );
  return values.map((value, index) => value + (step[index] ?? 0));
}

/** Gauss's elimination, of a positive definite matrix, which needs no other order of its rows. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, index) => [...row, right[index] ?? 0]);
  for (const [pivot, row] of rows.entries()) {
    const diagonal = row[pivot] ?? 0;
    assert(diagonal !== 0, `Expected a positive definite matrix but found 0 in row ${pivot}`);
    for (const [index, other] of rows.entries()) {
      if (index === pivot) continue;
      const factor = (other[pivot] ?? 0) / diagonal;
      for (const [column, value] of row.entries()) {
        other[column] = (other[column] ?? 0) - factor * value;
      }
    }
  }
  return rows.map((row, index) => (row.at(-1) ?? 0) / (row[index] ?? 1));
}
