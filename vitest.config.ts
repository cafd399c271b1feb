import { configDefaults, defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Whole processes start, die and are waited for; a loaded machine of two cores must not fail a test. */
const PROCESS_TEST_TIMEOUT_MS = 120_000;
const TEST_TIMEOUT_MS = 60_000;
/** Tests that start processes. */
const PROCESS_TESTS = ['test/e2e/**/*.test.ts', 'test/mutants/**/*.test.ts'];
/** Those that watch how long the processes take: one file at a time, after the others. */
const WATCHING_TESTS = [
  'test/e2e/failure.test.ts',
  'test/e2e/processes.test.ts',
  'test/e2e/program-thread-failure.test.ts',
];
/** Of each group, what takes longest: begun last, it would leave a core without work. */
const LONG_TESTS = [
  'test/simulation/ownership/ownership.test.ts',
  'test/collectives/algorithms.test.ts',
  'test/e2e/scenario.test.ts',
  'test/e2e/bench.test.ts',
  'test/e2e/interruption.test.ts',
  'test/e2e/matrix.test.ts',
  'test/mutants/mutants.test.ts',
];

class LongTestsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) =>
      LONG_TESTS.some((file) => moduleId.endsWith(file));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    pool: 'forks',
    sequence: { sequencer: LongTestsFirst },
    // Unasked, one core stays free.
    maxWorkers: '100%',
    projects: [
      {
        extends: true,
        test: {
          name: 'parts',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, 'dist/**', ...PROCESS_TESTS],
          setupFiles: ['test/byte-equality.ts'],
          testTimeout: TEST_TIMEOUT_MS,
          hookTimeout: TEST_TIMEOUT_MS,
          // Each worker reads every module once: to start and load took as long as a third of the tests.
          isolate: false,
          // Proofs and predictions make much that lives for a moment.
          execArgv: ['--max-semi-space-size=64'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'processes',
          include: PROCESS_TESTS,
          exclude: [...configDefaults.exclude, ...WATCHING_TESTS],
          testTimeout: PROCESS_TEST_TIMEOUT_MS,
          hookTimeout: PROCESS_TEST_TIMEOUT_MS,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'watching',
          include: WATCHING_TESTS,
          testTimeout: PROCESS_TEST_TIMEOUT_MS,
          hookTimeout: PROCESS_TEST_TIMEOUT_MS,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
