/** A scenario: one thing that went wrong, or could, as a short play on a real cluster. */
import { OWNERSHIP_POLICIES, type OwnershipPolicy } from '../node/device/ownership.ts';
import type { Stage } from './stage.ts';

export interface Scenario {
  /** `R1` to `R20`, the numbers that tests and documents use. */
  readonly id: string;
  /** On the command line. */
  readonly name: string;
  readonly title: string;
  /** What the run answers. */
  readonly question: string;
  /** What is lost, or gets out, if it goes wrong. */
  readonly risk: string;
  /** Where it comes from: a mail, a commit, a test suite. */
  readonly source: string;
  readonly hosts: 1 | 2;
  readonly devices: 1 | 2;
  /** The policy it runs under unless another is asked for. */
  readonly ownership: OwnershipPolicy;
  /** The policies under which it says something. */
  readonly policies: readonly OwnershipPolicy[];
  run(stage: Stage): Promise<void>;
}

export const EVERY_POLICY: readonly OwnershipPolicy[] = OWNERSHIP_POLICIES;
