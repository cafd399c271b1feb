import { describe, expect, it } from 'vitest';
import { VirtualScheduler } from '../../common/scheduler.ts';
import { ClockAlignment } from '../../node/clock-alignment.ts';

const COORDINATOR_AHEAD_MS = 1_000;

/** A coordinator whose clock is ahead; the way there and back takes so long, trip after trip. */
function align(trips: readonly (readonly [there: number, back: number])[]) {
  const scheduler = new VirtualScheduler();
  const asked: number[] = [];
  const clock = new ClockAlignment(scheduler, (sequence) => {
    const [there, back] = trips[asked.length % trips.length] ?? [0, 0];
    asked.push(sequence);
    scheduler.after(there, () => {
      const atMs = scheduler.clock.now() + COORDINATOR_AHEAD_MS;
      scheduler.after(back, () => clock.answered(sequence, atMs));
    });
  });
  return { scheduler, clock, asked };
}

describe("A host's clock", () => {
  it('is measured by the best of several round trips', async () => {
    const { scheduler, clock, asked } = align([
      [3, 1],
      [1, 1],
      [5, 2],
      [1, 4],
    ]);
    const { offsetMs, uncertaintyMs } = await scheduler.run(clock.measure());
    expect(offsetMs).toBe(COORDINATOR_AHEAD_MS);
    expect(uncertaintyMs).toBe(1);
    expect(new Set(asked).size).toBe(8);
  });

  it.each([[[4, 0] as const], [[0, 4] as const], [[1, 3] as const]])(
    'is wrong by no more than it says, even if the ways there and back differ: %j',
    async (trip) => {
      const { scheduler, clock } = align([trip]);
      const { offsetMs, uncertaintyMs } = await scheduler.run(clock.measure());
      expect(uncertaintyMs).toBe(2);
      expect(Math.abs(offsetMs - COORDINATOR_AHEAD_MS)).toBeLessThanOrEqual(uncertaintyMs);
    },
  );

  it('cannot be measured without an answer', async () => {
    const scheduler = new VirtualScheduler();
    const clock = new ClockAlignment(scheduler, () => undefined);
    const measured = scheduler.run(clock.measure());
    await expect(measured).rejects.toThrow('Expected the coordinator to tell the time');
  });
});
