import { describe, expect, it } from 'vitest';
import { HIDDEN_DEFAULT } from '../../training/model.ts';
import {
  BATCH_DEFAULT,
  BUCKET_BYTES_DEFAULT,
  EPOCHS_DEFAULT,
  readTrainOptions,
  SEED_DEFAULT,
  trainJob,
  trainOptions,
} from '../../training/options.ts';

describe('trainOptions()', () => {
  it('gives defaults for what is not given', () => {
    const defaults = {
      epochs: EPOCHS_DEFAULT,
      seed: SEED_DEFAULT,
      batch: BATCH_DEFAULT,
      hidden: HIDDEN_DEFAULT,
      bucketBytes: BUCKET_BYTES_DEFAULT,
      overlap: 'on',
    };
    expect(trainOptions({})).toEqual(defaults);
    expect(trainOptions({ epochs: 3, seed: 0 })).toEqual({ ...defaults, epochs: 3, seed: 0 });
  });
});

describe('trainJob()', () => {
  it("is hlsim's own program with the options as its one argument", () => {
    const options = trainOptions({ seed: 9 });
    const { program, arguments: words, environment } = trainJob(options);
    expect([program, words.length, environment]).toEqual(['builtin:train', 1, {}]);
    expect(readTrainOptions(words[0])).toEqual(options);
  });
});

describe('readTrainOptions()', () => {
  const good = trainOptions({});

  it.each([
    ['nothing', undefined],
    ['no JSON', '{epochs'],
    ['no object', '7'],
    ['a missing option', JSON.stringify({ epochs: 1, seed: 1 })],
    ['an unknown option', JSON.stringify({ ...good, rate: 1 })],
    ['no epochs', JSON.stringify({ ...good, epochs: 0 })],
    ['a broken batch', JSON.stringify({ ...good, batch: 1.5 })],
    ['a negative seed', JSON.stringify({ ...good, seed: -1 })],
    ['no hidden layer', JSON.stringify({ ...good, hidden: [] })],
    ['a layer without units', JSON.stringify({ ...good, hidden: [32, 0] })],
    ['too wide a layer', JSON.stringify({ ...good, hidden: [1025] })],
    ['too many layers', JSON.stringify({ ...good, hidden: Array(9).fill(8) })],
    ['a bucket of nothing', JSON.stringify({ ...good, bucketBytes: 0 })],
    ['an overlap that is neither on nor off', JSON.stringify({ ...good, overlap: 'maybe' })],
    ['a word for a number', JSON.stringify({ ...good, seed: '1' })],
  ])('refuses %s and says what was found', (_, argument) => {
    expect(() => readTrainOptions(argument)).toThrowError(
      expect.objectContaining({
        code: 'HLSIM_CONFIG',
        message: expect.stringContaining(`but found ${JSON.stringify(argument)}`),
      }),
    );
  });
});
