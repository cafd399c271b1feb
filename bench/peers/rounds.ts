/**
 * The rounds: every round runs every contestant once for every number of ranks, one after the other, in
 * an order that turns from round to round, so that what the machine does meanwhile meets all alike.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../common/errors.ts';
import { type ChildrenInit, runChildren } from './children.ts';
import type { Contestant } from './contestants.ts';
import { rankLines, type Timing, timingsOf } from './lines.ts';
import type { PeerMeasurement } from './sweep.ts';

/** One run of one contestant. */
export interface PeerRun {
  readonly contestant: Contestant;
  readonly ranks: number;
  /** From 0. */
  readonly round: number;
  /** By measurement key; none after a failure. */
  readonly timings: ReadonlyMap<string, Timing>;
  readonly failure: string | undefined;
}

export interface RoundsInit extends Omit<ChildrenInit, 'deadlineMs'> {
  readonly contestants: readonly Contestant[];
  readonly ranks: readonly number[];
  readonly rounds: number;
  readonly planFor: (ranks: number) => readonly PeerMeasurement[];
  /** For the runs' files. */
  readonly folder: string;
  /** Told before each run. */
  readonly progress: (text: string) => void;
}

/** Longest that one run may take: several times what the slowest takes on two cores. */
const RUN_DEADLINE_MS = 180_000;

/**
 * Every run, in order. A contestant that failed with a number of ranks is not run with it again: one
 * report is enough, and a hang takes its deadline each time.
 */
export async function* runRounds(init: RoundsInit): AsyncGenerator<PeerRun> {
  const { contestants, ranks, rounds, progress } = init;
  const failed = new Set<string>();
  for (let round = 0; round < rounds; round++) {
    for (const each of ranks) {
      for (const contestant of rotated(contestants, round)) {
        const name = `${contestant.id} ${each}`;
        if (failed.has(name)) continue;
        progress(`round ${round + 1} of ${rounds}: ${contestant.id} on ${each} ranks`);
        const run = await runOnce(init, contestant, each, round);
        if (run.failure !== undefined) failed.add(name);
        yield run;
      }
    }
  }
}

/** The same order, beginning at another place. */
export function rotated<T>(items: readonly T[], by: number): readonly T[] {
  const first = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(first), ...items.slice(0, first)];
}

async function runOnce(
  init: RoundsInit,
  contestant: Contestant,
  ranks: number,
  round: number,
): Promise<PeerRun> {
  const { scheduler, signal, planFor } = init;
  const plan = planFor(ranks);
  const folder = await mkdtemp(join(init.folder, 'run-'));
  try {
    const commands = contestant.commands({ ranks, plan, folder });
    const outcome = await runChildren(commands, {
      ...{ scheduler, signal, deadlineMs: RUN_DEADLINE_MS },
    });
    const { failure: ended, stderr, stdout } = outcome;
    const failure = ended === undefined ? undefined : `${ended}: ${stderr.trim()}`;
    const timings = failure === undefined ? timingsOf(rankLines(stdout.join('')), plan) : new Map();
    return { contestant, ranks, round, timings, failure };
  } catch (reason) {
    signal.throwIfAborted();
    return { contestant, ranks, round, timings: new Map(), failure: messageOf(reason) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
