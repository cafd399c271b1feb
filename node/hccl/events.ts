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
  | (OfSlice & { readonly kind: 'computeEnd' });

export type EngineObserver = (event: EngineEvent) => void;
