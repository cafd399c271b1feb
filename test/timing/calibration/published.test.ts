import { describe, expect, it } from 'vitest';
import { calibrate } from '../../../timing/calibration/calibrate.ts';
import type { MeasuredPoint } from '../../../timing/calibration/point.ts';
import { PointModel } from '../../../timing/calibration/point-model.ts';
import { Prover } from '../../../timing/experiment/proof.ts';
import { builtInTopology } from '../../../timing/topology/built-in.ts';

const MIB = 2 ** 20;

/** hccl_demo's bw mode: calls back to back; NW bandwidth is 2(n-1)/n of the size by the time. */
function published(bytes: number, gigabytesPerSecond: number): MeasuredPoint {
  return {
    line: 1,
    work: { kind: 'algorithm', name: 'hccl' },
    collective: 'allReduce',
    nranks: 8,
    boxes: 1,
    bytes,
    bytesPerElement: 4,
    seconds: (2 * 7 * bytes) / 8 / (gigabytesPerSecond * 1e9),
    measure: 'bandwidth',
  };
}

const setting = { model: 'flow', slotsPerConnection: 8 } as const;

describe('published bandwidths', () => {
  it('fits Gaudi2 x8 and then predicts Gaudi3 x8 within 2 %', () => {
    const topology = builtInTopology('hls2');
    const points = [published(32 * MIB, 258.209121)];
    const fit = ['scaleUp.efficiency'];
    const found = calibrate({ ...setting, topology, points, fit }, new Prover());
    const efficiency = found.fitted[0]?.value ?? 0;
    expect(efficiency).toBeCloseTo(0.98365, 5);
    expect(found.accuracy).toBeUndefined();
    const gaudi3 = published(256 * MIB, 512.957298);
    const hls3 = { ...setting, topology: builtInTopology('hls3'), points: [gaudi3] };
    const [seconds = 0] = new PointModel(hls3, new Prover()).predict({
      'scaleUp.efficiency': efficiency,
    });
    expect(Math.abs(gaudi3.seconds / seconds - 1)).toBeLessThan(0.02);
    // As docs/time-model.md has it.
    expect((2 * 7 * gaudi3.bytes) / 8 / seconds / 1e9).toBeCloseTo(516.42, 2);
  });
});
