/** Options and reports for the bench tests. */
import type { BenchOptions } from '../../bench/options.ts';
import type { Measurement, SizeReport } from '../../bench/report.ts';

export const OPTIONS: BenchOptions = {
  collective: 'all_reduce',
  minBytes: 8,
  maxBytes: 512,
  stepFactor: 8,
  iterations: 20,
  warmupIterations: 1,
  dataTypes: ['float'],
  reduceOps: ['sum'],
  root: 0,
  check: true,
  digest: false,
  countMultiple: 1,
  places: ['outOfPlace', 'inPlace'],
};

export function measurement(
  timeUs: number,
  wrong: number | null = 0,
  digest: string | null = null,
): Measurement {
  return { timeUs, wrong, digest };
}

/** The report of size `index` of `OPTIONS`: 8, 64, 512 bytes. */
export function report(index: number, changes: Partial<SizeReport> = {}): SizeReport {
  const bytes = 8 ** (index + 1);
  return {
    kind: 'size',
    index,
    bytes,
    count: bytes / 4,
    dataType: 'float',
    reduceOp: 'sum',
    outOfPlace: measurement(100),
    inPlace: measurement(200),
    choice: { algorithm: 'ring', channels: 1 },
    ...changes,
  };
}
