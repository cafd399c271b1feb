import { describe, expect, it } from 'vitest';
import { calibrate } from '../../../timing/calibration/calibrate.ts';
import { parseHoldout } from '../../../timing/calibration/holdout.ts';
import {
  readParameterFile,
  writeParameterFile,
} from '../../../timing/calibration/parameter-file.ts';
import type { MeasuredPoint } from '../../../timing/calibration/point.ts';
import { PointModel } from '../../../timing/calibration/point-model.ts';
import { Prover } from '../../../timing/experiment/proof.ts';
import { builtInTopology } from '../../../timing/topology/built-in.ts';

const slotsPerConnection = 8;
const flat = builtInTopology('flat');

function points(): MeasuredPoint[] {
  return ['ring', 'recursiveDoubling'].flatMap((name) =>
    [2, 4].flatMap((nranks) =>
      [1024, 65_536, 4_194_304].map((bytes, index) => ({
        ...{ line: index + 2, work: { kind: 'algorithm' as const, name }, nranks, bytes },
        ...{ collective: 'allReduce' as const, bytesPerElement: 4, seconds: 1 },
        measure: 'latency' as const,
      })),
    ),
  );
}

describe('calibrate()', () => {
  it.each(['flow', 'alphaBeta'] as const)(
    'recovers the parameters of generated points (%s)',
    (model) => {
      const blank = points();
      const truth = { 'port.latency': 37e-6, 'port.rate': 3.3e9 };
      const times = new PointModel(
        { topology: flat, points: blank, model, slotsPerConnection },
        new Prover(),
      ).predict(truth);
      const measured = blank.map((point, index) => ({ ...point, seconds: times[index] ?? 0 }));
      const holdout = parseHoldout('algorithm!=ring');
      const found = calibrate(
        {
          topology: flat,
          points: measured,
          fit: ['alpha', 'beta'],
          holdout,
          model,
          slotsPerConnection,
        },
        new Prover(),
      );
      const [alpha, beta] = found.fitted;
      expect(Math.abs((alpha?.value ?? 0) / 37e-6 - 1)).toBeLessThan(1e-4);
      expect(Math.abs((beta?.value ?? 0) / 3.3e9 - 1)).toBeLessThan(1e-4);
      expect(found.accuracy?.points).toBe(6);
      expect(found.accuracy?.max).toBeLessThan(1e-3);
      const text = writeParameterFile({
        ...{ topology: 'flat', model, pointsFile: 'p.csv', fitted: found.fitted },
        accuracy: found.accuracy,
      });
      expect(readParameterFile(text, 'p.yaml', flat)['port.rate']).toMatchObject({
        status: 'derived',
        source: `calibrated from p.csv, model ${model}`,
      });
    },
  );

  it('refuses a rule that holds out nothing, and names that there are not', () => {
    const request = {
      topology: flat,
      points: points(),
      model: 'flow',
      slotsPerConnection,
    } as const;
    const holdout = parseHoldout('ranks=3');
    expect(() => calibrate({ ...request, fit: ['alpha'], holdout }, new Prover())).toThrow(
      /holds out none/,
    );
    expect(() => calibrate({ ...request, fit: ['delta'] }, new Prover())).toThrow(/"delta"/);
  });
});
