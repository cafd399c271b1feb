/** What determines a run: two runs with equal options do the same, to the last event. */
import type { SimulatedOwnership } from './world.ts';

export interface SimulationOptions {
  readonly seed: number;
  /** Operations of the random program. */
  readonly steps: number;
  readonly ownership: SimulatedOwnership;
}

export const STEPS_DEFAULT = 500;

/** Policies that hold; a seed picks one unless it is told which. `none` is never picked. */
export const SAFE_POLICIES: readonly SimulatedOwnership[] = ['revoke', 'owner', 'owner-2021'];

export function optionsOf(
  seed: number,
  steps = STEPS_DEFAULT,
  ownership?: SimulatedOwnership,
): SimulationOptions {
  const policy = ownership ?? SAFE_POLICIES[Math.abs(seed) % SAFE_POLICIES.length] ?? 'owner';
  return { seed, steps, ownership: policy };
}

/** The one command that runs exactly this again. */
export function reproduction({ seed, steps, ownership }: SimulationOptions): string {
  return `npm run sim -- --seed ${seed} --steps ${steps} --ownership ${ownership}`;
}
