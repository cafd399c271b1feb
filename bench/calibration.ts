/**
 * `npm run bench:calibration`: measures this machine for `hlsim calibrate`. Every round launches `hlsim bench`
 * once for every algorithm, number of ranks and provider, in an order that turns from round to round; the
 * median over the rounds is the point.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { HlsimError } from '../common/errors.ts';
import { wallScheduler as scheduler } from '../common/scheduler.ts';
import { CALIBRATION_USAGE, readCalibrationFlags } from './calibration/command-line.ts';
import { type Launch, launches, launchKey, PROVIDERS, SIZES, SLICE } from './calibration/plan.ts';
import { pointsCsv, type Sample, samplesOf } from './calibration/points.ts';
import { runChildren } from './peers/children.ts';
import { abortOnSignals } from './peers/interruption.ts';
import { describeMachine, machineLines } from './peers/machine.ts';
import { projectFile } from './peers/project-files.ts';
import { rotated } from './peers/rounds.ts';

/** Several times what the slowest launch takes on two cores. */
const LAUNCH_DEADLINE_MS = 180_000;
const WARMUP = 20;

const signal = abortOnSignals();
try {
  const flags = readCalibrationFlags(process.argv.slice(2));
  if (flags.help) process.stdout.write(`${CALIBRATION_USAGE}\n`);
  else await run(flags);
} catch (reason) {
  if (!(reason instanceof HlsimError)) throw reason;
  process.stderr.write(`bench:calibration: ${reason.message} [${reason.code}]\n`);
  process.exitCode = reason.code === 'HLSIM_USAGE' ? 2 : 1;
}

async function run(flags: ReturnType<typeof readCalibrationFlags>): Promise<void> {
  const { rounds, iterations, output } = flags;
  const machine = machineLines(describeMachine());
  const folder = await mkdtemp(join(tmpdir(), 'hlsim-calibration-'));
  const samples: Sample[] = [];
  const loads: number[] = [];
  try {
    for (let round = 0; round < rounds; round += 1) {
      for (const launch of rotated(launches(), round)) {
        process.stderr.write(
          `bench:calibration: round ${round + 1}/${rounds}: ${launchKey(launch)}\n`,
        );
        samples.push(...(await measured(launch, iterations, folder)));
        loads.push(loadavg()[0] ?? 0);
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const load = (loads.reduce((sum, one) => sum + one, 0) / loads.length).toFixed(2);
  for (const provider of PROVIDERS) {
    const comments = [
      ...machine,
      `# ${provider}: median of ${rounds} interleaved rounds of ${iterations} calls, each after the end of the last; slices of ${SLICE}; mean load while it ran, its own processes included: ${load}`,
    ];
    const path = `${output}-${provider}.csv`;
    await writeFile(path, pointsCsv(samples, provider, comments));
    process.stdout.write(`${path}\n`);
  }
}

async function measured(launch: Launch, iterations: number, folder: string): Promise<Sample[]> {
  const { collective, algorithm, ranks, provider } = launch;
  const json = join(folder, 'bench.json');
  const args = [
    ...[projectFile('bin/hlsim.js'), 'bench', collective, '--algorithm', algorithm],
    ...['--hosts', String(ranks), '--provider', provider, '--slice', SLICE],
    ...['-b', SIZES.min, '-e', SIZES.max, '-f', String(SIZES.factor), '-c', '0', '-z', '1'],
    ...['-n', String(iterations), '-w', String(WARMUP), '--json', json],
  ];
  const { failure, stderr } = await runChildren([{ program: process.execPath, args }], {
    ...{ scheduler, signal, deadlineMs: LAUNCH_DEADLINE_MS },
  });
  if (failure !== undefined) {
    throw new HlsimError(
      'HLSIM_JOB_FAILED',
      `Expected hlsim bench ${launchKey(launch)} to end well but found that it ${failure}: ${stderr.trim()}`,
    );
  }
  return samplesOf(launch, await readFile(json, 'utf8'));
}
