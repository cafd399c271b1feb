/** Data for the training tests. */
import { type Digits, loadDigits, pickRows, type SplitDigits } from '../../training/digits.ts';

/** The first `rows` images of the data set. */
export function firstDigits(rows: number): Digits {
  return pickRows(
    loadDigits(),
    Array.from({ length: rows }, (_, row) => row),
  );
}

/** A small data set: `training` rows, and the `heldOut` rows behind them. */
export function smallSplit(training: number, heldOut: number): SplitDigits {
  const all = firstDigits(training + heldOut);
  const numbers = Array.from({ length: all.rows }, (_, row) => row);
  return {
    training: pickRows(all, numbers.slice(0, training)),
    heldOut: pickRows(all, numbers.slice(training)),
  };
}
