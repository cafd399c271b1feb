/**
 * `npm run bench:limits`: what this machine's memory and sockets allow, and how near hlsim comes to it,
 * in interleaved rounds. The exit code is 1 if anything failed or a result was wrong; a floor that is
 * missed is told, no more.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { HlsimError, messageOf } from '../../common/errors.ts';
import { wallScheduler } from '../../common/scheduler.ts';
import { runChildren } from '../peers/children.ts';
import { abortOnSignals } from '../peers/interruption.ts';
import { describeMachine, machineLines } from '../peers/machine.ts';
import { rotated } from '../peers/rounds.ts';
import { fractionRequests, fractionsOf, type RoundFigures } from './fractions.ts';
import { LIMIT_USAGE, type LimitOptions, readLimitOptions } from './options.ts';
import { fractionLines, rateLines } from './report.ts';
import { findSources, type LimitSource } from './sources.ts';

const USAGE_EXIT_CODE = 2;
/** Longest that one program may take in one round. */
const RUN_DEADLINE_MS = 180_000;
/** Of the JSON file's layout. */
const RECORD_VERSION = 1;

const signal = abortOnSignals();
try {
  const options = readLimitOptions(process.argv.slice(2));
  if (options.help) print([LIMIT_USAGE]);
  else process.exitCode = await benchLimits(options);
} catch (reason) {
  process.exitCode = exitCodeOf(reason);
}

function exitCodeOf(reason: unknown): number {
  if (signal.aborted) return signal.reason;
  if (!(reason instanceof HlsimError)) throw reason;
  process.stderr.write(`bench:limits: ${reason.message} [${reason.code}]\n`);
  return reason.code === 'HLSIM_USAGE' ? USAGE_EXIT_CODE : 1;
}

async function benchLimits(options: LimitOptions): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'hlsim-limits-'));
  try {
    return await measureIn(folder, options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureIn(folder: string, options: LimitOptions): Promise<number> {
  const machine = describeMachine();
  const startMs = wallScheduler.clock.unixMs();
  const { sources, missing } = await findSources(options, {
    ...{ folder, signal, scheduler: wallScheduler },
  });
  print([
    ...machineLines(machine),
    ...missing.map(({ name, reason, remedy }) => `# ${name}: LEFT OUT: ${reason} (${remedy})`),
  ]);
  const failures: string[] = [];
  const rounds: RoundFigures[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const figures = new Map<string, number>();
    for (const source of rotated(sources, round)) {
      process.stderr.write(
        `bench:limits: round ${round + 1} of ${options.rounds}: ${source.name}\n`,
      );
      const failure = await runSource(source, folder, figures);
      if (failure !== undefined) failures.push(`${source.name}, round ${round + 1}: ${failure}`);
    }
    rounds.push(figures);
  }
  const fractions = fractionsOf(fractionRequests(options), rounds);
  print([
    `# ${options.rounds} interleaved rounds; wall clock of this machine, the slowest process counts`,
    ...['', ...rateLines(rounds), '', ...fractionLines(fractions)],
    ...failures.map((failure) => `# FAILED ${failure}`),
  ]);
  if (options.json !== undefined) {
    const record = {
      ...{ version: RECORD_VERSION, benchmark: 'limits', machine },
      startTime: new Date(startMs).toISOString(),
      endTime: new Date(wallScheduler.clock.unixMs()).toISOString(),
      ...{ missing, failures, fractions },
      rounds: rounds.map((figures) => ({ timesUs: Object.fromEntries(figures) })),
    };
    await writeFile(options.json, `${JSON.stringify(record, undefined, 2)}\n`);
  }
  return failures.length === 0 ? 0 : 1;
}

/** Adds what the program measured to `figures`, or says why it failed. */
async function runSource(
  source: LimitSource,
  folder: string,
  figures: Map<string, number>,
): Promise<string | undefined> {
  const { failure, stdout, stderr } = await runChildren(source.commands(folder), {
    ...{ scheduler: wallScheduler, signal, deadlineMs: RUN_DEADLINE_MS },
  });
  if (failure !== undefined) return `${failure}: ${stderr.trim()}`;
  try {
    for (const [key, timeUs] of source.figures(stdout)) figures.set(key, timeUs);
    return undefined;
  } catch (reason) {
    return messageOf(reason);
  }
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}
