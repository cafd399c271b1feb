/** What a sweep can be told, and the job that it becomes. */
import { z } from 'zod';
import { COLLECTIVE_WORDS, type CollectiveWord } from '../collectives/names.ts';
import { HlsimError } from '../common/errors.ts';
import { DATA_TYPE_WORDS, REDUCE_OPERATION_WORDS } from './data-types.ts';

const size = z.int().positive();

const schema = z.strictObject({
  collective: z.enum(Object.keys(COLLECTIVE_WORDS) as [CollectiveWord, ...CollectiveWord[]]),
  minBytes: size,
  maxBytes: size,
  /** From size to size: times this ... */
  stepFactor: z.int().min(2).optional(),
  /** ... or plus this. One of the two. */
  stepBytes: size.optional(),
  iterations: z.int().min(1),
  warmupIterations: z.int().min(0),
  /** Each call is waited for before the next is posted: a program's latency, and not the stream's rate. */
  blocking: z.boolean().optional(),
  /** Every size is measured with each of these ... */
  dataTypes: z.array(z.enum(DATA_TYPE_WORDS as [string, ...string[]])).min(1),
  /** ... and, where the collective reduces, with each of these. */
  reduceOps: z.array(z.enum(REDUCE_OPERATION_WORDS)).min(1),
  root: z.int().nonnegative(),
  /** Compare every element of every result. */
  check: z.boolean(),
  /** Report a digest of every result of inputs whose sums round. */
  digest: z.boolean(),
  /** Instead of what is picked for each size: */
  algorithm: z.string().min(1).optional(),
  channels: z.int().min(1).optional(),
  chunks: z.int().min(1).optional(),
  sliceBytes: size.optional(),
  /** Text of an MSCCL file that is run instead of any algorithm ... */
  schedule: z.string().min(1).optional(),
  /** ... of which counts must be multiples ... */
  countMultiple: z.int().positive().default(1),
  /** ... and where its buffers may lie. */
  places: z.array(z.enum(['outOfPlace', 'inPlace'])).min(1),
});

type Parsed = Readonly<z.infer<typeof schema>>;

export interface BenchOptions extends Omit<Parsed, 'dataTypes' | 'reduceOps'> {
  readonly dataTypes: readonly (typeof DATA_TYPE_WORDS)[number][];
  readonly reduceOps: readonly (typeof REDUCE_OPERATION_WORDS)[number][];
}

/** The sweep as a job of the cluster. */
export function benchJob(
  options: BenchOptions,
  environment: Readonly<Record<string, string>> = {},
): {
  readonly program: string;
  readonly arguments: string[];
  readonly environment: Record<string, string>;
} {
  return {
    program: 'builtin:bench',
    arguments: [JSON.stringify(options)],
    environment: { ...environment },
  };
}

/** Reads the argument that `benchJob` made. Throws `HLSIM_CONFIG`. */
export function readBenchOptions(argument: string | undefined): BenchOptions {
  const parsed = schema.safeParse(jsonOf(argument));
  if (parsed.success) return parsed.data as BenchOptions;
  throw new HlsimError(
    'HLSIM_CONFIG',
    `Expected the options of a sweep as the only argument but found ${JSON.stringify(argument)}: ${z.prettifyError(parsed.error)}`,
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
