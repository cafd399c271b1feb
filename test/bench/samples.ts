/** Options and reports for the bench tests. */
import type { BenchOptions } from '../../bench/options.ts';
import type { SizeReport } from '../../bench/report.ts';

export const OPTIONS: BenchOptions = {
  collective: 'all_reduce',
  minBytes: 8,
  maxBytes: 512,
  stepFactor: 8,
  iterations: 20,
  warmupIterations: 1,
  dataType: 'float',
  reduceOp: 'sum',
  check: true,
};

/** The report of size `index` of `OPTIONS`: 8, 64, 512 bytes. */
export function report(index: number, changes: Partial<SizeReport> = {}): SizeReport {
  const bytes = 8 ** (index + 1);
  const outOfPlace = { timeUs: 100, wrong: 0 };
  const inPlace = { timeUs: 200, wrong: 0 };
  return { kind: 'size', index, bytes, count: bytes / 4, outOfPlace, inPlace, ...changes };
}
