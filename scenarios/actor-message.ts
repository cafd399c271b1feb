/**
 * What a director and its actors say to each other. An actor is told to do one act at a time and
 * answers before the next, so that a scenario reads, and runs, from top to bottom.
 */
import { z } from 'zod';

/** Longest wait for an actor's answer; every act has deadlines of its own that are shorter. */
export const ACT_TIMEOUT_MS = 30_000;

const value: z.ZodType<unknown> = z.unknown();

const actRequest = z.strictObject({
  /** Name of an act in `acts.ts`. */
  act: z.string(),
  arguments: z.array(value),
});

const actReply = z.union([
  z.strictObject({ value: value.optional() }),
  z.strictObject({ failure: z.strictObject({ code: z.string(), message: z.string() }) }),
]);

export type ActRequest = Readonly<z.infer<typeof actRequest>>;
export type ActReply = Readonly<z.infer<typeof actReply>>;

/** Throws if the text is not a request: both ends are hlsim's own. */
export function readActRequest(text: string): ActRequest {
  return actRequest.parse(JSON.parse(text));
}

export function readActReply(text: string): ActReply {
  return actReply.parse(JSON.parse(text));
}
