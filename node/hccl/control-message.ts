/**
 * HCCL's own messages between ranks, sent as tagged messages of the communicator's endpoint: fixed
 * little-endian layouts, told in `docs/wire-protocol.md`.
 *
 * HELLO          a rank is connected and ready
 * HEADER         a rank has started an operation: what it is, where its buffers are, what it grants
 * CREDIT         a rank grants more: places of the operation, and receive slots
 * BYE            a rank leaves the communicator after its last operation
 */

import { FI_ADDR_UNSPEC } from '../fabric/fabric.ts';
import { type Header, readHeader, writeHeader } from './operation-header.ts';

/** Tag of every message here. */
export const CONTROL_TAG = 1n;
export const CONTROL_SOURCE_ANY = FI_ADDR_UNSPEC;
/** Longest control message. */
export const CONTROL_BYTES_MAX = 512;

export interface Credit {
  readonly kind: 'CREDIT';
  readonly sequence: number;
  readonly lane: number;
  /** As in HEADER, for operation `sequence`. */
  readonly granted: number;
  /** Slot messages of this lane that have been used up, since it began. */
  readonly slotsReleased: number;
}

export type ControlMessage =
  | { readonly kind: 'HELLO' }
  | Header
  | Credit
  | { readonly kind: 'BYE'; readonly lastSequence: number };

/** The first byte of a message. */
export const CONTROL_KINDS = { HELLO: 1, HEADER: 2, CREDIT: 3, BYE: 4 } as const;
const CREDIT_BYTES = 14;
const BYE_BYTES = 5;

/** Writes a message at the start of `view`, which has `CONTROL_BYTES_MAX` bytes; returns its length. */
export function writeControl(message: ControlMessage, view: DataView): number {
  view.setUint8(0, CONTROL_KINDS[message.kind]);
  switch (message.kind) {
    case 'HELLO':
      return 1;
    case 'HEADER':
      return writeHeader(message, view);
    case 'CREDIT':
      view.setUint8(1, message.lane);
      view.setUint32(2, message.sequence, true);
      view.setUint32(6, message.granted, true);
      view.setUint32(10, message.slotsReleased, true);
      return CREDIT_BYTES;
    case 'BYE':
      view.setUint32(1, message.lastSequence, true);
      return BYE_BYTES;
  }
}

/** The message in the first `length` bytes, or `undefined` if it is none: a peer that is broken. */
export function readControl(view: DataView, length: number): ControlMessage | undefined {
  if (length === 0) return undefined;
  switch (view.getUint8(0)) {
    case CONTROL_KINDS.HELLO:
      return length === 1 ? { kind: 'HELLO' } : undefined;
    case CONTROL_KINDS.HEADER:
      return readHeader(view, length);
    case CONTROL_KINDS.CREDIT:
      if (length !== CREDIT_BYTES) return undefined;
      return {
        kind: 'CREDIT',
        lane: view.getUint8(1),
        sequence: view.getUint32(2, true),
        granted: view.getUint32(6, true),
        slotsReleased: view.getUint32(10, true),
      };
    case CONTROL_KINDS.BYE:
      if (length !== BYE_BYTES) return undefined;
      return { kind: 'BYE', lastSequence: view.getUint32(1, true) };
    default:
      return undefined;
  }
}

/** Immediate data of a data message: which lane, and which operation (low bits) it belongs to. */
export function dataImmediate(lane: number, sequence: number): number {
  return ((lane << 24) | (sequence & 0xffffff)) >>> 0;
}

/** What `dataImmediate` packed. */
export function laneOfImmediate(data: number): number {
  return data >>> 24;
}

/** What `dataImmediate` packed: the low bits of the operation's number. */
export function sequenceOfImmediate(data: number): number {
  return data & 0xffffff;
}
