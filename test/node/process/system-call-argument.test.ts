import { describe, expect, it } from 'vitest';
import { isSystemCallValue } from '../../../node/process/system-call-argument.ts';

describe('a value that came over a port', () => {
  it('may be nested plain objects and arrays', () => {
    expect(isSystemCallValue({ fds: [0, 1], data: new Uint8Array(4), note: null })).toBe(true);
  });

  it('may not have holes: some ways of walking an array skip them, others do not', () => {
    const holes: number[] = [3];
    holes.length = 2;
    expect(isSystemCallValue({ fds: holes })).toBe(false);
    expect(isSystemCallValue(structuredClone({ fds: holes }))).toBe(false);
  });
});
