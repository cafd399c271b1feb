/** The HEADER that a rank sends each peer of an operation; its layout is told in `docs/wire-protocol.md`. */
import { COLLECTIVES, type CollectiveName } from '../../collectives/collective.ts';
import { assert } from '../../common/assert.ts';
import { KiB } from '../../common/bytes.ts';
import { LANES_MAX } from './lanes.ts';
import { ALGORITHM_BYTES_MAX, type OperationCall } from './operation-call.ts';

/** Bytes of a rank's memory as a peer reaches them. */
export interface RemoteRegion {
  readonly address: number;
  readonly key: bigint;
  readonly length: number;
}

/** What a rank lets a peer write. */
export interface RemoteRegions {
  readonly input: RemoteRegion | undefined;
  readonly output: RemoteRegion | undefined;
  readonly scratch: RemoteRegion | undefined;
  /** Slots of lanes that live for the operation. */
  readonly slots: RemoteRegion | undefined;
}

export interface Header {
  readonly kind: 'HEADER';
  readonly sequence: number;
  /** Without `pairs`. */
  readonly call: OperationCall;
  /** allToAllV: elements that its sender sends to its receiver, and expects from it; else 0. */
  readonly sends: number;
  readonly expects: number;
  readonly regions: RemoteRegions;
  /** Messages to places that its sender lets its receiver write, by lane between the two. */
  readonly granted: readonly number[];
  /** Slot messages that its sender has used up, by the same lanes. */
  readonly released: readonly number[];
  /** The first messages of its sender's lanes, if they are short. */
  readonly inline: InlineMessages | undefined;
}

/** Messages that travel in a header, one behind the other, lane by lane. */
export interface InlineMessages {
  /** How many of each lane, ascending; both ends know their sizes. */
  readonly counts: readonly number[];
  /** Of a header that was read: valid until the next one comes. */
  readonly bytes: Uint8Array;
}

/** Most bytes of messages in one header. */
export const INLINE_BYTES_MAX = 4 * KiB;

/** Number of `custom` on the wire, which has none among those that a user can call. */
const CUSTOM = 255;
const FIXED_BYTES = 152;
/** Of a lane: what is granted and what is released. */
const LANE_BYTES = 8;
/** How many lanes have inline messages, and their bytes in all. */
const INLINE_FIXED_BYTES = 4;
/** Longest header. */
export const HEADER_BYTES_MAX =
  FIXED_BYTES +
  ALGORITHM_BYTES_MAX +
  LANE_BYTES * LANES_MAX +
  INLINE_FIXED_BYTES +
  2 * LANES_MAX +
  INLINE_BYTES_MAX;
const DECODER = new TextDecoder();
const REGIONS = [
  ['input', 56],
  ['output', 80],
  ['scratch', 104],
  ['slots', 128],
] as const;

/** All of it but the first byte; returns the length. */
export function writeHeader(header: Header, view: DataView): number {
  const { call, granted, released, regions } = header;
  view.setUint8(1, collectiveNumber(call.collective));
  view.setUint8(2, call.dataType);
  view.setUint8(3, call.reduceOp);
  view.setUint32(4, header.sequence, true);
  view.setUint32(8, call.root, true);
  view.setFloat64(12, call.count, true);
  view.setFloat64(20, call.countsDigest, true);
  view.setFloat64(28, header.sends, true);
  view.setFloat64(36, header.expects, true);
  view.setUint16(45, call.channels, true);
  view.setUint8(47, granted.length);
  view.setUint32(48, call.chunks, true);
  view.setUint32(52, call.sliceBytes, true);
  for (const [name, at] of REGIONS) writeRegion(view, at, regions[name]);
  const nameBytes = writeName(call.algorithm, view);
  view.setUint8(44, nameBytes);
  const end = FIXED_BYTES + nameBytes;
  for (let lane = 0; lane < granted.length; lane++) {
    view.setUint32(end + LANE_BYTES * lane, granted[lane] as number, true);
    view.setUint32(end + LANE_BYTES * lane + 4, released[lane] as number, true);
  }
  return writeInline(view, end + LANE_BYTES * granted.length, header.inline);
}

/** Returns the end. */
function writeInline(view: DataView, at: number, inline: InlineMessages | undefined): number {
  const { counts, bytes } = inline ?? NO_INLINE;
  view.setUint16(at, counts.length, true);
  view.setUint16(at + 2, bytes.byteLength, true);
  let end = at + INLINE_FIXED_BYTES;
  for (const count of counts) {
    view.setUint16(end, count, true);
    end += 2;
  }
  new Uint8Array(view.buffer, view.byteOffset + end, bytes.byteLength).set(bytes);
  return end + bytes.byteLength;
}

