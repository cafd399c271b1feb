/** Where the time of each step went. The median step counts: the first ones are many times as long, as their code is still compiled. */
import type { StepTimes } from './gradient-step.ts';
import { medianOf } from './layer-times.ts';

export class TimesOfSteps {
  readonly #computeMs: number[] = [];
  readonly #communicationMs: number[] = [];
  readonly #exposedMs: number[] = [];

  get steps(): number {
    return this.#computeMs.length;
  }

  add({ computeMs, communicationMs, exposedMs }: StepTimes): void {
    this.#computeMs.push(computeMs);
    this.#communicationMs.push(communicationMs);
    this.#exposedMs.push(exposedMs);
  }

  /** Of each time by itself; zeros before the first step. */
  median(): StepTimes {
    if (this.steps === 0) return { computeMs: 0, communicationMs: 0, exposedMs: 0 };
    return {
      computeMs: medianOf(this.#computeMs),
      communicationMs: medianOf(this.#communicationMs),
      exposedMs: medianOf(this.#exposedMs),
    };
  }
}
