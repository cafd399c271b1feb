/**
 * HCCL's own messages between ranks, sent as tagged messages of the communicator's endpoint: fixed
 * little-endian layouts. `docs/wire-protocol.md` has the layers below.
 *
 * HELLO          a rank is connected and ready
 * HEADER         a rank has started an operation: what it is, where its buffers are, what it grants
 * CREDIT         a rank grants more: places of the operation, and receive slots
 * BYE            a rank leaves the communicator after its last operation
 */

import { COLLECTIVES, type CollectiveName } from '../../collectives/collective.ts';
import { assert, defined } from '../../common/assert.ts';
import { FI_ADDR_UNSPEC } from '../fabric/fabric.ts';

/** Tag of every message here. */
export const CONTROL_TAG = 1n;
export const CONTROL_SOURCE_ANY = FI_ADDR_UNSPEC;
/** Longest control message. */
export const CONTROL_BYTES_MAX = 512;

/** What a rank calls: equal on all ranks of one operation. */
export interface OperationCall {
  readonly collective: CollectiveName;
  /** Elements, as the caller gave them. */
  readonly count: number;
  readonly dataType: number;
  readonly reduceOp: number;
  readonly root: number;
  readonly algorithm: string;
}

/** A buffer as a peer reaches it. */
export interface RemoteBuffer {
  readonly address: number;
  readonly key: bigint;
  readonly length: number;
}

export type ControlMessage =
  | { readonly kind: 'HELLO' }
  | {
      readonly kind: 'HEADER';
      readonly sequence: number;
      readonly call: OperationCall;
      readonly output: RemoteBuffer;
      /** Messages to places that the sender of this header lets the receiver write, per channel. */
      readonly granted: readonly number[];
    }
  | {
      readonly kind: 'CREDIT';
      readonly sequence: number;
      readonly channel: number;
      /** As in HEADER, for operation `sequence`. */
      readonly granted: number;
      /** Slot messages of this connection that have been used up, since the communicator began. */
      readonly slotsReleased: number;
    }
  | { readonly kind: 'BYE'; readonly lastSequence: number };

const KINDS = { HELLO: 1, HEADER: 2, CREDIT: 3, BYE: 4 } as const;
const HEADER_FIXED_BYTES = 46;

export function encodeControl(message: ControlMessage): Uint8Array {
  switch (message.kind) {
    case 'HELLO':
      return Uint8Array.of(KINDS.HELLO);
    case 'HEADER':
      return encodeHeader(message);
    case 'CREDIT': {
      const view = new DataView(new ArrayBuffer(14));
      view.setUint8(0, KINDS.CREDIT);
      view.setUint8(1, message.channel);
      view.setUint32(2, message.sequence, true);
      view.setUint32(6, message.granted, true);
      view.setUint32(10, message.slotsReleased, true);
      return new Uint8Array(view.buffer);
    }
    case 'BYE': {
      const view = new DataView(new ArrayBuffer(5));
      view.setUint8(0, KINDS.BYE);
      view.setUint32(1, message.lastSequence, true);
      return new Uint8Array(view.buffer);
    }
  }
}

/** The message, or `undefined` if the bytes are not one: a peer that is broken. */
export function decodeControl(bytes: Uint8Array): ControlMessage | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (bytes[0]) {
    case KINDS.HELLO:
      return bytes.byteLength === 1 ? { kind: 'HELLO' } : undefined;
    case KINDS.HEADER:
      return decodeHeader(bytes, view);
    case KINDS.CREDIT:
      if (bytes.byteLength !== 14) return undefined;
      return {
        kind: 'CREDIT',
        channel: view.getUint8(1),
        sequence: view.getUint32(2, true),
        granted: view.getUint32(6, true),
        slotsReleased: view.getUint32(10, true),
      };
    case KINDS.BYE:
      if (bytes.byteLength !== 5) return undefined;
      return { kind: 'BYE', lastSequence: view.getUint32(1, true) };
    default:
      return undefined;
  }
}

function encodeHeader(message: ControlMessage & { kind: 'HEADER' }): Uint8Array {
  const name = new TextEncoder().encode(message.call.algorithm);
  const total = HEADER_FIXED_BYTES + name.byteLength + 4 * message.granted.length;
  assert(total <= CONTROL_BYTES_MAX, `Expected a header of at most ${CONTROL_BYTES_MAX} bytes`);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, KINDS.HEADER);
  view.setUint8(1, COLLECTIVES.indexOf(message.call.collective));
  view.setUint8(2, message.call.dataType);
  view.setUint8(3, message.call.reduceOp);
  view.setUint32(4, message.sequence, true);
  view.setUint32(8, message.call.root, true);
  view.setFloat64(12, message.call.count, true);
  view.setFloat64(20, message.output.address, true);
  view.setBigUint64(28, message.output.key, true);
  view.setFloat64(36, message.output.length, true);
  view.setUint8(44, name.byteLength);
  view.setUint8(45, message.granted.length);
  bytes.set(name, HEADER_FIXED_BYTES);
  message.granted.forEach((granted, channel) => {
    view.setUint32(HEADER_FIXED_BYTES + name.byteLength + 4 * channel, granted, true);
  });
  return bytes;
}

function decodeHeader(bytes: Uint8Array, view: DataView): ControlMessage | undefined {
  if (bytes.byteLength < HEADER_FIXED_BYTES) return undefined;
  const nameBytes = view.getUint8(44);
  const channels = view.getUint8(45);
  const collective = COLLECTIVES[view.getUint8(1)];
  const expected = HEADER_FIXED_BYTES + nameBytes + 4 * channels;
  if (collective === undefined || bytes.byteLength !== expected) return undefined;
  const name = bytes.slice(HEADER_FIXED_BYTES, HEADER_FIXED_BYTES + nameBytes);
  const granted = Array.from({ length: channels }, (_, channel) =>
    view.getUint32(HEADER_FIXED_BYTES + nameBytes + 4 * channel, true),
  );
  return {
    kind: 'HEADER',
    sequence: view.getUint32(4, true),
    call: {
      collective,
      dataType: view.getUint8(2),
      reduceOp: view.getUint8(3),
      root: view.getUint32(8, true),
      count: view.getFloat64(12, true),
      algorithm: new TextDecoder().decode(name),
    },
    output: {
      address: view.getFloat64(20, true),
      key: view.getBigUint64(28, true),
      length: view.getFloat64(36, true),
    },
    granted,
  };
}

/** Immediate data of a data message: which lane, and which operation (low bits) it belongs to. */
export function dataImmediate(channel: number, sequence: number): number {
  return ((channel << 24) | (sequence & 0xffffff)) >>> 0;
}

/** What `dataImmediate` packed. */
export function readImmediate(data: number): {
  readonly channel: number;
  readonly sequence: number;
} {
  return { channel: data >>> 24, sequence: data & 0xffffff };
}

/** True if both ranks mean the same operation. */
export function sameCall(a: OperationCall, b: OperationCall): boolean {
  return (
    a.collective === b.collective &&
    a.count === b.count &&
    a.dataType === b.dataType &&
    a.reduceOp === b.reduceOp &&
    a.root === b.root &&
    a.algorithm === b.algorithm
  );
}

const API_NAMES: Readonly<Record<CollectiveName, string>> = {
  allReduce: 'hcclAllReduce',
  allGather: 'hcclAllGather',
  broadcast: 'hcclBroadcast',
};

/** `hcclAllReduce`. */
export function apiName(collective: CollectiveName): string {
  return defined(API_NAMES[collective], 'the API name');
}
