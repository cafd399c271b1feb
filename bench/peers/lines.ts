/** What a contestant's ranks print: a line of JSON for each measurement. */
import { z } from 'zod';
import { HlsimError } from '../../common/errors.ts';
import { measurementKey, PEER_COLLECTIVES, type PeerMeasurement } from './sweep.ts';

const rankLine = z.strictObject({
  collective: z.enum(PEER_COLLECTIVES),
  count: z.int().positive(),
  ranks: z.int().positive(),
  rank: z.int().nonnegative(),
  /** Of one call on this rank, the mean. */
  timeUs: z.number().positive(),
  /** Elements of this rank's result. */
  wrong: z.int().nonnegative(),
});

export type RankLine = Readonly<z.infer<typeof rankLine>>;

/** One contestant's figures for one measurement in one round. */
export interface Timing {
  /** Of the slowest rank. */
  readonly timeUs: number;
  /** Wrong elements on all ranks together. */
  readonly wrong: number;
}

/** `hlsim run` shows its ranks' lines behind these. */
const RANK_PREFIX = /^\[\d+\] /;

/**
 * The lines of a contestant's output that are ours. Other lines are none of our business (mpirun warns
 * of many things).
 *
 * @throws HlsimError `HLSIM_PROTOCOL_ERROR` for a line that begins as ours and is not
 */
export function rankLines(stdout: string): readonly RankLine[] {
  return stdout
    .split('\n')
    .map((line) => line.replace(RANK_PREFIX, '').trim())
    .filter((line) => line.startsWith('{'))
    .map(rankLineOf);
}

function rankLineOf(line: string): RankLine {
  const parsed = rankLine.safeParse(jsonOf(line));
  if (parsed.success) return parsed.data;
  throw new HlsimError(
    'HLSIM_PROTOCOL_ERROR',
    `Expected a measurement as a line of JSON but found ${JSON.stringify(line.slice(0, 200))}: ${z.prettifyError(parsed.error)}`,
  );
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // What is no JSON is no measurement either; the caller says what was found.
    return undefined;
  }
}

/**
 * The ranks' lines of one run as one timing per measurement.
 *
 * @throws HlsimError `HLSIM_PROTOCOL_ERROR` unless every rank reported every measurement, once
 */
export function timingsOf(
  lines: readonly RankLine[],
  plan: readonly PeerMeasurement[],
): ReadonlyMap<string, Timing> {
  const timings = new Map<string, Timing>();
  for (const measurement of plan) {
    const key = measurementKey(measurement);
    const own = lines.filter((line) => measurementKey(line) === key);
    const ranks = new Set(own.map(({ rank }) => rank).filter((rank) => rank < measurement.ranks));
    if (ranks.size !== measurement.ranks || own.length !== measurement.ranks) {
      throw new HlsimError(
        'HLSIM_PROTOCOL_ERROR',
        `Expected one line from each of ${measurement.ranks} ranks for ${measurement.collective} of ${measurement.bytes} bytes but found ${own.length} lines from ${ranks.size} ranks`,
      );
    }
    timings.set(key, {
      timeUs: Math.max(...own.map(({ timeUs }) => timeUs)),
      wrong: own.reduce((sum, { wrong }) => sum + wrong, 0),
    });
  }
  return timings;
}