const NO_INLINE: InlineMessages = { counts: [], bytes: new Uint8Array() };

/** `undefined`: not a header. */
export function readHeader(view: DataView, length: number): Header | undefined {
  if (length < FIXED_BYTES) return undefined;
  const collective = collectiveOf(view.getUint8(1));
  const nameBytes = view.getUint8(44);
  const lanes = view.getUint8(47);
  const end = FIXED_BYTES + nameBytes;
  const isPossible = nameBytes <= ALGORITHM_BYTES_MAX && lanes <= LANES_MAX;
  if (collective === undefined || !isPossible) return undefined;
  const inline = readInline(view, end + LANE_BYTES * lanes, length);
  if (inline === 'malformed') return undefined;
  const granted: number[] = [];
  const released: number[] = [];
  for (let at = end; at < end + LANE_BYTES * lanes; at += LANE_BYTES) {
    granted.push(view.getUint32(at, true));
    released.push(view.getUint32(at + 4, true));
  }
  return {
    kind: 'HEADER',
    sequence: view.getUint32(4, true),
    call: {
      collective,
      dataType: view.getUint8(2),
      reduceOp: view.getUint8(3),
      root: view.getUint32(8, true),
      count: view.getFloat64(12, true),
      countsDigest: view.getFloat64(20, true),
      channels: view.getUint16(45, true),
      chunks: view.getUint32(48, true),
      sliceBytes: view.getUint32(52, true),
      algorithm: readName(view, nameBytes),
    },
    sends: view.getFloat64(28, true),
    expects: view.getFloat64(36, true),
    regions: {
      input: readRegion(view, 56),
      output: readRegion(view, 80),
      scratch: readRegion(view, 104),
      slots: readRegion(view, 128),
    },
    granted,
    released,
    inline,
  };
}

/** From `at` to the end of the header, which must be `length`. */
function readInline(
  view: DataView,
  at: number,
  length: number,
): InlineMessages | undefined | 'malformed' {
  if (length < at + INLINE_FIXED_BYTES) return 'malformed';
  const lanes = view.getUint16(at, true);
  const bytes = view.getUint16(at + 2, true);
  const start = at + INLINE_FIXED_BYTES + 2 * lanes;
  const isPossible = lanes <= LANES_MAX && bytes <= INLINE_BYTES_MAX && lanes > 0 === bytes > 0;
  if (!isPossible || length !== start + bytes) return 'malformed';
  if (lanes === 0) return undefined;
  const counts: number[] = [];
  for (let lane = 0; lane < lanes; lane++)
    counts.push(view.getUint16(start + 2 * (lane - lanes), true));
  return { counts, bytes: new Uint8Array(view.buffer, view.byteOffset + start, bytes) };
}

function collectiveNumber(collective: CollectiveName): number {
  return collective === 'custom' ? CUSTOM : COLLECTIVES.indexOf(collective);
}

function collectiveOf(number: number): CollectiveName | undefined {
  return number === CUSTOM ? 'custom' : COLLECTIVES[number];
}

/** A region without bytes is none. */
function writeRegion(view: DataView, at: number, region: RemoteRegion | undefined): void {
  view.setFloat64(at, region?.address ?? 0, true);
  view.setBigUint64(at + 8, region?.key ?? 0n, true);
  view.setFloat64(at + 16, region?.length ?? 0, true);
}

function readRegion(view: DataView, at: number): RemoteRegion | undefined {
  const length = view.getFloat64(at + 16, true);
  if (!(length > 0)) return undefined;
  return { address: view.getFloat64(at, true), key: view.getBigUint64(at + 8, true), length };
}

/** Names are as good as always ASCII, and short: that is done by hand. Returns the bytes. */
function writeName(name: string, view: DataView): number {
  let isAscii = name.length <= ALGORITHM_BYTES_MAX;
  for (let index = 0; index < name.length && isAscii; index++) {
    const code = name.charCodeAt(index);
    isAscii = code < 0x80;
    view.setUint8(FIXED_BYTES + index, code);
  }
  if (isAscii) return name.length;
  const bytes = new TextEncoder().encode(name);
  assert(
    bytes.length <= ALGORITHM_BYTES_MAX,
    `Expected the text of an algorithm to have at most ${ALGORITHM_BYTES_MAX} bytes but found ${bytes.length}`,
  );
  new Uint8Array(view.buffer, view.byteOffset + FIXED_BYTES, bytes.length).set(bytes);
  return bytes.length;
}

function readName(view: DataView, bytes: number): string {
  return DECODER.decode(new Uint8Array(view.buffer, view.byteOffset + FIXED_BYTES, bytes));
}
