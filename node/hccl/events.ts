/**
 * What the engine tells its one observer. Traces, metrics, progress and the flight recorder listen
 * here; the engine itself keeps no statistics for them.
 */
import type { CollectiveName } from '../../collectives/collective.ts';
import type { HcclResult } from './hccl.ts';

interface OfOperation {
  /** Time on the host's clock, ms. */
  readonly atMs: number;
  readonly rank: number;
  readonly uniqueId: string;
  /** Number of the operation in its communicator, from 1. */
  readonly sequence: number;
}

interface OfSlice extends OfOperation {
  readonly channel: number;
  readonly step: number;
  readonly slice: number;
  readonly bytes: number;
}

export type EngineEvent =
  | (OfOperation & {
      readonly kind: 'collectiveBegin';
      readonly collective: CollectiveName;
      readonly algorithm: string;
      readonly bytes: number;
    })
  | (OfOperation & { readonly kind: 'collectiveEnd'; readonly result: HcclResult })
  /** A message of a slice was handed to the NIC; `peer` is its destination. */
  | (OfSlice & { readonly kind: 'sendBegin'; readonly peer: number })
  /** The peer's NIC has acknowledged it. */
  | (OfSlice & { readonly kind: 'sendEnd'; readonly peer: number })
  /** A message of a slice has landed; `peer` is its source. */
  | (OfSlice & { readonly kind: 'arrived'; readonly peer: number })
  /** A kernel or copy of a slice was submitted to the device. */
  | (OfSlice & { readonly kind: 'computeBegin' })
  | (OfSlice & { readonly kind: 'computeEnd' })
  /**
   * On shared memory (`shared/`): what the program's thread read of a peer's memory, or its own, from
   * `atMs` to `endMs`. `step` is the cell of the pull plan.
   */
  | (OfSlice & {
      readonly kind: 'read';
      readonly peer: number;
      readonly endMs: number;
      readonly isReduced: boolean;
    })
  /** There too: it waited for a peer from `atMs` to `endMs`. */
  | (OfOperation & { readonly kind: 'waited'; readonly peer: number; readonly endMs: number });

export type EngineObserver = (event: EngineEvent) => void;

/** A rank's place to tell the observer, which may come and go while the rank runs. */
export interface EngineTap {
  /** Absent while nobody wants to know: then nothing is made either. */
  readonly observer: EngineObserver | undefined;
  /** A rank on shared memory, whose events lie there until they are taken. Returns how to end that. */
  addSource(source: EventSource): () => Promise<void>;
}

/** Which calls somebody wants to know of, counted from 1 in each communicator. */
export interface CallWindow {
  readonly firstCall: number;
  readonly lastCall: number;
  /** Of every so many one. */
  readonly every: number;
}

export function isWanted({ firstCall, lastCall, every }: CallWindow, call: number): boolean {
  return call >= firstCall && call <= lastCall && (call - firstCall) % every === 0;
}

/** Keeps events of its own while somebody wants to know. */
export interface EventSource {
  begin(window: CallWindow): Promise<void>;
  /** Hands over what has come since the last time. */
  drain(observe: EngineObserver): void;
  /** Keeps no more; what it still has is handed over. Events that found no room. */
  end(observe: EngineObserver): Promise<number>;
}
