/** How near hlsim comes to what the machine allows: a bound's time through hlsim's, 1 at the bound. */
import { KiB, MiB } from '../../common/bytes.ts';
import type { HlsimId } from '../peers/floors.ts';
import { ratiosOf, type Spread, spreadOf } from '../peers/statistics.ts';
import { PEER_COLLECTIVES, type PeerCollective } from '../peers/sweep.ts';
import { type BoundRequest, limitKey, pullCopyBytes, REGION_BYTES, ringBytes } from './plan.ts';

/** Microseconds of one round, by key; a key that is not there was not measured. */
export type RoundFigures = ReadonlyMap<string, number>;

export interface Bound {
  readonly title: string;
  /** Whose time ... */
  readonly key: string;
  /** ... times this is the bound. */
  readonly scale: number;
}

export interface FractionRequest {
  readonly hlsim: HlsimId;
  readonly collective: PeerCollective | 'rdma_write';
  readonly ranks: number;
  readonly bytes: number;
  readonly bound: Bound;
  /** What hlsim promises; null: nothing. */
  readonly floor: number | null;
}

export interface Fraction extends FractionRequest {
  readonly hlsimUs: Spread;
  readonly boundUs: Spread;
  readonly fractions: readonly number[];
  readonly fraction: Spread;
  readonly met: boolean | null;
}

/** Smallest array that a bound makes sense for: below, the calls are what takes the time. */
export const BOUND_BYTES_MIN = 64 * KiB;

const GATHER_FLOOR = { bytes: [16 * MiB, 64 * MiB], ranks: [2, 4, 8], fraction: 0.8 } as const;
const WRITE_FLOOR = 0.9;
const REDUCE_FLOOR = { bytes: 64 * MiB, ranks: 2, fraction: 0.5 } as const;

/** The key of a collective's time among the figures of a round. */
export function hlsimKey(
  hlsim: HlsimId,
  { collective, ranks, bytes }: Pick<FractionRequest, 'collective' | 'ranks' | 'bytes'>,
): string {
  return limitKey({ limit: `${hlsim} ${collective}`, ranks, bytes });
}

/** Every comparison of hlsim with a bound. */
export function fractionRequests({ ranks, sizes }: BoundRequest): readonly FractionRequest[] {
  const collectives = PEER_COLLECTIVES.flatMap((collective) =>
    ranks.flatMap((each) =>
      sizes.flatMap((bytes) => {
        const what = { collective, ranks: each, bytes };
        return [
          { hlsim: 'hlsim-ws' as const, ...what, bound: socketBound(what), floor: null },
          ...memoryBounds(what).map((bound, index) => ({
            ...{ hlsim: 'hlsim-p2p' as const, ...what, bound },
            floor: index === 0 ? floorOf(what) : null,
          })),
        ];
      }),
    ),
  );
  const key = limitKey({ limit: 'tcp', ranks: 1, bytes: REGION_BYTES });
  const bound = { title: 'C over TCP', key, scale: 1 };
  return [{ hlsim: 'hlsim-ws', ...WRITE, bound, floor: WRITE_FLOOR }, ...collectives];
}

/** One region from one host to another. */
export const WRITE = { collective: 'rdma_write', ranks: 2, bytes: REGION_BYTES } as const;

interface What {
  readonly collective: PeerCollective;
  readonly ranks: number;
  readonly bytes: number;
}

/** What each rank must send and receive, by a ring of C programs that do nothing else. */
function socketBound({ collective, ranks, bytes }: What): Bound {
  const key = limitKey({ limit: 'ring', ranks, bytes: ringBytes(collective, ranks, bytes) });
  return { title: 'a ring of C programs over TCP, same bytes', key, scale: 1 };
}

/** The first is the one that something is promised of. */
function memoryBounds({ collective, ranks, bytes }: What): readonly Bound[] {
  const bound = (title: string, limit: string, copied = bytes): Bound => ({
    ...{ title, scale: 1, key: limitKey({ limit, ranks, bytes: copied }) },
  });
  if (collective === 'all_gather') return [bound('the same copies in C', 'gather')];
  return [
    bound('memcpy of the array on every rank', 'copy'),
    bound('memcpy of what pulling moves', 'copy', pullCopyBytes(ranks, bytes)),
    bound('the same steps in C', 'reduce'),
  ];
}

function floorOf({ collective, ranks, bytes }: What): number | null {
  if (collective === 'all_reduce') {
    const { ranks: promised, bytes: size, fraction } = REDUCE_FLOOR;
    return ranks === promised && bytes === size ? fraction : null;
  }
  const { ranks: promised, bytes: sizes, fraction } = GATHER_FLOOR;
  const isPromised = promised.some((n) => n === ranks) && sizes.some((size) => size === bytes);
  return isPromised ? fraction : null;
}

/** Those of which both sides were measured in at least one round. */
export function fractionsOf(
  requests: readonly FractionRequest[],
  rounds: readonly RoundFigures[],
): readonly Fraction[] {
  return requests.flatMap((request) => {
    const { bound, floor } = request;
    const own = rounds.map((figures) => figures.get(hlsimKey(request.hlsim, request)) ?? null);
    const limit = rounds.map((figures) => {
      const timeUs = figures.get(bound.key);
      return timeUs === undefined ? null : timeUs * bound.scale;
    });
    const fractions = ratiosOf(own, limit);
    const fraction = spreadOf(fractions);
    const hlsimUs = spreadOf(own.filter((time) => time !== null));
    const boundUs = spreadOf(limit.filter((time) => time !== null));
    if (fraction === undefined || hlsimUs === undefined || boundUs === undefined) return [];
    const met = floor === null ? null : fraction.median >= floor;
    return [{ ...request, hlsimUs, boundUs, fractions, fraction, met }];
  });
}
