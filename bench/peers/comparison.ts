/** From runs to rows: times of every round, ratios round by round, and what was promised of them. */
import { algorithmBandwidth, busBandwidthFactor } from '../busbw.ts';
import { type ContestantId, HLSIM_IDS, PEER_IDS } from './contestants.ts';
import { floorOf, type HlsimId, type PeerId } from './floors.ts';
import type { PeerRun } from './rounds.ts';
import { ratiosOf, type Spread, spreadOf } from './statistics.ts';
import { measurementKey, type PeerMeasurement } from './sweep.ts';

/** One contestant at one measurement. */
export interface ContestantTimes {
  readonly contestant: ContestantId;
  /** Microseconds of a call, the slowest rank's, in each round; null: no right result in that round. */
  readonly timesUs: readonly (number | null)[];
  /** null: no round has one. */
  readonly timeUs: Spread | null;
  /** Of the median time, GB/s; null without one. */
  readonly busBw: number | null;
}

export interface Comparison {
  readonly hlsim: HlsimId;
  readonly peer: PeerId;
  /** Peer's time through hlsim's: above 1 where hlsim is faster. */
  readonly ratios: readonly number[];
  readonly ratio: Spread;
  /** What is promised of the median; null: nothing. */
  readonly floor: number | null;
  /** null: nothing is promised. */
  readonly met: boolean | null;
}

export interface PeerRow extends PeerMeasurement {
  readonly contestants: readonly ContestantTimes[];
  readonly comparisons: readonly Comparison[];
}

/** What went wrong in a run, and with whom. */
export interface PeerFailure {
  readonly contestant: ContestantId;
  readonly ranks: number;
  readonly round: number;
  readonly what: string;
}

/** A row for each measurement, with every contestant that took part. */
export function comparisonRows(
  plan: readonly PeerMeasurement[],
  ids: readonly ContestantId[],
  rounds: number,
  runs: readonly PeerRun[],
): readonly PeerRow[] {
  return plan.map((measurement) => {
    const contestants = ids.map((id) => timesOf(measurement, id, rounds, runs));
    return { ...measurement, contestants, comparisons: comparisonsOf(measurement, contestants) };
  });
}

function timesOf(
  measurement: PeerMeasurement,
  contestant: ContestantId,
  rounds: number,
  runs: readonly PeerRun[],
): ContestantTimes {
  const key = measurementKey(measurement);
  const timesUs = Array.from({ length: rounds }, (_, round) => {
    const run = runs.find(
      (one) =>
        one.contestant.id === contestant && one.ranks === measurement.ranks && one.round === round,
    );
    const timing = run?.timings.get(key);
    // How long a wrong result took is nobody's time.
    return timing === undefined || timing.wrong > 0 ? null : timing.timeUs;
  });
  const timeUs = spreadOf(timesUs.filter((time) => time !== null)) ?? null;
  const { collective, bytes, ranks } = measurement;
  const busBw =
    timeUs === null
      ? null
      : algorithmBandwidth(bytes, timeUs.median) * busBandwidthFactor(collective, ranks);
  return { contestant, timesUs, timeUs, busBw };
}

function comparisonsOf(
  measurement: PeerMeasurement,
  contestants: readonly ContestantTimes[],
): readonly Comparison[] {
  const timesUs = (id: ContestantId) =>
    contestants.find(({ contestant }) => contestant === id)?.timesUs ?? [];
  return HLSIM_IDS.flatMap((hlsim) =>
    PEER_IDS.flatMap((peer) => {
      const [own, other] = [timesUs(hlsim), timesUs(peer)];
      const ratios = own.length === other.length ? ratiosOf(own, other) : [];
      const ratio = spreadOf(ratios);
      if (ratio === undefined) return [];
      const floor = floorOf(hlsim, peer, measurement) ?? null;
      const met = floor === null ? null : ratio.median >= floor;
      return [{ hlsim, peer, ratios, ratio, floor, met }];
    }),
  );
}

/** Crashes, hangs, unreadable output and wrong results of all runs. */
export function failuresOf(
  runs: readonly PeerRun[],
  planFor: (ranks: number) => readonly PeerMeasurement[],
): readonly PeerFailure[] {
  return runs.flatMap(({ contestant: { id: contestant }, ranks, round, failure, timings }) => {
    const where = { contestant, ranks, round };
    if (failure !== undefined) return [{ ...where, what: failure }];
    return planFor(ranks).flatMap((measurement) => {
      const { collective, bytes } = measurement;
      const wrong = timings.get(measurementKey(measurement))?.wrong ?? 0;
      const what = `${collective} of ${bytes} bytes: ${wrong} wrong elements`;
      return wrong === 0 ? [] : [{ ...where, what }];
    });
  });
}
