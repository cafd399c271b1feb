/**
 * Steps without the `nop` ones, which carry a dependency each onto the next step that does something: as
 * a step has one `depid`, whoever needs more puts them before it.
 */
import type { StepRef } from '../program.ts';
import type { MscclGpu, MscclStep } from './document.ts';
import { unreadable } from './unreadable.ts';

/** Waits of all steps of a file, and `nop`s gone through to find them: far more than files have. */
const WAITS_MAX = 2 ** 23;

/** What is left of the waits that a file may have. */
export interface WaitBudget {
  waits: number;
}

export const waitBudget = (): WaitBudget => ({ waits: WAITS_MAX });

/** Which step of ours each step of a gpu's thread blocks is, and what it waits for. */
export class StepNumbers {
  readonly #gpu: MscclGpu;
  readonly #budget: WaitBudget;
  /** Per thread block and step of the file: how many steps of ours come before it. */
  readonly #before: readonly (readonly number[])[];

  constructor(gpu: MscclGpu, budget: WaitBudget) {
    this.#gpu = gpu;
    this.#budget = budget;
    this.#before = gpu.threadBlocks.map(({ steps }) => {
      let count = 0;
      return steps.map(({ type }) => (type === 'nop' ? count : count++));
    });
  }

  /**
   * What a real step, which is on `line`, waits for: its own `depid`, and those of the `nop`s right before it.
   * @throws HlsimError `HLSIM_PROGRAM_UNREADABLE` if all waits together are too many
   */
  dependsOf(channel: number, file: number, line: number): StepRef[] {
    const steps = this.#gpu.threadBlocks[channel]?.steps ?? [];
    let first = file;
    while (steps[first - 1]?.type === 'nop') first--;
    const own = this.#before[channel]?.[file] ?? 0;
    const refs = steps.slice(first, file + 1).flatMap((step) => this.#targets(step));
    this.#budget.waits -= refs.length;
    if (this.#budget.waits < 0) {
      throw unreadable(line, `Expected at most ${WAITS_MAX} waits for steps but found more`);
    }
    return unique(refs).filter((ref) => ref.channel !== channel || ref.step >= own);
  }

  /**
   * The steps of ours that must have ended for `step` to begin. A `nop` has ended when the step before it
   * has, and what it waits for.
   */
  #targets(step: MscclStep): StepRef[] {
    const found: StepRef[] = [];
    const open = [step];
    const seen = new Set<MscclStep>();
    for (let wait = open.pop(); wait !== undefined; wait = open.pop()) {
      const { depid: channel = -1, deps = -1 } = wait;
      if (channel < 0) continue;
      const before = this.#before[channel]?.[deps] ?? 0;
      const isReal = this.#gpu.threadBlocks[channel]?.steps[deps]?.type !== 'nop';
      if (isReal) found.push({ channel, step: before });
      else {
        if (before > 0) found.push({ channel, step: before - 1 });
        this.#addNops(channel, deps, seen, open);
      }
    }
    return found;
  }

  /** Adds the `nop` at `last` and those right before it, as far as they were not seen yet. */
  #addNops(channel: number, last: number, seen: Set<MscclStep>, open: MscclStep[]): void {
    const steps = this.#gpu.threadBlocks[channel]?.steps ?? [];
    for (let index = last; steps[index]?.type === 'nop'; index--) {
      const step = steps[index] as MscclStep;
      // Those before it were seen with it.
      if (seen.has(step) || this.#budget.waits < 0) return;
      this.#budget.waits--;
      seen.add(step);
      open.push(step);
    }
  }
}

/** Of several steps of one channel, the last: it says all. */
function unique(refs: readonly StepRef[]): StepRef[] {
  const last = new Map<number, StepRef>();
  for (const ref of refs) {
    const known = last.get(ref.channel);
    if (known === undefined || known.step < ref.step) last.set(ref.channel, ref);
  }
  return [...last.values()];
}
