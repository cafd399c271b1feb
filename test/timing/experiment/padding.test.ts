import { describe, expect, it } from 'vitest';
import { hcclAllReduce } from '../../../collectives/algorithms/hccl.ts';
import { predict } from '../../../timing/engine/predict.ts';
import { padded } from '../../../timing/experiment/padding.ts';
import { WorkSizes } from '../../../timing/experiment/work-size.ts';
import type { PredictionRequest } from '../../../timing/prediction.ts';
import { Sweeper, type SweepRequest } from '../../../timing/sweep.ts';
import { builtInTopology } from '../../../timing/topology/built-in.ts';
import { networkOf } from '../../../timing/topology/network.ts';

function request(boxes: number, counts: number): PredictionRequest {
  const network = networkOf(builtInTopology('hls2'), { boxes });
  const { nranks, topology } = network;
  return {
    work: hcclAllReduce({ nranks, topology }),
    counts,
    bytesPerElement: 4,
    network,
    model: 'flow',
    execution: { sliceBytes: 2 ** 19, slotsPerConnection: 8 },
    ranks: 'alike',
  };
}

function seconds(asked: PredictionRequest): number {
  const outcome = predict(asked);
  return outcome.kind === 'predicted' ? outcome.seconds : Number.NaN;
}

const BIG = 96;

describe('chunks that are made as large as the largest', () => {
  it('leaves alone what is even, what is small, and what is to be exact', () => {
    const sizes = new WorkSizes();
    for (const asked of [
      request(BIG, 768 * 100),
      request(2, 1001),
      { ...request(BIG, 1001), ranks: 'exact' } as const,
    ]) {
      expect(padded(asked, sizes)).toBe(asked);
    }
  });

  it('adds less than an element to each chunk', () => {
    for (const count of [1, 767, 769, 1_000_003]) {
      const { counts } = padded(request(BIG, count), new WorkSizes());
      expect(counts).toBe(Math.ceil(count / 768) * 768);
    }
  });

  it('takes no less time than chunks as they are, and not much more', () => {
    for (const count of [16 * 4096 + 1, 16 * 65536 + 7]) {
      const [exact, larger] = [request(2, count), request(2, Math.ceil(count / 16) * 16)].map(
        seconds,
      );
      expect(larger).toBeGreaterThanOrEqual(exact ?? Number.NaN);
      expect(larger).toBeLessThan(1.01 * (exact ?? Number.NaN));
    }
  });

  it('is told in the row, whose size and bound stay those that were asked for', () => {
    const asked: SweepRequest = {
      network: networkOf(builtInTopology('hls2'), { boxes: 256 }),
      collective: 'allReduce',
      root: 0,
      work: { kind: 'auto' },
      sizes: [1024, 16 * 1024],
      bytesPerElement: 4,
      models: ['flow'],
      slotsPerConnection: 8,
      ranks: 'alike',
    };
    const [small, even] = [...new Sweeper().rows(asked)].flat();
    expect(small).toMatchObject({ bytes: 1024, count: 256, paddedBytes: 8192 });
    expect(even).toMatchObject({ bytes: 16 * 1024 });
    expect(even).not.toHaveProperty('paddedBytes');
  });
});
