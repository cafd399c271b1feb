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

interface Calls {
  readonly upTo: number;
  readonly iterations: number;
  readonly warmup: number;
  /** How much longer a call takes between more ranks: about as their number, or as its square. */
  readonly growth: 1 | 2;
}

/**
 * Calls at 2 ranks, up to each size: a round takes seconds, and the mean is over many. A compiler that works
 * while the program runs is done with a path after some thousand passes, so small calls come first in thousands,
 * and larger ones, which take a path of slices, in as many as some seconds allow.
 */
const CALLS: readonly Calls[] = [
  { upTo: 32 * KiB, iterations: 2000, warmup: 6000, growth: 2 },
  { upTo: 256 * KiB, iterations: 120, warmup: 1200, growth: 2 },
  { upTo: 1 * MiB, iterations: 120, warmup: 1200, growth: 1 },
  { upTo: 16 * MiB, iterations: 160, warmup: 480, growth: 1 },
  { upTo: Number.POSITIVE_INFINITY, iterations: 20, warmup: 40, growth: 1 },
];
const CALLS_MIN = 3;
/** The first measurement of a process finds nothing compiled at all: so many times the warm-up. */
const FIRST_WARMUPS = 4;
const FIRST_BYTES_MAX = 32 * KiB;
const QUICK_SHARE = 0.25;

/** Fewer of long calls, and of calls between many ranks, which share the cores. */
function callsOf(bytes: number, ranks: number, quick: boolean) {
  const base = CALLS.find(({ upTo }) => bytes <= upTo);
  const share = (2 / Math.max(2, ranks)) ** (base?.growth ?? 1) * (quick ? QUICK_SHARE : 1);
  const some = (count = 0): number => Math.max(CALLS_MIN, Math.round(count * share));
  return { iterations: some(base?.iterations), warmup: some(base?.warmup) };
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
  const plan = collectives.flatMap((collective) => {
    const unit = collective === 'all_gather' ? ranks * FLOAT_BYTES : FLOAT_BYTES;
    const rounded = new Set(sizes.map((bytes) => roundUp(bytes, unit)));
    return [...rounded].map((bytes) => ({
      ...{ collective, ranks, bytes, count: bytes / FLOAT_BYTES },
      ...callsOf(bytes, ranks, quick),
    }));
  });
  return plan.map((one, index) =>
    index === 0 && one.bytes <= FIRST_BYTES_MAX
      ? { ...one, warmup: FIRST_WARMUPS * one.warmup }
      : one,
  );
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
