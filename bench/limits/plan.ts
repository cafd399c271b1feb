/** What `npm run bench:limits` measures of the machine itself, and how its programs are told. */
import { MiB } from '../../common/bytes.ts';
import type { PeerCollective } from '../peers/sweep.ts';

/** One measurement of one limit. */
export interface LimitMeasurement {
  readonly limit: string;
  /** Processes that do it at the same time. */
  readonly ranks: number;
  readonly bytes: number;
  readonly iterations: number;
}

/** The region of single figures. */
export const REGION_BYTES = 64 * MiB;
const REGION_ITERATIONS = 8;
/** Sockets take longer to come to their rate than memory does: their windows grow. */
export const SOCKET_ITERATIONS = 40;
/** Of what many processes do at once. */
const BOUND_ITERATIONS = 40;
const BOUND_ITERATIONS_MIN = 10;

/** In words, each of one region: bytes of the region through the time are its rate. */
export const REGION_LIMITS = {
  copy: 'memcpy, C',
  jscopy: 'TypedArray.set in shared memory',
  wasmcopy: "copy, hlsim's WASM kernel",
  add: 'float32 add, C',
  wasmadd: "float32 add, hlsim's WASM SIMD kernel",
  jsadd: 'float32 add, plain JavaScript',
  tcp: 'TCP loopback, C',
  unix: 'unix socket, C',
  nettcp: 'TCP loopback, Node.js net',
  netunix: 'unix socket, Node.js net',
} as const;
export type RegionLimit = keyof typeof REGION_LIMITS;

const C_REGION_LIMITS: readonly RegionLimit[] = ['copy', 'add', 'tcp', 'unix'];
const SOCKET_LIMITS: ReadonlySet<RegionLimit> = new Set(['tcp', 'unix', 'nettcp', 'netunix']);

export interface BoundRequest {
  readonly ranks: readonly number[];
  readonly sizes: readonly number[];
}

/** What the C program measures: single figures, then the bounds of the collectives. */
export function cPlan({ ranks, sizes }: BoundRequest): readonly LimitMeasurement[] {
  const region = C_REGION_LIMITS.map((limit) => regionMeasurement(limit));
  const bounds = ranks.flatMap((each) =>
    sizes.flatMap((bytes) => {
      const iterations = Math.max(BOUND_ITERATIONS_MIN, Math.round(BOUND_ITERATIONS / each));
      const copies = new Set([bytes, pullCopyBytes(each, bytes)]);
      return [
        ...[...copies].map((copied) => ({ limit: 'copy', bytes: copied })),
        { limit: 'gather', bytes },
        { limit: 'reduce', bytes },
        { limit: 'ring', bytes: ringBytes('all_gather', each, bytes) },
        { limit: 'ring', bytes: ringBytes('all_reduce', each, bytes) },
      ].map((one) => ({ ...one, ranks: each, iterations }));
    }),
  );
  return [...region, ...bounds];
}

/** What the Node.js program measures. */
export function nodePlan(): readonly LimitMeasurement[] {
  const limits = Object.keys(REGION_LIMITS) as RegionLimit[];
  return limits
    .filter((limit) => !C_REGION_LIMITS.includes(limit))
    .map((limit) => regionMeasurement(limit));
}

function regionMeasurement(limit: RegionLimit): LimitMeasurement {
  const iterations = SOCKET_LIMITS.has(limit) ? SOCKET_ITERATIONS : REGION_ITERATIONS;
  return { limit, ranks: 1, bytes: REGION_BYTES, iterations };
}

/**
 * Bytes of the memcpy that moves as much as a rank of an all-reduce that only reads from its peers: it
 * reads all blocks of its share (S) and writes their sum (S/n), then reads and writes the other shares
 * (2(n-1)S/n). Half of that sum, since a memcpy of B bytes reads B and writes B.
 */
export function pullCopyBytes(ranks: number, bytes: number): number {
  return Math.ceil(((3 - 1 / ranks) * bytes) / 2);
}

/** Bytes that each of `ranks` ranks sends, and receives, at least: a share of all others, once or twice. */
export function ringBytes(collective: PeerCollective, ranks: number, bytes: number): number {
  const times = collective === 'all_reduce' ? 2 : 1;
  return Math.ceil((times * (ranks - 1) * bytes) / ranks);
}

export function limitArgument({ limit, ranks, bytes, iterations }: LimitMeasurement): string {
  return [limit, ranks, bytes, iterations].join(':');
}

/** The opposite of `limitArgument`; `undefined` if the text is none. */
export function readLimit(text: string): LimitMeasurement | undefined {
  const match = /^([a-z]+):(\d+):(\d+):(\d+)$/.exec(text);
  const limit = match?.[1] ?? '';
  const [ranks = 0, bytes = 0, iterations = 0] = (match ?? []).slice(2).map(Number);
  if (limit === '' || ranks === 0 || bytes === 0 || iterations === 0) return undefined;
  return { limit, ranks, bytes, iterations };
}

/** Names a figure of one round. */
export function limitKey({
  limit,
  ranks,
  bytes,
}: Pick<LimitMeasurement, 'limit' | 'ranks' | 'bytes'>): string {
  return `${limit} ${ranks} ${bytes}`;
}
