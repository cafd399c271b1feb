/** What is measured: which collectives, ranks and sizes, and how often each. The same for every contestant. */
import { KiB, MiB } from '../../common/bytes.ts';
import { roundUp } from '../../common/math.ts';

export const PEER_COLLECTIVES = ['all_reduce', 'all_gather'] as const;
export type PeerCollective = (typeof PEER_COLLECTIVES)[number];

const FLOAT_BYTES = 4;

/** One measurement of one contestant. */
export interface PeerMeasurement {
  readonly collective: PeerCollective;
  readonly ranks: number;
  /** Of the whole array: of the vector, or of everything that is gathered. */
  readonly bytes: number;
  /** Float32 elements of the whole array. */
  readonly count: number;
  /** Calls before those that are timed. */
  readonly warmup: number;
  readonly iterations: number;
}

/** Timed calls at 2 ranks, up to each size: a round takes seconds, and the mean is over many. */
const ITERATIONS: readonly (readonly [bytes: number, iterations: number])[] = [
  [32 * KiB, 2000],
  [256 * KiB, 120],
  [1 * MiB, 60],
  [4 * MiB, 24],
  [16 * MiB, 12],
  [Number.POSITIVE_INFINITY, 5],
];
const ITERATIONS_MIN = 3;
const QUICK_SHARE = 0.25;

/** Fewer of long calls, and of calls between many ranks, which share the cores. */
function iterationsOf(bytes: number, ranks: number, quick: boolean): number {
  const base = ITERATIONS.find(([upTo]) => bytes <= upTo)?.[1] ?? ITERATIONS_MIN;
  const share = (2 / Math.max(2, ranks)) ** 2 * (quick ? QUICK_SHARE : 1);
  return Math.max(ITERATIONS_MIN, Math.round(base * share));
}

export interface SweepRequest {
  readonly collectives: readonly PeerCollective[];
  /** Bytes; a size that is no whole number of elements on each rank is rounded up to one. */
  readonly sizes: readonly number[];
  readonly quick: boolean;
}

/** Everything that a contestant measures with `ranks` ranks, in its order. */
export function sweepOf(request: SweepRequest, ranks: number): readonly PeerMeasurement[] {
  const { collectives, sizes, quick } = request;
  return collectives.flatMap((collective) => {
    const unit = collective === 'all_gather' ? ranks * FLOAT_BYTES : FLOAT_BYTES;
    const rounded = new Set(sizes.map((bytes) => roundUp(bytes, unit)));
    return [...rounded].map((bytes) => {
      const iterations = iterationsOf(bytes, ranks, quick);
      const warmup = iterations;
      return { collective, ranks, bytes, count: bytes / FLOAT_BYTES, warmup, iterations };
    });
  });
}

/** As a contestant's program takes it, one argument each. */
export function measurementArgument(measurement: PeerMeasurement): string {
  const { collective, count, warmup, iterations } = measurement;
  return [collective, count, warmup, iterations].join(':');
}

/** The opposite of `measurementArgument`; `undefined` if the text is none. */
export function readMeasurement(text: string, ranks: number): PeerMeasurement | undefined {
  const match = /^([a-z_]+):(\d+):(\d+):(\d+)$/.exec(text);
  const collective = PEER_COLLECTIVES.find((name) => name === match?.[1]);
  const [count = 0, warmup = 0, iterations = 0] = (match ?? []).slice(2).map(Number);
  if (collective === undefined || count === 0 || iterations === 0) return undefined;
  return { collective, ranks, bytes: count * FLOAT_BYTES, count, warmup, iterations };
}

/** Names a measurement among those of all ranks and sizes. */
export function measurementKey({
  collective,
  ranks,
  count,
}: Pick<PeerMeasurement, 'collective' | 'ranks' | 'count'>): string {
  return `${collective} ${ranks} ${count}`;
}
