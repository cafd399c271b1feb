/** What the traffic of a communicator needs to know, and whom it tells. */
import type { Rank } from '../../collectives/schedule.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import type { FiEndpoint } from '../fabric/endpoint.ts';
import type { FiAddr } from '../fabric/fabric.ts';
import type { DeviceSession } from './device-session.ts';
import type { HcclFailure } from './failure.ts';
import type { FlushInit } from './flush.ts';
import type { SlotPool } from './memory-map.ts';
import type { OperationObserver } from './observer.ts';
import type { ProgramPath } from './program/program-path.ts';

/** A peer's receive slots, as this rank writes them. */
export interface PeerSlots {
  readonly address: number;
  readonly key: bigint;
}

/** What a flush works with; see `flush.ts`. */
export type FlushPlace = Pick<FlushInit, 'self' | 'memory'>;

export interface ExchangeInit {
  readonly rank: Rank;
  readonly nranks: number;
  readonly session: DeviceSession;
  readonly scheduler: Scheduler;
  readonly observer: OperationObserver;
  readonly endpoint: FiEndpoint;
  readonly addresses: ReadonlyMap<Rank, FiAddr>;
  readonly slots: SlotPool | undefined;
  readonly peerSlots: ReadonlyMap<Rank, PeerSlots>;
  /** Absent: completions alone say that bytes are there. */
  readonly flush: FlushPlace | undefined;
  /** What the program's thread can do itself, and who hears what peers say of theirs. */
  readonly program: Pick<ProgramPath, 'able' | 'hello' | 'heard' | 'departed'>;
  /** Every peer has said hello. */
  connected(): void;
  /** The communicator is broken. */
  fail(failure: HcclFailure): void;
}
