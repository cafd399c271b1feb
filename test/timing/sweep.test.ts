import { describe, expect, it } from 'vitest';
import { Sweeper, type SweepRequest } from '../../timing/sweep.ts';
import { builtInTopology } from '../../timing/topology/built-in.ts';
import { networkOf } from '../../timing/topology/network.ts';

const MiB = 2 ** 20;

function request(more: Partial<SweepRequest> = {}): SweepRequest {
  return {
    network: networkOf(builtInTopology('hls2'), { boxes: 2 }),
    collective: 'allReduce',
    root: 0,
    work: { kind: 'auto' },
    sizes: [MiB, 4 * MiB],
    bytesPerElement: 4,
    models: ['flow'],
    slotsPerConnection: 8,
    ranks: 'alike',
    ...more,
  };
}

function rowsOf(asked: SweepRequest) {
  return [...new Sweeper().rows(asked)].flat();
}

describe('a sweep', () => {
  it('has a row for each size and model, proved, with a bound that is not beaten', () => {
    const rows = rowsOf(request({ models: ['flow', 'alphaBeta'] }));
    expect(rows.map(({ bytes, model }) => [model, bytes])).toEqual([
      ['flow', MiB],
      ['flow', 4 * MiB],
      ['alphaBeta', MiB],
      ['alphaBeta', 4 * MiB],
    ]);
    for (const { proof, fraction, model } of rows) {
      expect(proof).toBeDefined();
      expect(fraction).toBeGreaterThan(0);
      if (model === 'flow') expect(fraction).toBeLessThanOrEqual(1 + 1e-9);
    }
  });

  it('takes what the boxes do themselves where cards share boxes, and what the tuner says where not', () => {
    expect(rowsOf(request()).map(({ algorithm }) => algorithm)).toEqual(['hccl', 'hccl']);
    const flat = networkOf(builtInTopology('flat'), { cards: 4 });
    const [row] = rowsOf(request({ network: flat, sizes: [64] }));
    expect(row?.algorithm).not.toBe('hccl');
  });

  it('marks one of all algorithms for each size as the best: none is faster', () => {
    const network = networkOf(builtInTopology('hls2'));
    const rows = rowsOf(request({ network, work: { kind: 'all' }, sizes: [32 * MiB] }));
    expect(rows.length).toBeGreaterThan(5);
    const seconds = rows.flatMap(({ outcome }) =>
      outcome.kind === 'predicted' ? outcome.seconds : [],
    );
    const best = rows.filter((row) => row.best);
    expect(best).toHaveLength(1);
    const [{ outcome } = { outcome: undefined }] = best;
    expect(outcome?.kind === 'predicted' && outcome.seconds).toBe(Math.min(...seconds));
  });

  it('proves a smaller instance of what has too many messages, and says so', () => {
    const network = networkOf(builtInTopology('hls2'), { boxes: 64 });
    const [row] = rowsOf(request({ network, sizes: [64 * MiB] }));
    expect(row?.nranks).toBe(512);
    expect(row?.proof?.of).toBe('smaller');
    expect(row?.proof?.topology.boxes).toBeLessThan(64);
  });

  it('is the same for the same seed, and has percentiles in order', () => {
    const jitter = { fraction: 0.2, seed: 3, runs: 5 };
    const twice = [0, 1].map(() => rowsOf(request({ jitter, sizes: [MiB] })));
    expect(twice[0]).toEqual(twice[1]);
    const { minSeconds, p50Seconds, maxSeconds } = twice[0]?.[0]?.percentiles ?? {};
    expect(minSeconds).toBeLessThan(maxSeconds ?? 0);
    expect(p50Seconds).toBeLessThanOrEqual(maxSeconds ?? 0);
  });
});
