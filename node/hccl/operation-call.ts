/** What ranks must agree on before they exchange data: the call, and how it is carried out. */
import type { CollectiveName } from '../../collectives/collective.ts';
import { defined } from '../../common/assert.ts';

/** What a rank calls and how it does it: equal on all ranks of one operation, but for `pairs`. */
export interface OperationCall {
  readonly collective: CollectiveName;
  /** Elements, as the caller gave them; of the V forms their sum, of allToAllV 0. */
  readonly count: number;
  /** `countsDigest` of a call with one count per rank; 0 of any other. */
  readonly countsDigest: number;
  readonly dataType: number;
  readonly reduceOp: number;
  readonly root: number;
  /** At most `ALGORITHM_BYTES_MAX` bytes; a program from elsewhere is named with its digest. */
  readonly algorithm: string;
  readonly channels: number;
  /** Chunks of a block; 0 for the algorithm's own choice. */
  readonly chunks: number;
  readonly sliceBytes: number;
  /** allToAllV only: by rank, the elements that this rank sends to it and takes from it. */
  readonly pairs?: PairCounts | undefined;
}

/** What one rank sends the other must be what that one takes. */
export interface PairCounts {
  readonly sent: readonly number[];
  readonly received: readonly number[];
}

/** Ends the text of an algorithm where all ranks must have their buffers alike, and these are in place. */
export const IN_PLACE_SUFFIX = ' in place';
/** Longest text of an algorithm, in UTF-8. */
export const ALGORITHM_BYTES_MAX = 128;

/**
 * A number that tells lists of counts apart: two FNV-1a hashes (Fowler, Noll, Vo), of which 21 and 32
 * bits are kept, so that a float64 holds it.
 */
export function countsDigest(counts: readonly number[]): number {
  let high = 0x811c9dc5;
  let low = 0x9dc5811c;
  for (const count of counts) {
    for (const word of [count >>> 0, Math.floor(count / 2 ** 32)]) {
      high = Math.imul(high ^ word, 0x01000193);
      low = Math.imul(low ^ word ^ (high >>> 15), 0x01000193);
    }
  }
  return (high >>> 11) * 2 ** 32 + (low >>> 0);
}

/** True if both ranks mean the same operation. `pairs` are not compared: see `PairCounts`. */
export function sameCall(a: OperationCall, b: OperationCall): boolean {
  return (
    a.collective === b.collective &&
    a.count === b.count &&
    a.countsDigest === b.countsDigest &&
    a.dataType === b.dataType &&
    a.reduceOp === b.reduceOp &&
    a.root === b.root &&
    a.algorithm === b.algorithm &&
    a.channels === b.channels &&
    a.chunks === b.chunks &&
    a.sliceBytes === b.sliceBytes
  );
}

const API_NAMES: Readonly<Record<CollectiveName, string>> = {
  allReduce: 'hcclAllReduce',
  allGather: 'hcclAllGather',
  broadcast: 'hcclBroadcast',
  reduceScatter: 'hcclReduceScatter',
  reduce: 'hcclReduce',
  allToAll: 'hcclAlltoAll',
  gather: 'hcclGather',
  scatter: 'hcclScatter',
  sendRecv: 'hcclSendRecv',
  barrier: 'hcclBarrier',
  allGatherV: 'hcclAllGatherV',
  reduceScatterV: 'hcclReduceScatterV',
  allToAllV: 'hcclAlltoAllV',
  custom: 'custom collective',
};

/** `hcclAllReduce`. */
export function apiName(collective: CollectiveName): string {
  return defined(API_NAMES[collective], 'the API name');
}
