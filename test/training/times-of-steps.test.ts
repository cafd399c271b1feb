import { describe, expect, it } from 'vitest';
import { TimesOfSteps } from '../../training/times-of-steps.ts';

describe('the times of steps', () => {
  it('are those of the median step, so that slow first ones do not count', () => {
    const times = new TimesOfSteps();
    expect(times.median()).toEqual({ computeMs: 0, communicationMs: 0, exposedMs: 0 });
    times.add({ computeMs: 40, communicationMs: 9, exposedMs: 8 });
    for (let step = 0; step < 4; step++) {
      times.add({ computeMs: 1 + step / 4, communicationMs: 2, exposedMs: step });
    }
    expect(times.steps).toBe(5);
    expect(times.median()).toEqual({ computeMs: 1.5, communicationMs: 2, exposedMs: 2 });
  });
});
