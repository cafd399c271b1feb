/**
 * HCCL's own messages between ranks, sent as tagged messages of the communicator's endpoint: fixed
 * little-endian layouts, told in `docs/wire-protocol.md`.
 *
 * HELLO          a rank is connected and ready
 * HEADER         a rank has started an operation: what it is, where its buffers are, what it grants
 * CREDIT         a rank grants more: places of the operation, and receive slots
 * BYE            a rank leaves the communicator after its last operation
 * WINDOW         a rank offers memory that the peer may map, if both are on one machine
 * WINDOW_ANSWER  it is mapped, or it is not
 * WITHDRAW       the memory is going away
 * PATH           whether a rank has mapped every peer's mailbox, so that collectives may use shared memory
 * WIRE           a rank lets the peer dial a wire, with this ticket
 * WIRES          whether a rank has all its wires, so that collectives may use them
 */

import { FI_ADDR_UNSPEC } from '../fabric/fabric.ts';
import { HEADER_BYTES_MAX, type Header, readHeader, writeHeader } from './operation-header.ts';

/** Tag of every message here. */
export const CONTROL_TAG = 1n;
export const CONTROL_SOURCE_ANY = FI_ADDR_UNSPEC;
/** Longest control message. */
export const CONTROL_BYTES_MAX = HEADER_BYTES_MAX;

export interface Credit {
  readonly kind: 'CREDIT';
  readonly sequence: number;
  readonly lane: number;
  /** As in HEADER, for operation `sequence`. */
  readonly granted: number;
  /** Slot messages of this lane that have been used up, since it began. */
  readonly slotsReleased: number;
}

/** How the program's thread can move the bytes of collectives: through memory that ranks share, on wires. */
export type DataPath = 'p2p' | 'wire';

/** What ranks tell each other about memory that they share. */
export type SharedMessage =
  | {
      readonly kind: 'WINDOW';
      readonly use: 'mailbox' | 'buffer';
      /** The sender's number for it, from 1. */
      readonly id: number;
      readonly bytes: number;
    }
  | { readonly kind: 'WINDOW_ANSWER'; readonly id: number; readonly result: 'mapped' | 'refused' }
  | { readonly kind: 'WITHDRAW'; readonly id: number }
  | { readonly kind: 'PATH'; readonly path: 'ws' | 'p2p' };

/** What ranks tell each other about their wires. */
export type WireMessage =
  | {
      readonly kind: 'WIRE';
      /** 32 hexadecimal digits. */
      readonly ticket: string;
    }
  | { readonly kind: 'WIRES'; readonly verdict: 'open' | 'refused' };

/** What ranks tell each other about how their programs' threads move bytes. */
export type ProgramMessage = SharedMessage | WireMessage;

export type ControlMessage =
  | {
      readonly kind: 'HELLO';
      /** What the sender can do. */
      readonly paths: readonly DataPath[];
    }
  | Header
  | Credit
  | {
      readonly kind: 'BYE';
      readonly lastSequence: number;
      /** Cells of operations on shared memory that the rank has done, modulo 2^32. */
      readonly progress: number;
    }
  | ProgramMessage;

/** The first byte of a message. */
export const CONTROL_KINDS = {
  HELLO: 1,
  HEADER: 2,
  CREDIT: 3,
  BYE: 4,
  WINDOW: 5,
  WINDOW_ANSWER: 6,
  WITHDRAW: 7,
  PATH: 8,
  WIRE: 9,
  WIRES: 10,
} as const;
const CREDIT_BYTES = 14;
const BYE_BYTES = 9;
/** HELLO, PATH */
const PATH_BYTES = 2;
const WINDOW_BYTES = 14;
const WINDOW_ANSWER_BYTES = 6;
const WITHDRAW_BYTES = 5;
const PATHS = ['ws', 'p2p'] as const;
/** Bits of HELLO, from the lowest. */
const HELLO_PATHS = ['p2p', 'wire'] as const;
const TICKET_BYTES = 16;
const WIRE_BYTES = 1 + TICKET_BYTES;
const WIRES_BYTES = 2;
const VERDICTS = ['open', 'refused'] as const;
const WINDOW_USES = ['mailbox', 'buffer'] as const;
const WINDOW_RESULTS = ['mapped', 'refused'] as const;

