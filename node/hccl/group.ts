/** hcclGroupStart and hcclGroupEnd of one process: calls in between are recorded and start at the end. */
import { hcclError } from './failure.ts';
import type { Launch } from './launch.ts';

/** Calls of one group. */
export const GROUP_CALLS_MAX = 4_096;

export class CallGroup {
  #depth = 0;
  #calls: Launch[] = [];
  #failure: Error | undefined;

  get isOpen(): boolean {
    return this.#depth > 0;
  }

  start(): void {
    this.#depth++;
  }

  /** Records what `check` gives. A refusal is the group's: its end tells. */
  record(check: () => Launch): void {
    if (this.#failure !== undefined) return;
    try {
      if (this.#calls.length >= GROUP_CALLS_MAX) {
        const message = `Expected at most ${GROUP_CALLS_MAX} calls in one group`;
        throw hcclError({ result: 'hcclInvalidUsage', message });
      }
      const call = check();
      this.#calls.push(call);
      call.open.recorded++;
    } catch (reason) {
      this.#failure = reason as Error;
    }
  }

  /**
   * The calls to launch now: none unless this is the outermost end. Throws hcclInvalidUsage if no group
   * is open, and the first refusal of a call, with which the whole group is dropped.
   */
  end(): readonly Launch[] {
    if (this.#depth === 0) {
      const message = 'Expected hcclGroupStart before hcclGroupEnd';
      throw hcclError({ result: 'hcclInvalidUsage', message });
    }
    this.#depth--;
    if (this.#depth > 0) return [];
    const [calls, failure] = [this.#calls, this.#failure];
    this.#calls = [];
    this.#failure = undefined;
    for (const { open } of calls) open.recorded--;
    if (failure !== undefined) throw failure;
    return calls;
  }
}
