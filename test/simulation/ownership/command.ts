/**
 * `npm run sim -- [--seed S] [--seeds K] [--steps N] [--ownership P] [--trace]`: runs K seeds from S on,
 * each twice, over all cores. Prints the options first, then the histogram of operations; for a failure,
 * one command that shows it again. Exit code 1 if an invariant is violated, 2 if the flags make no sense.
 */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { isOwnershipPolicy } from '../../../node/device/ownership.ts';
import { optionsOf, type SimulationOptions, STEPS_DEFAULT } from './options.ts';
import { runSeed } from './run.ts';
import { Totals } from './totals.ts';
import { verifyInThreads } from './workers.ts';

/** After so many failures the rest says nothing new. */
const COMPLAINTS_MAX = 5;
const PROGRESS_SEEDS = 1_000;

interface Flags {
  readonly seed: number;
  readonly seeds: number;
  readonly steps: number;
  readonly ownership: SimulationOptions['ownership'] | undefined;
  readonly trace: boolean;
}

function readFlags(args: readonly string[]): Flags {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string', default: '1' },
      seeds: { type: 'string', default: '1' },
      steps: { type: 'string', default: String(STEPS_DEFAULT) },
      ownership: { type: 'string' },
      trace: { type: 'boolean', default: false },
    },
  });
  const { ownership } = values;
  if (ownership !== undefined && !isOwnershipPolicy(ownership)) {
    throw new Error(
      `Expected --ownership revoke, owner, owner-2021 or none but found ${ownership}`,
    );
  }
  return {
    seed: count('seed', values.seed, 0),
    seeds: count('seeds', values.seeds, 1),
    steps: count('steps', values.steps, 1),
    ownership,
    trace: values.trace,
  };
}

function count(name: string, text: string, least: number): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new Error(`Expected --${name} to be an integer of at least ${least} but found ${text}`);
}

function* optionsFor({ seed, seeds, steps, ownership }: Flags): Generator<SimulationOptions, void> {
  for (let one = seed; one < seed + seeds; one++) yield optionsOf(one, steps, ownership);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function main(flags: Flags): Promise<number> {
  const { seed, seeds, steps, ownership, trace } = flags;
  const which = seeds === 1 ? `seed ${seed}` : `seeds ${seed} to ${seed + seeds - 1}`;
  const policy = ownership ?? (seeds === 1 ? optionsOf(seed).ownership : 'by seed');
  say(`sim: ${which}, ${steps} operations each, ownership ${policy}, each seed twice`);
  if (trace) {
    const { trace: lines } = await runSeed(optionsOf(seed, steps, ownership));
    say(lines.join('\n'));
  }
  const totals = new Totals();
  await verifyInThreads(optionsFor(flags), seeds, (report) => {
    totals.add(report);
    if (totals.seeds % PROGRESS_SEEDS === 0) say(`sim: ${totals.seeds} of ${seeds} seeds`);
    return totals.complaints.length < COMPLAINTS_MAX ? 'go on' : 'stop';
  });
  say(totals.render());
  for (const complaint of totals.complaints) say(`\n${complaint}`);
  if (totals.complaints.length > 0) return 1;
  const missing = steps < STEPS_DEFAULT ? [] : totals.missing;
  if (missing.length > 0) say(`\nNever done: ${missing.join(', ')}`);
  return missing.length > 0 ? 1 : 0;
}

let flags: Flags | undefined;
try {
  flags = readFlags(process.argv.slice(2));
} catch (reason) {
  process.stderr.write(`sim: ${reason instanceof Error ? reason.message : String(reason)}\n`);
}
process.exitCode = flags === undefined ? 2 : await main(flags);
