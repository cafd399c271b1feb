/** What each rank of a sweep reports for each size. */
import { z } from 'zod';

const measurement = z.strictObject({
  /** Of one operation, the mean over the timed iterations, wall clock of that host. */
  timeUs: z.number().positive(),
  /** Elements of this rank's result that are wrong; null: not checked. */
  wrong: z.int().nonnegative().nullable(),
});

export const sizeReport = z.strictObject({
  kind: z.literal('size'),
  /** Position in the sweep, from 0: two sizes may round to the same. */
  index: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
  count: z.int().nonnegative(),
  outOfPlace: measurement,
  inPlace: measurement,
});

export type Measurement = Readonly<z.infer<typeof measurement>>;
export type SizeReport = Readonly<z.infer<typeof sizeReport>>;
