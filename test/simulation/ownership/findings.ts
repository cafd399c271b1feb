/** Violated invariants. Code under test may swallow an exception, so they are written down here first. */
import type { InvariantId } from './invariants.ts';

export interface Finding {
  readonly invariant: InvariantId;
  readonly message: string;
}

export class Findings {
  readonly list: Finding[] = [];
  /** How often each invariant was looked at, so that a check that never runs shows. */
  readonly checks = new Map<InvariantId, number>();

  /** Looks at `invariant`; `message` says what was found if it does not hold. */
  check(invariant: InvariantId, holds: boolean, message: () => string): boolean {
    this.checks.set(invariant, (this.checks.get(invariant) ?? 0) + 1);
    if (!holds) this.list.push({ invariant, message: message() });
    return holds;
  }

  get first(): Finding | undefined {
    return this.list[0];
  }
}
