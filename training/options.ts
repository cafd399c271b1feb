/** What a training can be told, and the job that it becomes. */
import { z } from 'zod';
import { HlsimError } from '../common/errors.ts';

/** Passes over the training set. */
export const EPOCHS_DEFAULT = 20;
export const SEED_DEFAULT = 1;
/** Rows of one global batch: all ranks' shards of it together. */
export const BATCH_DEFAULT = 64;

const schema = z.strictObject({
  epochs: z.int().min(1).max(10_000),
  /** Of the shuffle and of the first weights. */
  seed: z.int().min(0).max(0xffff_ffff),
  batch: z.int().min(1).max(65_536),
});

export type TrainOptions = Readonly<z.infer<typeof schema>>;

/** `given`, with defaults for the rest. */
export function trainOptions(given: Partial<TrainOptions>): TrainOptions {
  return { epochs: EPOCHS_DEFAULT, seed: SEED_DEFAULT, batch: BATCH_DEFAULT, ...given };
}

/** The training as a job of the cluster. */
export function trainJob(options: TrainOptions): {
  readonly program: string;
  readonly arguments: string[];
  readonly environment: Record<string, string>;
} {
  return { program: 'builtin:train', arguments: [JSON.stringify(options)], environment: {} };
}

/** Reads the argument that `trainJob` made. Throws `HLSIM_CONFIG`. */
export function readTrainOptions(argument: string | undefined): TrainOptions {
  const parsed = schema.safeParse(jsonOf(argument));
  if (parsed.success) return parsed.data;
  throw new HlsimError(
    'HLSIM_CONFIG',
    `Expected the options of a training as the only argument but found ${JSON.stringify(argument)}: ${z.prettifyError(parsed.error)}`,
  );
}

function jsonOf(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    // What is no JSON is no options either; the caller says what was found.
    return undefined;
  }
}
