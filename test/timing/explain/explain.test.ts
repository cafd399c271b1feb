import { describe, expect, it } from 'vitest';
import { buildSchedule } from '../../../collectives/table.ts';
import { percentilesOf } from '../../../timing/experiment/percentiles.ts';
import { betterParameters } from '../../../timing/explain/better-parameters.ts';
import { type Explanation, explain } from '../../../timing/explain/explain.ts';
import { SENTENCES_MAX } from '../../../timing/explain/sentences.ts';
import type { PredictionRequest } from '../../../timing/prediction.ts';
import { builtInTopology } from '../../../timing/topology/built-in.ts';
import { networkOf } from '../../../timing/topology/network.ts';

/** An all-reduce of 4 MiB on two HLS-2. */
function explained(algorithm: string): Explanation {
  const file = builtInTopology('hls2');
  const network = networkOf(file, { boxes: 2 });
  const request: PredictionRequest = {
    work: buildSchedule({ collective: 'allReduce', algorithm, topology: network.topology }),
    counts: 2 ** 20,
    bytesPerElement: 4,
    network,
    model: 'flow',
    execution: { sliceBytes: 64 * 1024, slotsPerConnection: 8 },
    ranks: 'alike',
  };
  const better = betterParameters(file, network, (overrides) =>
    networkOf(file, { boxes: 2, overrides }),
  );
  return explain(request, better);
}

describe.each(['ring', 'hccl', 'recursiveDoubling'])('explain() of %s', (algorithm) => {
  const { seconds, sentences, breakdown, busiest, sensitivities } = explained(algorithm);

  it('has parts that add up to the time, each once', () => {
    const sum = breakdown.reduce((total, part) => total + part.seconds, 0);
    expect(sum / seconds).toBeCloseTo(1, 9);
    const shares = breakdown.reduce((total, part) => total + part.share, 0);
    expect(shares).toBeCloseTo(1, 9);
    expect(new Set(breakdown.map(({ name }) => name)).size).toBe(breakdown.length);
  });

  it('tells the path in a bounded number of sentences', () => {
    expect(sentences.length).toBeGreaterThan(0);
    expect(sentences.length).toBeLessThanOrEqual(SENTENCES_MAX + 1);
    expect(sentences[0]).toMatch(/^0 ns to /);
  });

  it('names three links, the busiest first, none busier than always', () => {
    const uses = busiest.map(({ utilisation }) => utilisation);
    expect(uses).toHaveLength(3);
    expect(uses).toEqual([...uses].sort((a, b) => b - a));
    expect(uses[0]).toBeLessThanOrEqual(1 + 1e-9);
  });

  it('says of every parameter what it is worth: what is on the path helps, what no route uses does not', () => {
    const change = new Map(sensitivities.map((one) => [one.parameter, one.change]));
    const onPath = breakdown.flatMap(({ name }) => /^link (\w+)/.exec(name)?.[1] ?? []);
    expect(onPath.length).toBeGreaterThan(0);
    for (const kind of onPath) expect(change.get(`${kind}.rate`), kind).toBeLessThan(0);
    expect([...change.keys()].filter((name) => name.startsWith('pcie'))).toEqual([]);
    expect(sensitivities.every(({ factor }) => factor !== 1)).toBe(true);
  });
});

describe('percentilesOf()', () => {
  it('are times of runs, by nearest rank', () => {
    const times = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(percentilesOf(times)).toEqual({
      runs: 100,
      minSeconds: 1,
      p50Seconds: 50,
      p95Seconds: 95,
      p99Seconds: 99,
      maxSeconds: 100,
    });
    expect(percentilesOf([3]).p99Seconds).toBe(3);
  });
});
