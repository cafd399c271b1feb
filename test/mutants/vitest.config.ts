/** Runs tests with one mutant in: `HLSIM_TEST_MUTANT=R1a npx vitest run --config test/mutants/vitest.config.ts`. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { CACHE_VARIABLE, MUTANT_VARIABLE, mutated } from './mutant.ts';
import { MUTANTS, UNCHANGED } from './table.ts';

/** A fault may make a test wait for ever; without one, the named tests take a fraction of this. */
const TEST_TIMEOUT_MS = 15_000;

const top = fileURLToPath(new URL('../../', import.meta.url));
const wanted = process.env[MUTANT_VARIABLE];
const cache = process.env[CACHE_VARIABLE];
const mutant = [...MUTANTS, UNCHANGED].find(({ id }) => id === wanted);
if (mutant === undefined) throw new Error(`Expected ${MUTANT_VARIABLE} to name a mutant`);

export default defineConfig({
  root: top,
  plugins: [
    {
      name: 'mutant',
      enforce: 'pre',
      transform(source, file) {
        return file.split('?')[0] === `${top}${mutant.file}` ? mutated(source, mutant) : undefined;
      },
      configureVitest({ experimental_defineCacheKeyGenerator: define }) {
        // The changed file is nobody else's.
        define(({ id }) => (id.split('?')[0] === `${top}${mutant.file}` ? false : undefined));
      },
    },
  ],
  test: {
    pool: 'forks',
    maxWorkers: 1,
    include: [...mutant.tests],
    testTimeout: TEST_TIMEOUT_MS,
    hookTimeout: TEST_TIMEOUT_MS,
    bail: 1,
    // What the runs before have read need not be read again.
    ...(cache !== undefined && {
      experimental: { fsModuleCache: true, fsModuleCachePath: cache },
    }),
    ...(mutant.only !== undefined && { testNamePattern: mutant.only }),
  },
});
