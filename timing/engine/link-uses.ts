/** The busiest links of a prediction. */
import { LINK_USES_MAX, type LinkUse } from '../prediction.ts';
import type { Plan } from './plan.ts';

/** `faster`: what the model multiplies all rates by. */
export function linkUses({ links, simulated }: Plan, seconds: number, faster = 1): LinkUse[] {
  return links.all
    .map(({ number, link, weight, bytes }) => ({
      link: number,
      alike: simulated.size / weight,
      bytes,
      utilisation: seconds > 0 ? bytes / (link.bytesPerSecond * faster) / seconds : 0,
    }))
    .sort((a, b) => b.utilisation - a.utilisation || a.link - b.link)
    .slice(0, LINK_USES_MAX);
}
