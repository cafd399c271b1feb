/** Runs the tests of one mutant, in a process of their own. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CACHE_VARIABLE, MUTANT_VARIABLE, type Mutant } from './mutant.ts';

/** Far above what any takes: the tests of one end at the first failure. */
const RUN_TIMEOUT_MS = 90_000;
const CONFIGURATION = 'test/mutants/vitest.config.ts';

export interface MutantRun {
  readonly passed: number;
  /** Of each test that failed, its name and why. A file that could not be loaded is none. */
  readonly failures: readonly string[];
}

/** What is read of the report that vitest writes. */
interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

export interface RunPlace {
  /** The top of the project. */
  readonly top: string;
  /** A folder where runs leave transformed modules to each other. */
  readonly cache: string;
}

/** Throws, with what the process printed, if it did not come to run tests. */
export async function ranWith(place: RunPlace, { id, tests }: Mutant): Promise<MutantRun> {
  const folder = mkdtempSync(join(tmpdir(), 'hlsim-mutant-'));
  try {
    const report = join(folder, 'report.json');
    const printed = await vitest(place, id, ['--reporter=json', `--outputFile=${report}`]);
    const results = resultsIn(report).filter(({ status }) => /passed|failed/.test(status));
    if (results.length === 0) {
      throw new Error(
        `Expected tests of ${tests.join(', ')} to run with ${id} but found: ${printed}`,
      );
    }
    const failed = results.filter(({ status }) => status === 'failed');
    return {
      passed: results.length - failed.length,
      failures: failed.map(({ fullName, failureMessages }) =>
        [fullName, ...failureMessages].join('\n'),
      ),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function resultsIn(file: string): Report['testResults'][number]['assertionResults'] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    // No report: it did not come that far, and has printed why.
    return [];
  }
  return (JSON.parse(text) as Report).testResults.flatMap((one) => one.assertionResults);
}

/** Resolves with what it printed, when it has ended, however that was. */
function vitest({ top, cache }: RunPlace, id: string, options: readonly string[]): Promise<string> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST'));
  const child = spawn(
    process.execPath,
    [join(top, 'node_modules/vitest/vitest.mjs'), 'run', '--config', CONFIGURATION, ...options],
    {
      cwd: top,
      env: { ...Object.fromEntries(inherited), [MUTANT_VARIABLE]: id, [CACHE_VARIABLE]: cache },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: RUN_TIMEOUT_MS,
    },
  );
  let printed = '';
  const add = (chunk: Buffer) => {
    printed += chunk.toString();
  };
  child.stdout.on('data', add);
  child.stderr.on('data', add);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => resolve(printed));
  });
}
