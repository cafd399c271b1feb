/**
 * The order between channels at run time. A gated step may begin in a window once all steps that it and
 * its predecessors depend on have come through that window, and all before those in their channels.
 *
 * Per channel and window there are two numbers of steps: how many have an open gate, and how many are
 * through. A step without slices in a window is through as soon as its gate is open.
 */
import type { StepRef } from '../../collectives/program.ts';
import { defined } from '../../common/assert.ts';
import type { Plan, PlanChannel, PlanSlice, PlanStep } from './plan.ts';

export class Gates {
  readonly #plan: Plan;
  readonly #open: (slice: PlanSlice) => void;
  /** At `channel * windows + window`. */
  readonly #opened: Uint32Array;
  readonly #through: Uint32Array;
  /** Slices that are not through, at `step * windows + window`. */
  readonly #remaining: Uint32Array;

  /** `open` is called once for each slice of a gated step. */
  constructor(plan: Plan, open: (slice: PlanSlice) => void) {
    this.#plan = plan;
    this.#open = open;
    this.#opened = new Uint32Array(plan.channels.length * plan.windows);
    this.#through = new Uint32Array(plan.channels.length * plan.windows);
    this.#remaining = new Uint32Array(plan.steps.length * plan.windows);
    for (const { step, window } of plan.slices) this.#count(step, window, 1);
  }

  start(): void {
    for (let channel = 0; channel < this.#plan.channels.length; channel++) {
      for (let window = 0; window < this.#plan.windows; window++) this.#advance(channel, window);
    }
  }

  /** The slice has done what others depend on. */
  through({ step, window }: PlanSlice): void {
    if (this.#count(step, window, -1) === 0) this.#advance(step.channel, window);
  }

  #advance(channel: number, window: number): void {
    const planned = defined(this.#plan.channels[channel], 'the channel');
    const at = channel * this.#plan.windows + window;
    const before = this.#through[at] as number;
    this.#openGates(planned, at, window);
    this.#passSteps(planned, at, window);
    if (this.#through[at] === before) return;
    for (const successor of planned.successors) this.#advance(successor, window);
  }

  /** Opening a gate may come back here by way of other slices: numbers are read anew each time. */
  #openGates({ steps, depends }: PlanChannel, at: number, window: number): void {
    for (;;) {
      const next = this.#opened[at] as number;
      const step = steps[next];
      if (step === undefined || !this.#areThrough(depends[next] ?? [], window)) return;
      this.#opened[at] = next + 1;
      if (step.isGated) this.#openStep(step, window);
    }
  }

  #openStep({ slices }: PlanStep, window: number): void {
    for (const slice of slices) if (slice.window === window) this.#open(slice);
  }

  #passSteps({ steps }: PlanChannel, at: number, window: number): void {
    for (;;) {
      const next = this.#through[at] as number;
      const step = steps[next];
      if (step === undefined || next >= (this.#opened[at] as number)) return;
      if (this.#count(step, window, 0) > 0) return;
      this.#through[at] = next + 1;
    }
  }

  #areThrough(depends: readonly StepRef[], window: number): boolean {
    const { windows } = this.#plan;
    return depends.every(
      ({ channel, step }) => (this.#through[channel * windows + window] as number) > step,
    );
  }

  /** Adds to the slices of a step in a window that are not through. */
  #count({ index }: PlanStep, window: number, change: number): number {
    const at = index * this.#plan.windows + window;
    const count = (this.#remaining[at] as number) + change;
    this.#remaining[at] = count;
    return count;
  }
}
