import { expect, it } from 'vitest';
import { BATCH, measureWrites } from '../../bench/verbs-writes.ts';
import { wallScheduler } from '../../common/scheduler.ts';

it('every write of every round arrives, and each round has a rate', async () => {
  const rates = await measureWrites({ scheduler: wallScheduler, rounds: 2, writes: 20 * BATCH });
  expect(rates.length).toBe(2);
  for (const rate of rates) expect(rate).toBeGreaterThan(0);
});
