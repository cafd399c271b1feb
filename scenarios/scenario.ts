/** A scenario: one thing that went wrong, or could, as a short play on a real cluster. */
import type { Ownership, Stage } from './stage.ts';

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
  readonly ownership: Ownership;
  /** The policies under which it says something. */
  readonly policies: readonly Ownership[];
  run(stage: Stage): Promise<void>;
}

export const EVERY_POLICY: readonly Ownership[] = ['revoke', 'owner', 'owner-2021', 'none'];
