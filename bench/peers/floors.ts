/**
 * What hlsim promises against each peer: the least median of the rounds' ratios (peer's time through
 * hlsim's). Floors, not aims.
 */
import { KiB, MiB } from '../../common/bytes.ts';
import { PEER_COLLECTIVES, type PeerCollective, type PeerMeasurement } from './sweep.ts';

export type HlsimId = 'hlsim-ws' | 'hlsim-p2p';
export type PeerId = 'openmpi-tcp' | 'openmpi-shm' | 'gloo';

export interface Floor {
  readonly hlsim: HlsimId;
  readonly peer: PeerId;
  readonly collectives: readonly PeerCollective[];
  /** Of the whole array, both included. */
  readonly bytes: readonly [from: number, to: number];
  readonly ranks: readonly number[];
  readonly ratio: number;
}

const BOTH = PEER_COLLECTIVES;
const LARGE = [16 * MiB, 64 * MiB] as const;
const MEDIUM = [MiB, MiB] as const;
const SMALL = [8, 4 * KiB] as const;

const WS: readonly Omit<Floor, 'hlsim'>[] = [
  { peer: 'openmpi-tcp', collectives: BOTH, bytes: LARGE, ranks: [2, 4, 8], ratio: 1.3 },
  { peer: 'gloo', collectives: BOTH, bytes: LARGE, ranks: [2], ratio: 1.2 },
  { peer: 'gloo', collectives: BOTH, bytes: LARGE, ranks: [4, 8], ratio: 1 },
  { peer: 'openmpi-tcp', collectives: BOTH, bytes: MEDIUM, ranks: [2, 4], ratio: 0.7 },
  { peer: 'gloo', collectives: BOTH, bytes: MEDIUM, ranks: [2, 4], ratio: 2 },
  { peer: 'openmpi-tcp', collectives: BOTH, bytes: SMALL, ranks: [2, 4], ratio: 0.15 },
  { peer: 'gloo', collectives: BOTH, bytes: SMALL, ranks: [2, 4], ratio: 4 },
];

const P2P: readonly Omit<Floor, 'hlsim'>[] = [
  { peer: 'openmpi-tcp', collectives: ['all_reduce'], bytes: LARGE, ranks: [2, 4, 8], ratio: 2.5 },
  { peer: 'gloo', collectives: ['all_reduce'], bytes: LARGE, ranks: [2, 4, 8], ratio: 2.5 },
  { peer: 'openmpi-shm', collectives: ['all_reduce'], bytes: LARGE, ranks: [2, 4, 8], ratio: 1.5 },
  { peer: 'openmpi-tcp', collectives: ['all_gather'], bytes: LARGE, ranks: [2, 4, 8], ratio: 2 },
  { peer: 'gloo', collectives: ['all_gather'], bytes: LARGE, ranks: [2, 4, 8], ratio: 3 },
  { peer: 'openmpi-shm', collectives: ['all_gather'], bytes: LARGE, ranks: [2, 4, 8], ratio: 1 },
  { peer: 'openmpi-tcp', collectives: BOTH, bytes: MEDIUM, ranks: [2, 4], ratio: 1.2 },
  { peer: 'gloo', collectives: BOTH, bytes: MEDIUM, ranks: [2, 4], ratio: 5 },
  { peer: 'openmpi-tcp', collectives: BOTH, bytes: SMALL, ranks: [2], ratio: 0.5 },
  { peer: 'gloo', collectives: BOTH, bytes: SMALL, ranks: [2], ratio: 10 },
];

export const FLOORS: readonly Floor[] = [
  ...WS.map((floor) => ({ ...floor, hlsim: 'hlsim-ws' as const })),
  ...P2P.map((floor) => ({ ...floor, hlsim: 'hlsim-p2p' as const })),
];

/** The ratio that is promised there; `undefined`: reported only. */
export function floorOf(
  hlsim: HlsimId,
  peer: PeerId,
  { collective, bytes, ranks }: Pick<PeerMeasurement, 'collective' | 'bytes' | 'ranks'>,
): number | undefined {
  return FLOORS.find(
    (floor) =>
      floor.hlsim === hlsim &&
      floor.peer === peer &&
      floor.collectives.includes(collective) &&
      floor.bytes[0] <= bytes &&
      bytes <= floor.bytes[1] &&
      floor.ranks.includes(ranks),
  )?.ratio;
}
