import { describe, expect, it } from 'vitest';
import { trainOptions } from '../../training/options.ts';
import type { EpochReport, FinalReport } from '../../training/report.ts';
import { TrainResults } from '../../training/results.ts';
import { trainingCalls, wireBytes } from '../../training/wire-bytes.ts';

const OPTIONS = trainOptions({ epochs: 2 });
const RANKS = 2;
const DIGEST = 'ab'.repeat(32);

const epochReport = (epoch: number): EpochReport => ({
  kind: 'epoch',
  epoch,
  loss: 1 / epoch,
  trainingAccuracy: 0.5,
  heldOutAccuracy: 0.25,
  seconds: 0.1,
});

const finalReport = (change: Partial<FinalReport> = {}): FinalReport => ({
  kind: 'final',
  accuracy: 0.75,
  weightsDigest: DIGEST,
  trainingRows: 1437,
  heldOutRows: 360,
  path: 'ws' as const,
  payloadBytesSent: 1000,
  controlBytesSent: 10,
  collectives: 49,
  steps: 46,
  buckets: 1,
  computeMs: 46,
  communicationMs: 92,
  exposedMs: 23,
  seconds: 2,
  ...change,
});

/** Everything but the last report. */
function almost(): TrainResults {
  const results = new TrainResults(OPTIONS, RANKS);
  results.add(0, epochReport(1));
  results.add(0, epochReport(2));
  results.add(0, finalReport());
  return results;
}

describe('TrainResults', () => {
  it('hands on each epoch, with how many there will be', () => {
    const results = new TrainResults(OPTIONS, RANKS);
    expect(results.add(0, epochReport(1))).toEqual({ ...epochReport(1), epochs: 2 });
    expect(results.add(1, finalReport())).toBeUndefined();
  });

  it('has no summary while a report is missing', () => {
    const results = almost();
    expect(results.summary()).toBeUndefined();
    results.add(1, finalReport());
    expect(results.summary()).toBeDefined();
    const withoutEpochs = new TrainResults(OPTIONS, 1);
    withoutEpochs.add(0, finalReport());
    expect(withoutEpochs.summary()).toBeUndefined();
  });

  it('sums the bytes of all ranks, takes the mean of their steps and the time of the slowest', () => {
    const results = almost();
    results.add(
      1,
      finalReport({ payloadBytesSent: 500, controlBytesSent: 7, seconds: 3, exposedMs: 69 }),
    );
    expect(results.summary()).toEqual({
      nranks: 2,
      options: OPTIONS,
      trainingRows: 1437,
      heldOutRows: 360,
      loss: [1, 0.5],
      accuracy: 0.75,
      weightsIdentical: true,
      weightsDigest: DIGEST,
      wireBytes: 1500,
      wireBytesFormula: wireBytes(trainingCalls(OPTIONS, 1437), 2, 'ws'),
      controlBytes: 17,
      collectives: 49,
      buckets: 1,
      step: { computeMs: 46, communicationMs: 92, exposedMs: 46 },
      seconds: 3,
    });
  });

  it('sees weights that differ on one rank', () => {
    const results = almost();
    results.add(1, finalReport({ weightsDigest: 'cd'.repeat(32) }));
    expect(results.summary()?.weightsIdentical).toBe(false);
  });

  it.each<[string, number, unknown]>([
    ['no report', 1, undefined],
    ['a report of no known kind', 1, { kind: 'middle' }],
    ['a final report without a digest', 1, { ...finalReport(), weightsDigest: undefined }],
    ['a digest that is none', 1, finalReport({ weightsDigest: 'xyz' })],
    ['an accuracy above 1', 1, finalReport({ accuracy: 1.5 })],
    ['negative bytes', 1, finalReport({ payloadBytesSent: -1 })],
    ['an unknown field', 1, { ...finalReport(), extra: 1 }],
    ['a loss that is no number, as JSON gives it', 0, { ...epochReport(1), loss: null }],
    ['a second final report of a rank', 0, finalReport()],
    ['a rank that does not exist', 2, finalReport()],
    ['a negative rank', -1, finalReport()],
    ['an epoch too many', 0, epochReport(3)],
    ['an epoch twice', 0, epochReport(2)],
    ['an epoch from another rank', 1, epochReport(1)],
  ])('refuses %s, and keeps what it has', (_, rank, report) => {
    const results = almost();
    expect(() => results.add(rank, report)).toThrowError(
      expect.objectContaining({
        code: 'HLSIM_PROTOCOL_ERROR',
        message: expect.stringMatching(/^Expected .+ but found: .+[^.]$/s),
      }),
    );
    results.add(1, finalReport());
    expect(results.summary()?.loss).toEqual([1, 0.5]);
  });

  it('refuses an epoch before its time', () => {
    const results = new TrainResults(OPTIONS, RANKS);
    expect(() => results.add(0, epochReport(2))).toThrow('epoch 1 of 2 from rank 0');
  });
});
