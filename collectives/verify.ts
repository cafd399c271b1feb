/**
 * Proves programs correct, or says why they are not. It knows what collectives promise and what steps
 * do, but no algorithm: programs that were lowered, read from a file or written by hand are all alike.
 *
 * Proved means, for every element count, every order of execution that `program.ts` allows, and any
 * associative and commutative reduction: every output has every contribution it should, exactly once;
 * nothing is read before it is stored; no two channels race; every message is taken, and as it was
 * meant; with `depth` messages per connection nobody waits for ever.
 */
import type { Program } from './program.ts';
import { checkConnections } from './verifier/connections.ts';
import { checkExecution } from './verifier/execution.ts';
import { type Finding, Findings } from './verifier/finding.ts';
import { checkWellFormed } from './verifier/well-formed.ts';

export interface VerifyOptions {
  /** Whether input and output are one memory. The two placements are proved separately. */
  readonly inPlace: boolean;
  /** Messages that a connection holds, at least 1; unbounded if absent. See `interpret.ts`. */
  readonly depth?: number;
  /** Proves it only for counts that make all chunks the same size. Default: for any counts. */
  readonly equalChunks?: boolean;
}

export interface Verdict {
  readonly proved: boolean;
  /** Empty if proved. Later checks run only if earlier ones found nothing. */
  readonly findings: readonly Finding[];
}

/** `programs` are those of all ranks, by rank. */
export function verify(programs: readonly Program[], options: VerifyOptions): Verdict {
  const { inPlace, depth, equalChunks = false } = options;
  const findings = new Findings();
  const checks = [
    () => checkWellFormed(programs, { inPlace, equalChunks }, findings),
    () => checkConnections(programs, { equalChunks }, findings),
    () =>
      checkExecution(programs, { inPlace, ...(depth === undefined ? {} : { depth }) }, findings),
  ];
  for (const check of checks) {
    check();
    if (findings.list.length > 0) return { proved: false, findings: findings.list };
  }
  return { proved: true, findings: [] };
}
