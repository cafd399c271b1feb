/** What each rank of a sweep reports for each size. */
import { z } from 'zod';

const measurement = z.strictObject({
  /** Of one operation, the mean over the timed iterations, wall clock of that host. */
  timeUs: z.number().positive(),
  /** Elements of this rank's result that are wrong; null: not checked. */
  wrong: z.int().nonnegative().nullable(),
  /** SHA-256 of this rank's result; null: not asked for. */
  digest: z.string().nullable(),
});

/** How HCCL carried the call out. */
const choice = z.strictObject({
  algorithm: z.string(),
  channels: z.int().positive(),
  chunks: z.int().positive().optional(),
  sliceBytes: z.int().positive().optional(),
});

export const sizeReport = z.strictObject({
  kind: z.literal('size'),
  /** Position in the sweep, from 0: two sizes may round to the same. */
  index: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
  count: z.int().nonnegative(),
  dataType: z.string(),
  reduceOp: z.string(),
  /** null: the collective, or the schedule that was given, has no such form. */
  outOfPlace: measurement.nullable(),
  inPlace: measurement.nullable(),
  /** null: the calls are no collectives (sendrecv). */
  choice: choice.nullable(),
  /** With the first size: by rank, what carries bytes between this rank and it; null for itself. */
  links: z.array(z.string().nullable()).optional(),
});

export type Measurement = Readonly<z.infer<typeof measurement>>;
export type ChoiceReport = Readonly<z.infer<typeof choice>>;
export type SizeReport = Readonly<z.infer<typeof sizeReport>>;
