/** Plans of all ranks, which must come to the same about whether there are any. */
import type { NotPullable } from '../../collectives/pull-plan.ts';
import type { Rank } from '../../collectives/schedule.ts';
import { ranksOf } from '../../common/math.ts';

export function plansOfRanks<Plan extends object>(
  nranks: number,
  planOf: (rank: Rank) => Plan | NotPullable,
): readonly Plan[] | NotPullable {
  const plans: Plan[] = [];
  const reasons = new Set<string>();
  for (const rank of ranksOf(nranks)) {
    const plan = planOf(rank);
    if ('reason' in plan) reasons.add(plan.reason);
    else plans.push(plan);
  }
  const [reason] = reasons;
  if (reason === undefined) return plans;
  if (plans.length > 0 || reasons.size > 1)
    throw new Error('Expected all ranks to come to the same');
  return { reason };
}
