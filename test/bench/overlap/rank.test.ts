/** A rank of the overlap benchmark on simulated hosts: its turns, not its times. */
import { describe, expect, it } from 'vitest';
import type { RankReport } from '../../../bench/overlap/options.ts';
import { OverlapRank } from '../../../bench/overlap/rank.ts';
import { sameBits } from '../../../bench/overlap/summary.ts';
import { wallClock } from '../../../common/clock.ts';
import { storeGet, storeSet } from '../../../node/hccl/api.ts';
import { inlineWorld } from '../../simulation/inline-library.ts';
import { SimulatedCluster } from '../../simulation/simulated-cluster.ts';
import { trainingLibrary } from '../../training/training-library.ts';

describe('a rank of the overlap benchmark', () => {
  it('measures every variant in every round, and sums to the same bits with and without overlap', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, latencyMs: 0.01 });
    const options = { rounds: 2, steps: 1, hidden: [16, 16], bucketBytes: 1 };
    const reports: RankReport[] = [];
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const library = {
        ...trainingLibrary(rank),
        storeGet: (key: string) => storeGet(channel, key),
        storeSet: (key: string, value: string) => storeSet(channel, key, value),
      };
      const world = await inlineWorld(rank);
      const one = await OverlapRank.open({ library, world, options, clock: wallClock });
      reports.push(await one.measure());
      await one.close();
    });
    expect([...job.errors.values()]).toEqual([]);
    expect(reports).toHaveLength(2);
    expect(sameBits(reports)).toBe(true);
    for (const { buckets, places } of reports) {
      expect(buckets).toBe(3);
      for (const { rows, rounds } of [places.device, places.program]) {
        expect(rows).toBeGreaterThanOrEqual(1);
        expect(rounds).toHaveLength(2);
        for (const { on, communication, computing } of rounds) {
          expect(on.wallMs).toBeGreaterThan(0);
          expect(communication.firstMs).toBe(0);
          expect(computing.firstMs).toBeLessThanOrEqual(computing.wallMs);
        }
      }
    }
  });
});
