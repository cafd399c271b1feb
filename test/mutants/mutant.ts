/**
 * A fault put into the source on purpose, by the test runner alone: nothing of it is in the code that
 * ships. The tests that it names must fail with it in.
 */
export interface Mutant {
  /** The scenario that it stands for, `R1` to `R20`; a letter tells several apart. */
  readonly id: string;
  /** What is done wrong, in one sentence. */
  readonly fault: string;
  /** The file it changes, from the top of the project. */
  readonly file: string;
  readonly edits: readonly Edit[];
  /** Test files of which at least one test must fail. */
  readonly tests: readonly string[];
  /** Only tests whose name matches. */
  readonly only?: string;
}

export interface Edit {
  /** Text that stands in the file exactly once, and what takes its place. */
  readonly find: string;
  readonly replace: string;
}

/** The variable that names the mutant to the runner's configuration. */
export const MUTANT_VARIABLE = 'HLSIM_TEST_MUTANT';

/** The variable with the folder where runs leave transformed modules to each other; without it they do not. */
export const CACHE_VARIABLE = 'HLSIM_TEST_MUTANT_CACHE';

/** `R4` of `R4b`. */
export function scenarioOf({ id }: Mutant): string {
  return id.replace(/[a-z]$/, '');
}

/** The source with the fault in. Throws if a place is not there exactly once. */
export function mutated(source: string, { id, file, edits }: Mutant): string {
  return edits.reduce((text, { find, replace }) => {
    const parts = text.split(find);
    if (parts.length !== 2) {
      const found = `${parts.length - 1} times: ${find}`;
      throw new Error(
        `Expected a text of mutant ${id} exactly once in ${file} but found it ${found}`,
      );
    }
    return parts.join(replace);
  }, source);
}
