/** All mutants, in the order of their scenarios. */
import { DEVICE_MUTANTS } from './device.ts';
import { FABRIC_MUTANTS } from './fabric.ts';
import { MEMORY_MUTANTS } from './memory.ts';
import type { Mutant } from './mutant.ts';
import { VERBS_MUTANTS } from './verbs.ts';

export const MUTANTS: readonly Mutant[] = [
  ...DEVICE_MUTANTS,
  ...MEMORY_MUTANTS,
  ...VERBS_MUTANTS,
  ...FABRIC_MUTANTS,
].sort((one, other) => one.id.localeCompare(other.id, 'en', { numeric: true }));

/** None of them: shows that it is the fault that makes tests fail, not the way they are run. */
export const UNCHANGED: Mutant = {
  id: 'none',
  fault: 'Nothing is changed',
  file: 'node/device/release.ts',
  edits: [],
  tests: ['test/conformance/device-regressions.test.ts'],
};
