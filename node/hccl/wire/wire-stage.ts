/**
 * Device memory of HCCL's own that a rank's wires need: what stands before payloads, small operands on their
 * way in and out, and a slot for what is reduced as it comes. One for each communicator.
 *
 *     0        per rank, `RANK_BYTES` each: CALL and head going out, CALL or head coming in, operand coming in
 *     ...      operand going out, and its head
 *     ...      slot
 */
import type { Rank } from '../../../collectives/schedule.ts';
import { KiB } from '../../../common/bytes.ts';
import { CALL_BYTES } from './wire-frames.ts';

/** Longest payload that is received together with its head. */
export const SMALL_BYTES = 16 * KiB;
/** What is reduced at a time: it is still in a cache when the kernel reads it. */
export const SLOT_BYTES = 256 * KiB;

/** Room for a head before something that begins at a multiple of 64. */
const HEAD_ROOM = 64;
const OUT_HEAD = CALL_BYTES;
const IN = OUT_HEAD + HEAD_ROOM;
/** A CALL may come where an operand was to come. */
const IN_OPERAND = IN + CALL_BYTES + HEAD_ROOM;
const RANK_BYTES = IN_OPERAND + SMALL_BYTES + CALL_BYTES;

/** Bytes of a stage. */
export function stageBytes(nranks: number): number {
  return nranks * RANK_BYTES + HEAD_ROOM + SMALL_BYTES + SLOT_BYTES;
}

/** Offsets in the device's memory of a stage that starts at `start`. */
export class WireStage {
  readonly #start: number;
  /** Of the operand going out, with room for its head before it. */
  readonly operand: number;
  readonly slot: number;

  constructor(start: number, nranks: number) {
    this.#start = start;
    this.operand = start + nranks * RANK_BYTES + HEAD_ROOM;
    this.slot = this.operand + SMALL_BYTES;
  }

  /** Where a CALL to a rank is, with a head right behind it. */
  outgoing(rank: Rank): number {
    return this.#start + rank * RANK_BYTES;
  }

  /** Where a CALL or a head of a rank comes in. */
  incoming(rank: Rank): number {
    return this.#start + rank * RANK_BYTES + IN;
  }

  /** Where a small operand of a rank comes in, with room for its head before it. */
  incomingOperand(rank: Rank): number {
    return this.#start + rank * RANK_BYTES + IN_OPERAND;
  }
}
