/**
 * `npm run bench:overlap`: how much of the all-reduce of gradients hides behind the backward pass. One job
 * of two hosts for each kind of link, in which a step with overlap, one without, communication alone and
 * computing alone take turns; see `bench/README.md`. Exit code 1 if sums differ by a bit.
 */
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { formatBytes, KiB } from '../common/bytes.ts';
import { HlsimError } from '../common/errors.ts';
import { wallScheduler as scheduler } from '../common/scheduler.ts';
import { MEGABYTES_PER_SECOND, OVERLAP_USAGE, readOverlapFlags } from './overlap/command-line.ts';
import { HOSTS, runLaunched } from './overlap/launched.ts';
import type { OverlapOptions, RankReport } from './overlap/options.ts';
import { pacingUnavailable } from './overlap/pacing.ts';
import { type LinkResult, renderOverlap } from './overlap/render.ts';
import { sameBits, summariesOf } from './overlap/summary.ts';
import { abortOnSignals } from './peers/interruption.ts';
import { describeMachine } from './peers/machine.ts';

/** Many layers of one size: buckets that are complete one after the other, at even distances. */
const MODEL = { hidden: Array<number>(8).fill(320), bucketBytes: 512 * KiB } as const;

interface Measured extends LinkResult {
  readonly bytesPerSecond: number | null;
  readonly reports: readonly RankReport[];
}

try {
  const flags = readOverlapFlags(process.argv.slice(2));
  if (flags.help) say(OVERLAP_USAGE);
  else await run(flags);
} catch (reason) {
  if (!(reason instanceof HlsimError)) throw reason;
  process.stderr.write(`bench:overlap: ${reason.message} [${reason.code}]\n`);
  process.exitCode = reason.code === 'HLSIM_USAGE' ? 2 : 1;
}

async function run(flags: ReturnType<typeof readOverlapFlags>): Promise<void> {
  const machine = describeMachine();
  const { rounds, steps, linkRate, json } = flags;
  const options = { rounds, steps, ...MODEL, hidden: [...MODEL.hidden] };
  const signal = abortOnSignals();
  const noPacing = pacingUnavailable();
  const rates = noPacing === undefined ? [undefined, linkRate] : [undefined];
  const measured: Measured[] = [];
  for (const rate of rates) measured.push(await measure(options, rate, signal));
  say(textOf(measured, options, machine));
  if (noPacing !== undefined) say(`Left out: the link of a limited rate, for ${noPacing}`);
  if (json !== undefined) {
    const results = { machine, hosts: HOSTS, options, links: measured };
    writeFileSync(json, `${JSON.stringify(results, null, 2)}\n`);
  }
  if (measured.some(({ reports }) => !sameBits(reports))) {
    throw new HlsimError(
      'HLSIM_JOB_FAILED',
      'Expected the same sums with and without overlap, on all ranks, but found different ones',
    );
  }
}

async function measure(
  options: OverlapOptions,
  rate: number | undefined,
  signal: AbortSignal,
): Promise<Measured> {
  const reports = await runLaunched(options, rate, { scheduler, signal });
  const link = rate === undefined ? 'loopback' : `${rate / MEGABYTES_PER_SECOND} MB/s`;
  return { link, bytesPerSecond: rate ?? null, places: summariesOf(reports), reports };
}

function textOf(
  measured: readonly Measured[],
  { rounds, steps }: OverlapOptions,
  { cores, cpu, loadBefore }: ReturnType<typeof describeMachine>,
): string {
  const [report] = measured[0]?.reports ?? [];
  const size = `${formatBytes(report?.gradientBytes ?? 0)} of gradients in ${report?.buckets} buckets`;
  return [
    `One training step on ${HOSTS} hosts, ${size}, ${rounds} rounds of ${steps} steps, medians; wall clock of this machine`,
    `${cores} cores, ${cpu}, load before ${loadBefore.toFixed(2)}`,
    '',
    renderOverlap(measured),
    '',
    'its cores: cores that each host keeps busy while it only communicates. Computing beside it hides what is left.',
    'hidden: (off - on) / communication. At most: what is left to compute after the first bucket / communication.',
  ].join('\n');
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
