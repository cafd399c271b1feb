/** What waits in a program that cannot go on, told to people. */
import type { Plan } from './plan.ts';
import { GATE, NONE } from './templates.ts';

/** Things that the first slice of a step still waits for, by instance and entry of state there. */
type Unmet = (instance: number, join: number) => number;

/** `messages`: those that wait for a slot; behind them, steps that wait for others. At most so many in all. */
export function waitingWords(
  { instances, templates }: Plan,
  messages: readonly string[],
  most: number,
  unmetOf: Unmet,
): string[] {
  const words = [...messages];
  for (let instance = 0; instance < instances.count; instance++) {
    const template = templates.templates[instances.template[instance] as number];
    const { firstStep = 0, endStep = 0 } = template ?? {};
    for (let step = firstStep; step < endStep && words.length < most; step++) {
      const join = templates.joins[step] as number;
      if (join === NONE || templates.kind[step] === GATE) continue;
      const unmet = unmetOf(instance, join);
      if (unmet === 0) continue;
      words.push(
        `Rank ${instances.rank[instance]}, channel ${templates.channel[step]}, ` +
          `step ${templates.index[step]}: waits for ${unmet} of its messages and earlier steps`,
      );
    }
  }
  return words.slice(0, most);
}
