import { describe, expect, it } from 'vitest';
import { trainOptions } from '../../training/options.ts';
import { renderEpoch, renderSummary, trainJson } from '../../training/render.ts';
import type { TrainSummary } from '../../training/results.ts';

const SUMMARY: TrainSummary = {
  nranks: 4,
  options: trainOptions({ seed: 7 }),
  trainingRows: 1437,
  heldOutRows: 360,
  loss: [1.5, 0.25],
  accuracy: 0.975,
  weightsIdentical: true,
  weightsDigest: '0123456789abcdef'.repeat(4),
  wireBytes: 2_097_152,
  wireBytesFormula: 2_097_152,
  controlBytes: 1024,
  collectives: 481,
  buckets: 3,
  step: { computeMs: 1.25, communicationMs: 2, exposedMs: 0.5 },
  seconds: 3.456,
};

describe('renderEpoch()', () => {
  it('is one line with numbers of equal width', () => {
    const event = {
      kind: 'epoch',
      epoch: 3,
      epochs: 20,
      loss: 0.5,
      trainingAccuracy: 0.91,
      heldOutAccuracy: 0.925,
      seconds: 0.123,
    } as const;
    expect(renderEpoch(event)).toBe(
      'epoch  3/20  loss 0.500000  training accuracy 91.00 %  held-out accuracy 92.50 %  0.12 s',
    );
  });
});

describe('renderSummary()', () => {
  it('says what was reached, what was checked, and of which clock the time is', () => {
    expect(renderSummary(SUMMARY).split('\n')).toEqual([
      'Trained:             4 ranks, 1437 images, seed 7',
      'Held-out accuracy:   97.50 % (351 of 360 images)',
      'Weights:             bit-identical on all ranks (SHA-256 0123456789abcdef)',
      'Collectives:         481 on every rank',
      'Step:                1.750 ms: 1.250 ms computing, 0.500 ms waiting for gradients',
      'Communication:       2.000 ms of a step, 1.500 ms of it beside computing (overlap on, 3 buckets)',
      'Payload on the wire: 2097152 B (2 MiB), exactly what the formulas of the algorithms give',
      'Control messages:    1024 B (1 KiB)',
      'Time:                3.46 s, wall clock of this machine',
    ]);
  });

  it('does not hide what is wrong', () => {
    const text = renderSummary({ ...SUMMARY, weightsIdentical: false, wireBytesFormula: 5 });
    expect(text).toContain('DIFFERENT between the ranks');
    expect(text).toContain('2097152 B (2 MiB), WRONG: the formulas of the algorithms give 5 B');
  });
});

describe('trainJson()', () => {
  it('has the figures under their names, flat, and names the clock', () => {
    const { nranks, options, ...rest } = SUMMARY;
    expect(trainJson(SUMMARY)).toEqual({ ...rest, ...options, ranks: nranks, clock: 'wall' });
  });
});
