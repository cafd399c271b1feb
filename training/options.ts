/** What a training can be told, and the job that it becomes. */
import { z } from 'zod';
import { KiB } from '../common/bytes.ts';
import { HlsimError } from '../common/errors.ts';
import { OVERLAPS } from './gradient-step.ts';
import { HIDDEN_DEFAULT } from './model.ts';

/** Passes over the training set. */
export const EPOCHS_DEFAULT = 20;
export const SEED_DEFAULT = 1;
/** Rows of one global batch: all ranks' shards of it together. */
export const BATCH_DEFAULT = 64;
/** Most bytes of gradients that wait for each other before they are reduced. */
export const BUCKET_BYTES_DEFAULT = 256 * KiB;

/** Units of a hidden layer, and hidden layers. */
export const HIDDEN_UNITS_MAX = 1024;
export const HIDDEN_LAYERS_MAX = 8;

const schema = z.strictObject({
  epochs: z.int().min(1).max(10_000),
  /** Of the shuffle and of the first weights. */
  seed: z.int().min(0).max(0xffff_ffff),
  batch: z.int().min(1).max(65_536),
  /** Units of each hidden layer. */
  hidden: z.array(z.int().min(1).max(HIDDEN_UNITS_MAX)).min(1).max(HIDDEN_LAYERS_MAX),
  /** Gradients are reduced in buckets of at most so many bytes, a layer at least. */
  bucketBytes: z.int().min(1),
  /** Whether a bucket is reduced while the gradients of the next are computed. */
  overlap: z.enum(OVERLAPS),
  /** Whether the layers are timed after the training. */
  timeLayers: z.boolean().optional(),
});

export type TrainOptions = Readonly<z.infer<typeof schema>>;

/** `given`, with defaults for the rest. */
export function trainOptions(given: Partial<TrainOptions>): TrainOptions {
  return {
    epochs: EPOCHS_DEFAULT,
    seed: SEED_DEFAULT,
    batch: BATCH_DEFAULT,
    hidden: [...HIDDEN_DEFAULT],
    bucketBytes: BUCKET_BYTES_DEFAULT,
    overlap: 'on',
    ...given,
  };
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
