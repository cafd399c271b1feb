/**
 * `npm run matrix [-- --small]`: the numeric matrix on real processes, every pair of algorithm, ranks,
 * count, type, operation, placement and channels. Prints a table; exit code 1 if any bit is another.
 */
import { spawn } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type MatrixCase, pairwiseCases } from './cases.ts';
import { type ClusterOutcome, type RunHlsim, runMatrix } from './run.ts';
import { COUNTS, matrixWays, SMALL_COUNTS } from './ways.ts';

const HLSIM = fileURLToPath(new URL('../../../../bin/hlsim.js', import.meta.url));
/** After so many the rest says nothing new. */
const COMPLAINTS_MAX = 20;

/** Longest that the cases of one cluster may take. */
const CLUSTER_DEADLINE_MS = 600_000;

const { values } = parseArgs({ options: { small: { type: 'boolean', default: false } } });
const cases = pairwiseCases(matrixWays(values.small ? SMALL_COUNTS : COUNTS));
const startMs = performance.now();
const outcomes: ClusterOutcome[] = [];
print(`${cases.length} cases, every pair of values that can go together`);
for await (const outcome of runMatrix(cases, hlsim)) {
  outcomes.push(outcome);
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  const { cluster, results, wrong } = outcome;
  print(
    `${cluster}: ${outcome.cases.length} cases, ${results} results, ${wrong.length} wrong (${seconds} s)`,
  );
}
summarise();
const wrong = outcomes.flatMap((outcome) => outcome.wrong);
for (const sentence of wrong.slice(0, COMPLAINTS_MAX)) print(`Wrong: ${sentence}`);
if (wrong.length > COMPLAINTS_MAX) print(`and ${wrong.length - COMPLAINTS_MAX} more`);
process.exitCode = wrong.length === 0 ? 0 : 1;

/** A line for each algorithm of each collective. */
function summarise(): void {
  const wrongCases = new Set(outcomes.flatMap((outcome) => [...outcome.wrongCases]));
  const groups = new Map<string, MatrixCase[]>();
  for (const one of cases) {
    const name = `${one.collective.padEnd(18)}${one.algorithm.padEnd(42)}`;
    groups.set(name, [...(groups.get(name) ?? []), one]);
  }
  print(`${'collective'.padEnd(18)}${'algorithm'.padEnd(42)}cases  wrong`);
  for (const [name, own] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const failed = own.filter(({ id }) => wrongCases.has(id)).length;
    print(`${name}${String(own.length).padStart(5)}${String(failed).padStart(7)}`);
  }
  const results = outcomes.reduce((sum, outcome) => sum + outcome.results, 0);
  print(`${results} results in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
}

function hlsim(args: readonly string[]): ReturnType<RunHlsim> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [HLSIM, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: CLUSTER_DEADLINE_MS,
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stderr }));
  });
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
