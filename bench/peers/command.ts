/**
 * `npm run bench:peers`: hlsim beside OpenMPI and Gloo on this machine, in interleaved rounds. The exit
 * code is 1 if any contestant failed or any result was wrong; a floor that is missed is told, no more.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { HlsimError } from '../../common/errors.ts';
import { wallScheduler } from '../../common/scheduler.ts';
import { comparisonRows, failuresOf } from './comparison.ts';
import type { Contestant } from './contestants.ts';
import { findContestants, isMissing } from './discovery.ts';
import { abortOnSignals } from './interruption.ts';
import { describeMachine, machineLines } from './machine.ts';
import { PEER_USAGE, type PeerOptions, readPeerOptions } from './options.ts';
import { drawPeers } from './plot.ts';
import { peerRecord } from './record.ts';
import { type PeerRun, runRounds } from './rounds.ts';
import { sweepOf } from './sweep.ts';
import { contestantLines, failureLines, floorLines, renderTables } from './table.ts';

/** Exit code for what is wrong on the command line. */
const USAGE_EXIT_CODE = 2;

const signal = abortOnSignals();
try {
  const options = readPeerOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(`${PEER_USAGE}\n`);
  else process.exitCode = await benchPeers(options);
} catch (reason) {
  process.exitCode = exitCodeOf(reason);
}

function exitCodeOf(reason: unknown): number {
  if (signal.aborted) return signal.reason;
  if (!(reason instanceof HlsimError)) throw reason;
  process.stderr.write(`bench:peers: ${reason.message} [${reason.code}]\n`);
  return reason.code === 'HLSIM_USAGE' ? USAGE_EXIT_CODE : 1;
}

async function benchPeers(options: PeerOptions): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'hlsim-peers-'));
  try {
    return await measureIn(folder, options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureIn(folder: string, options: PeerOptions): Promise<number> {
  const { ranks, rounds } = options;
  const { clock } = wallScheduler;
  const startMs = clock.unixMs();
  const machine = describeMachine();
  const planFor = (each: number) => sweepOf(options, each);
  progress('looking for the contestants');
  const found = await findContestants(options.contestants, {
    ...{ folder, signal, scheduler: wallScheduler },
  });
  const contestants = found.filter((one): one is Contestant => !isMissing(one));
  const missing = found.filter(isMissing);
  print([...machineLines(machine), ...contestantLines(contestants, missing)]);
  if (contestants.length === 0) {
    throw new HlsimError('HLSIM_CONFIG', 'Expected a contestant that is there but found none');
  }
  const runs: PeerRun[] = [];
  const init = { contestants, ranks, rounds, planFor, folder, progress, signal };
  for await (const run of runRounds({ ...init, scheduler: wallScheduler })) runs.push(run);
  const ids = contestants.map(({ id }) => id);
  const rows = comparisonRows(ranks.flatMap(planFor), ids, rounds, runs);
  const failures = failuresOf(runs, planFor);
  const endMs = clock.unixMs();
  const seconds = ((endMs - startMs) / 1000).toFixed(0);
  print([
    `# ${rounds} interleaved rounds in ${seconds} s; wall clock of this machine, the slowest rank counts; float32, in place, every result checked`,
    '',
    renderTables(rows),
    '',
    ...floorLines(rows),
    ...failureLines(failures),
  ]);
  const record = { machine, options, contestants, missing, rows, failures, startMs, endMs };
  if (options.json !== undefined) {
    await writeFile(options.json, `${JSON.stringify(peerRecord(record), undefined, 2)}\n`);
  }
  if (options.svg !== undefined) await writeFile(options.svg, drawPeers(rows, machine));
  return failures.length === 0 ? 0 : 1;
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}

function progress(text: string): void {
  process.stderr.write(`bench:peers: ${text}\n`);
}
