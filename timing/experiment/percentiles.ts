/** What many runs with random delays came to. */
import { assert } from '../../common/assert.ts';

export interface Percentiles {
  readonly runs: number;
  readonly minSeconds: number;
  readonly p50Seconds: number;
  readonly p95Seconds: number;
  readonly p99Seconds: number;
  readonly maxSeconds: number;
}

/** By nearest rank: the least time that so many of a hundred runs do not exceed. No time between two runs is made up. */
export function percentilesOf(times: readonly number[]): Percentiles {
  assert(times.length > 0, 'Expected the time of at least one run');
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] as number;
  return {
    runs: times.length,
    minSeconds: at(0),
    p50Seconds: at(0.5),
    p95Seconds: at(0.95),
    p99Seconds: at(0.99),
    maxSeconds: at(1),
  };
}
