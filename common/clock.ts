/**
 * Time as a parameter. This file is the only reader of the machine's clocks; everything else takes
 * a `Clock`. Two kinds exist and no output may mix them: wall time of this machine, and virtual time.
 */
export interface Clock {
  readonly kind: 'wall' | 'virtual';
  /** Monotonic time in milliseconds, fractional, from an arbitrary origin. */
  now(): number;
  /** Milliseconds since the Unix epoch; in virtual time, the same as `now()`. */
  unixMs(): number;
}

/** The machine's monotonic clock. */
export const wallClock: Clock = {
  kind: 'wall',
  now: () => performance.now(),
  unixMs: () => Date.now(),
};
