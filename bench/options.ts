/** What a sweep can be told, and the job that it becomes. */
import { z } from 'zod';
import { HlsimError } from '../common/errors.ts';

const size = z.int().positive();

const schema = z.strictObject({
  collective: z.enum(['all_reduce', 'all_gather']),
  minBytes: size,
  maxBytes: size,
  /** From size to size: times this ... */
  stepFactor: z.int().min(2).optional(),
  /** ... or plus this. One of the two. */
  stepBytes: size.optional(),
  iterations: z.int().min(1),
  warmupIterations: z.int().min(0),
  dataType: z.literal('float'),
  reduceOp: z.literal('sum'),
  /** Compare every element of every result. */
  check: z.boolean(),
  /** An algorithm's name, instead of the one that is picked for each size. */
  algorithm: z.string().min(1).optional(),
});

export type BenchOptions = Readonly<z.infer<typeof schema>>;

/** Setting of a job that overrides the choice of algorithm; HCCL reads it. */
const ALGORITHM_VARIABLE = 'HLSIM_ALGORITHM';

/** The sweep as a job of the cluster. */
export function benchJob(options: BenchOptions): {
  readonly program: string;
  readonly arguments: string[];
  readonly environment: Record<string, string>;
} {
  const { algorithm } = options;
  return {
    program: 'builtin:bench',
    arguments: [JSON.stringify(options)],
    environment: algorithm === undefined ? {} : { [ALGORITHM_VARIABLE]: algorithm },
  };
}

/** Reads the argument that `benchJob` made. Throws `HLSIM_CONFIG`. */
export function readBenchOptions(argument: string | undefined): BenchOptions {
  const parsed = schema.safeParse(jsonOf(argument));
  if (parsed.success) return parsed.data;
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
