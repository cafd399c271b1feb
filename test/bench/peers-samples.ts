/** Runs and rows as the tests of bench:peers want them, without running anything. */
import type { PeerRow } from '../../bench/peers/comparison.ts';
import { comparisonRows } from '../../bench/peers/comparison.ts';
import type { Contestant, ContestantId } from '../../bench/peers/contestants.ts';
import type { Timing } from '../../bench/peers/lines.ts';
import type { Machine } from '../../bench/peers/machine.ts';
import type { PeerRun } from '../../bench/peers/rounds.ts';
import { measurementKey, type PeerMeasurement, sweepOf } from '../../bench/peers/sweep.ts';

export const MACHINE: Machine = {
  cpu: 'A <fast> CPU & more',
  cores: 2,
  memoryBytes: 8 * 2 ** 30,
  kernel: 'Linux 6.1.0',
  architecture: 'x64',
  node: 'v20.19.0',
  congestionControl: 'cubic',
  loadBefore: 0.1,
};

export function contestant(id: ContestantId): Contestant {
  return { id, version: '1.0', commands: () => [] };
}

/** A run in which every measurement took `timeUs`. */
export function run(
  id: ContestantId,
  round: number,
  plan: readonly PeerMeasurement[],
  timing: Partial<Timing> & { readonly timeUs: number },
): PeerRun {
  const timings = new Map(plan.map((one) => [measurementKey(one), { wrong: 0, ...timing }]));
  const ranks = plan[0]?.ranks ?? 2;
  return { contestant: contestant(id), ranks, round, timings, failure: undefined };
}

export const PLAN = sweepOf({ collectives: ['all_reduce'], sizes: [2 ** 20], quick: false }, 2);

/** One measurement, three rounds: hlsim takes 100 us, the peers so many times that. */
export function rowsWith(
  peers: Partial<Record<ContestantId, readonly number[]>>,
): readonly PeerRow[] {
  const ids = Object.keys(peers) as ContestantId[];
  const runs = ids.flatMap((id) =>
    (peers[id] ?? []).map((timeUs, round) => run(id, round, PLAN, { timeUs })),
  );
  return comparisonRows(PLAN, ids, 3, runs);
}
