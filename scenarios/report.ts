/** What a scenario tells while it runs: messages from its director to whoever submitted the job. */
import { z } from 'zod';

const index = z.int().positive();

/** Somebody did something, and the kernel answered. */
const stepReport = z.strictObject({
  kind: z.literal('step'),
  /** From 1, in the order they happened. */
  index,
  /** Who: the name on the stage, pid, container and host; `null` for the director. */
  actor: z
    .strictObject({
      name: z.string(),
      pid: z.int(),
      containerId: z.string(),
      host: z.int().nonnegative(),
    })
    .nullable(),
  /** What they did, as a sentence without subject. */
  action: z.string(),
  /** What the kernel answered: a value, or an error with its name. */
  answer: z.string(),
  outcome: z.enum(['done', 'refused']),
});

/** What was at risk at this moment, or what the reader should notice. */
const remarkReport = z.strictObject({ kind: z.literal('remark'), text: z.string() });

/** How it ended. `held`: what the policy promises was kept. */
const verdictReport = z.strictObject({
  kind: z.literal('verdict'),
  held: z.boolean(),
  /** What is expected under the policy that the hosts run. */
  expected: z.enum(['held', 'broken']),
  sentence: z.string(),
});

export const scenarioReport = z.discriminatedUnion('kind', [
  stepReport,
  remarkReport,
  verdictReport,
]);

export type StepReport = Readonly<z.infer<typeof stepReport>>;
export type VerdictReport = Readonly<z.infer<typeof verdictReport>>;
export type ScenarioReport = Readonly<z.infer<typeof scenarioReport>>;