/** Writes a message at the start of `view`, which has `CONTROL_BYTES_MAX` bytes; returns its length. */
export function writeControl(message: ControlMessage, view: DataView): number {
  view.setUint8(0, CONTROL_KINDS[message.kind]);
  switch (message.kind) {
    case 'HELLO':
      view.setUint8(1, pathBits(message.paths));
      return PATH_BYTES;
    case 'PATH':
      view.setUint8(1, PATHS.indexOf(message.path));
      return PATH_BYTES;
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
      view.setUint32(5, message.progress, true);
      return BYE_BYTES;
    case 'WINDOW':
      view.setUint8(1, WINDOW_USES.indexOf(message.use));
      view.setUint32(2, message.id, true);
      view.setFloat64(6, message.bytes, true);
      return WINDOW_BYTES;
    case 'WINDOW_ANSWER':
      view.setUint8(1, WINDOW_RESULTS.indexOf(message.result));
      view.setUint32(2, message.id, true);
      return WINDOW_ANSWER_BYTES;
    case 'WITHDRAW':
      view.setUint32(1, message.id, true);
      return WITHDRAW_BYTES;
    case 'WIRE':
      for (let index = 0; index < TICKET_BYTES; index++)
        view.setUint8(
          1 + index,
          Number.parseInt(message.ticket.slice(2 * index, 2 * index + 2), 16),
        );
      return WIRE_BYTES;
    case 'WIRES':
      view.setUint8(1, VERDICTS.indexOf(message.verdict));
      return WIRES_BYTES;
  }
}

/** The message in the first `length` bytes, or `undefined` if it is none: a peer that is broken. */
export function readControl(view: DataView, length: number): ControlMessage | undefined {
  if (length === 0) return undefined;
  switch (view.getUint8(0)) {
    case CONTROL_KINDS.HELLO:
      return readHello(view, length);
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
      return {
        kind: 'BYE',
        lastSequence: view.getUint32(1, true),
        progress: view.getUint32(5, true),
      };
    case CONTROL_KINDS.PATH:
      return readPath(view, length);
    case CONTROL_KINDS.WIRE:
    case CONTROL_KINDS.WIRES:
      return readWire(view, length);
    default:
      return readWindow(view, length);
  }
}

function pathBits(paths: readonly DataPath[]): number {
  return HELLO_PATHS.reduce((bits, path, bit) => bits + (paths.includes(path) ? 2 ** bit : 0), 0);
}

function readHello(view: DataView, length: number): ControlMessage | undefined {
  const bits = length === PATH_BYTES ? view.getUint8(1) : 0xff;
  if (bits >= 2 ** HELLO_PATHS.length) return undefined;
  return { kind: 'HELLO', paths: HELLO_PATHS.filter((_, bit) => ((bits >> bit) & 1) === 1) };
}

function readPath(view: DataView, length: number): SharedMessage | undefined {
  const path = length === PATH_BYTES ? PATHS[view.getUint8(1)] : undefined;
  return path && { kind: 'PATH', path };
}

function readWire(view: DataView, length: number): WireMessage | undefined {
  if (view.getUint8(0) === CONTROL_KINDS.WIRE) {
    if (length !== WIRE_BYTES) return undefined;
    const digits = Array.from({ length: TICKET_BYTES }, (_, index) =>
      view
        .getUint8(1 + index)
        .toString(16)
        .padStart(2, '0'),
    );
    return { kind: 'WIRE', ticket: digits.join('') };
  }
  const verdict = length === WIRES_BYTES ? VERDICTS[view.getUint8(1)] : undefined;
  return verdict && { kind: 'WIRES', verdict };
}

function readWindow(view: DataView, length: number): SharedMessage | undefined {
  switch (view.getUint8(0)) {
    case CONTROL_KINDS.WINDOW: {
      const use = length === WINDOW_BYTES ? WINDOW_USES[view.getUint8(1)] : undefined;
      if (use === undefined) return undefined;
      const bytes = view.getFloat64(6, true);
      return { kind: 'WINDOW', use, id: view.getUint32(2, true), bytes };
    }
    case CONTROL_KINDS.WINDOW_ANSWER: {
      const isWhole = length === WINDOW_ANSWER_BYTES;
      const result = isWhole ? WINDOW_RESULTS[view.getUint8(1)] : undefined;
      return result && { kind: 'WINDOW_ANSWER', id: view.getUint32(2, true), result };
    }
    case CONTROL_KINDS.WITHDRAW:
      if (length !== WITHDRAW_BYTES) return undefined;
      return { kind: 'WITHDRAW', id: view.getUint32(1, true) };
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
