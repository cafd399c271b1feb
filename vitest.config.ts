import { configDefaults, defineConfig } from 'vitest/config';

/** Whole processes start, die and are waited for; a loaded machine of two cores must not fail a test. */
const PROCESS_TEST_TIMEOUT_MS = 120_000;
const TEST_TIMEOUT_MS = 60_000;
/** Tests that start processes and watch how long they take: one file at a time, after the others. */
const PROCESS_TESTS = ['test/e2e/**/*.test.ts', 'test/mutants/**/*.test.ts'];

export default defineConfig({
  test: {
    pool: 'forks',
    projects: [
      {
        extends: true,
        test: {
          name: 'parts',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, 'dist/**', ...PROCESS_TESTS],
          testTimeout: TEST_TIMEOUT_MS,
          hookTimeout: TEST_TIMEOUT_MS,
          // Unasked, one core stays free.
          maxWorkers: '100%',
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'processes',
          include: PROCESS_TESTS,
          testTimeout: PROCESS_TEST_TIMEOUT_MS,
          hookTimeout: PROCESS_TEST_TIMEOUT_MS,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
