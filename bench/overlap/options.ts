/** What `npm run bench:overlap` measures: how each launched rank is told, and what it reports. */
import { z } from 'zod';
import { HlsimError } from '../../common/errors.ts';

/** Who computes the gradients: kernels on the device, or the program in its own thread. */
export const PLACES = ['device', 'program'] as const;
export type Place = (typeof PLACES)[number];

/** A step with and without overlap, and each half of it alone. */
export const VARIANTS = ['on', 'off', 'communication', 'computing'] as const;
export type Variant = (typeof VARIANTS)[number];

const optionsSchema = z.strictObject({
  rounds: z.int().min(1).max(1000),
  /** Of each variant in each round. */
  steps: z.int().min(1).max(1000),
  hidden: z.array(z.int().positive()),
  bucketBytes: z.int().positive(),
});

export type OverlapOptions = Readonly<z.infer<typeof optionsSchema>>;

/** Reads the argument of a rank. Throws `HLSIM_CONFIG`. */
export function readOverlapOptions(argument: string | undefined): OverlapOptions {
  const parsed = optionsSchema.safeParse(jsonOf(argument));
  if (parsed.success) return parsed.data;
  throw new HlsimError(
    'HLSIM_CONFIG',
    `Expected the options of the overlap benchmark but found ${argument}: start it with npm run bench:overlap`,
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

const milliseconds = z.number().nonnegative();

/** Of one variant in one round: means of a step. */
const cost = z.strictObject({
  wallMs: milliseconds,
  /** Of the whole host: all its threads. */
  cpuMs: milliseconds,
  /** Until the first bucket was computed, and could be reduced. 0 where nothing is computed. */
  firstMs: milliseconds,
});

const placeReport = z.strictObject({
  /** Rows of a rank's part of the batch: so many that what is left to compute after the first bucket takes as long as the communication. */
  rows: z.int().positive(),
  rounds: z.array(
    z.strictObject({ on: cost, off: cost, communication: cost, computing: cost } satisfies Record<
      Variant,
      unknown
    >),
  ),
});

/** What a rank prints at its end, on one line. */
export const rankReport = z.strictObject({
  rank: z.int().nonnegative(),
  buckets: z.int().positive(),
  gradientBytes: z.int().positive(),
  places: z.strictObject({ device: placeReport, program: placeReport } satisfies Record<
    Place,
    unknown
  >),
  /** SHA-256 of the sums that the device's gradients gave. */
  digests: z.strictObject({ on: z.string(), off: z.string() }),
});

export type StepCost = Readonly<z.infer<typeof cost>>;
export type PlaceReport = Readonly<z.infer<typeof placeReport>>;
export type RankReport = Readonly<z.infer<typeof rankReport>>;
