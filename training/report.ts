/** What the ranks of a training report: messages from the program to whoever submitted the job. */
import { z } from 'zod';

const count = z.int().nonnegative();
const milliseconds = z.number().nonnegative();

/** Rank 0, after every epoch. */
const epochReport = z.strictObject({
  kind: z.literal('epoch'),
  /** From 1. */
  epoch: z.int().positive(),
  /** Mean cross-entropy over the epoch's training rows, each before the step that its batch led to. */
  loss: z.number(),
  /** Part of those rows that were classified right. */
  trainingAccuracy: z.number().min(0).max(1),
  /** Part of the held-out rows that are classified right after the epoch. */
  heldOutAccuracy: z.number().min(0).max(1),
  /** Wall clock of that host. */
  seconds: z.number().nonnegative(),
});

/** `measureLayers` of one rank. */
const layerTimes = z.strictObject({
  /** From the input to the output. */
  layers: z.array(z.strictObject({ forwardMs: milliseconds, backwardMs: milliseconds })),
  updateMs: milliseconds,
});

/** Every rank, at its end. */
const finalReport = z.strictObject({
  kind: z.literal('final'),
  accuracy: z.number().min(0).max(1),
  /** SHA-256 of this rank's weights, as bytes. */
  weightsDigest: z.string().regex(/^[0-9a-f]{64}$/),
  trainingRows: count,
  heldOutRows: count,
  /** hcclCommGetCounters of this rank. */
  /** Through memory that ranks share, or over links. */
  path: z.enum(['p2p', 'ws']),
  payloadBytesSent: count,
  controlBytesSent: count,
  collectives: count,
  steps: count,
  /** All-reduces of a step. */
  buckets: count,
  /** Of the median step, as `StepTimes` has them. */
  computeMs: milliseconds,
  communicationMs: milliseconds,
  exposedMs: milliseconds,
  /** If they were asked for and the rank has rows. */
  layerTimes: layerTimes.optional(),
  /** From the first collective to the last, wall clock of that host. */
  seconds: z.number().nonnegative(),
});

export const trainReport = z.discriminatedUnion('kind', [epochReport, finalReport]);

export type LayerTimes = Readonly<z.infer<typeof layerTimes>>;
export type EpochReport = Readonly<z.infer<typeof epochReport>>;
export type FinalReport = Readonly<z.infer<typeof finalReport>>;
