/**
 * The 64 bytes of a frame header, little-endian. `docs/wire-protocol.md` shows the layout that the
 * offsets below spell out. Encoding checks the caller (assert); decoding checks the peer (a value):
 * no byte of a payload is placed before the whole header has passed.
 *
 * Both directions go through one scratch header, so that a frame costs no DataView of its own.
 */
import { assert, defined } from '../../common/assert.ts';
import {
  FRAME_HEADER_BYTES,
  FRAME_TYPES,
  FRAME_VERSION,
  type FrameHeader,
  NAK_SYNDROMES,
} from './frame.ts';
import { assertFrameHeader, faultOfHeader, isUint32 } from './frame-rules.ts';

/** The bytes `HLSM`: a stray protocol on the link port is told from a damaged header. */
export const FRAME_MAGIC = 0x4d534c48;

/** Byte offsets of the fields; `test/node/transport` compares them with `docs/wire-protocol.md`. */
export const FRAME_OFFSETS = {
  magic: 0,
  version: 4,
  type: 5,
  flags: 6,
  syndrome: 7,
  incarnation: 8,
  destQpn: 12,
  sourceQpn: 16,
  qpEpoch: 20,
  psn: 24,
  rkey: 28,
  remoteAddress: 32,
  messageLength: 40,
  messageOffset: 44,
  payloadLength: 48,
  immediate: 52,
  credits: 56,
  reserved: 60,
} as const;

const FLAG_FIRST = 0b01;
const FLAG_LAST = 0b10;
const FLAG_ACK_LATER = 0b100;
const KNOWN_FLAGS = FLAG_FIRST | FLAG_LAST | FLAG_ACK_LATER;

/** Addresses stay below 2^53, so that a number holds them exactly. */
const ADDRESS_HIGH_LIMIT = 2 ** 21;

const TYPE_BY_CODE = namesByCode(FRAME_TYPES);
const SYNDROME_BY_CODE = namesByCode(NAK_SYNDROMES);

/** A header and the incarnation of the link that sent it, or what is wrong with the bytes. */
export type DecodedFrame =
  | { readonly ok: FrameHeader; readonly incarnation: number; readonly error?: undefined }
  | { readonly error: string };

const scratch = new Uint8Array(FRAME_HEADER_BYTES);
const view = new DataView(scratch.buffer);

/**
 * Writes `header` into 64 bytes of `target`, from `offset` on. A header that `decodeFrameHeader` would refuse
 * is a programmer error.
 */
export function encodeFrameHeader(
  header: FrameHeader,
  incarnation: number,
  target: Uint8Array,
  offset = 0,
): void {
  assertFrameHeader(header);
  if (!isUint32(incarnation)) {
    assert(false, `Expected a 32-bit incarnation but found ${incarnation}`);
  }
  const room = target.byteLength - offset;
  if (room < FRAME_HEADER_BYTES) {
    assert(false, `Expected room for ${FRAME_HEADER_BYTES} bytes but found ${room}`);
  }
  view.setUint32(FRAME_OFFSETS.magic, FRAME_MAGIC, true);
  view.setUint8(FRAME_OFFSETS.version, FRAME_VERSION);
  view.setUint8(FRAME_OFFSETS.type, FRAME_TYPES[header.type]);
  view.setUint8(
    FRAME_OFFSETS.flags,
    (header.first ? FLAG_FIRST : 0) |
      (header.last ? FLAG_LAST : 0) |
      (header.ackLater ? FLAG_ACK_LATER : 0),
  );
  view.setUint8(FRAME_OFFSETS.syndrome, NAK_SYNDROMES[header.syndrome]);
  view.setUint32(FRAME_OFFSETS.incarnation, incarnation, true);
  view.setUint32(FRAME_OFFSETS.destQpn, header.destQpn, true);
  view.setUint32(FRAME_OFFSETS.sourceQpn, header.sourceQpn, true);
  view.setUint32(FRAME_OFFSETS.qpEpoch, header.qpEpoch, true);
  view.setUint32(FRAME_OFFSETS.psn, header.psn, true);
  view.setUint32(FRAME_OFFSETS.rkey, header.rkey, true);
  view.setUint32(FRAME_OFFSETS.remoteAddress, header.remoteAddress % 2 ** 32, true);
  view.setUint32(FRAME_OFFSETS.remoteAddress + 4, Math.floor(header.remoteAddress / 2 ** 32), true);
  view.setUint32(FRAME_OFFSETS.messageLength, header.messageLength, true);
  view.setUint32(FRAME_OFFSETS.messageOffset, header.messageOffset, true);
  view.setUint32(FRAME_OFFSETS.payloadLength, header.payloadLength, true);
  view.setUint32(FRAME_OFFSETS.immediate, header.immediate, true);
  view.setUint32(FRAME_OFFSETS.credits, header.credits, true);
  view.setUint32(FRAME_OFFSETS.reserved, 0, true);
  target.set(scratch, offset);
}

/**
 * Reads the header at `offset` of `bytes`, which come from a message of `messageBytes` bytes in all
 * (header and payload). Never throws: whatever is wrong is the `error`, a sentence for people.
 */
export function decodeFrameHeader(
  bytes: Uint8Array,
  messageBytes: number,
  offset = 0,
): DecodedFrame {
  if (messageBytes < FRAME_HEADER_BYTES || bytes.byteLength - offset < FRAME_HEADER_BYTES) {
    return {
      error: `Expected a frame of at least ${FRAME_HEADER_BYTES} bytes but found ${messageBytes}`,
    };
  }
  // A loop, because a view of a part costs more than 64 bytes do.
  for (let index = 0; index < FRAME_HEADER_BYTES; index++) {
    scratch[index] = bytes[offset + index] ?? 0;
  }
  const encodingFault = faultOfEncoding();
  if (encodingFault !== undefined) return { error: encodingFault };
  const header = readScratch();
  const fault = faultOfHeader(header) ?? faultOfMessageLength(header, messageBytes);
  if (fault !== undefined) return { error: fault };
  return { ok: header, incarnation: view.getUint32(FRAME_OFFSETS.incarnation, true) };
}

/** What the bytes in the scratch header say that no `FrameHeader` can say. */
function faultOfEncoding(): string | undefined {
  const magic = view.getUint32(FRAME_OFFSETS.magic, true);
  if (magic !== FRAME_MAGIC) return `Expected the magic word HLSM but found 0x${hex(magic)}`;
  const version = view.getUint8(FRAME_OFFSETS.version);
  if (version !== FRAME_VERSION) {
    return `Expected frame version ${FRAME_VERSION} but found ${version}`;
  }
  const type = view.getUint8(FRAME_OFFSETS.type);
  if (TYPE_BY_CODE[type] === undefined) return `Expected a known frame type but found ${type}`;
  const flags = view.getUint8(FRAME_OFFSETS.flags);
  if ((flags & ~KNOWN_FLAGS) !== 0) return `Expected only known flags but found 0x${hex(flags)}`;
  const syndrome = view.getUint8(FRAME_OFFSETS.syndrome);
  if (SYNDROME_BY_CODE[syndrome] === undefined) {
    return `Expected a known syndrome but found ${syndrome}`;
  }
  if (view.getUint32(FRAME_OFFSETS.remoteAddress + 4, true) >= ADDRESS_HIGH_LIMIT) {
    return 'Expected a remote address below 2^53';
  }
  const reserved = view.getUint32(FRAME_OFFSETS.reserved, true);
  if (reserved !== 0) return `Expected reserved bytes to be zero but found 0x${hex(reserved)}`;
  return undefined;
}

/** The scratch header as an object; `faultOfEncoding` has passed. */
function readScratch(): FrameHeader {
  const flags = view.getUint8(FRAME_OFFSETS.flags);
  return {
    type: defined(TYPE_BY_CODE[view.getUint8(FRAME_OFFSETS.type)], 'a known frame type'),
    first: (flags & FLAG_FIRST) !== 0,
    last: (flags & FLAG_LAST) !== 0,
    ackLater: (flags & FLAG_ACK_LATER) !== 0,
    destQpn: view.getUint32(FRAME_OFFSETS.destQpn, true),
    sourceQpn: view.getUint32(FRAME_OFFSETS.sourceQpn, true),
    qpEpoch: view.getUint32(FRAME_OFFSETS.qpEpoch, true),
    psn: view.getUint32(FRAME_OFFSETS.psn, true),
    remoteAddress:
      view.getUint32(FRAME_OFFSETS.remoteAddress + 4, true) * 2 ** 32 +
      view.getUint32(FRAME_OFFSETS.remoteAddress, true),
    rkey: view.getUint32(FRAME_OFFSETS.rkey, true),
    messageLength: view.getUint32(FRAME_OFFSETS.messageLength, true),
    messageOffset: view.getUint32(FRAME_OFFSETS.messageOffset, true),
    payloadLength: view.getUint32(FRAME_OFFSETS.payloadLength, true),
    immediate: view.getUint32(FRAME_OFFSETS.immediate, true),
    syndrome: defined(SYNDROME_BY_CODE[view.getUint8(FRAME_OFFSETS.syndrome)], 'a known syndrome'),
    credits: view.getUint32(FRAME_OFFSETS.credits, true),
  };
}

function faultOfMessageLength(header: FrameHeader, messageBytes: number): string | undefined {
  const expected = FRAME_HEADER_BYTES + header.payloadLength;
  if (messageBytes === expected) return undefined;
  return `Expected a ${header.type} of ${expected} bytes but found a message of ${messageBytes}`;
}

function hex(value: number): string {
  return value.toString(16);
}

function namesByCode<Name extends string>(
  codes: Readonly<Record<Name, number>>,
): readonly (Name | undefined)[] {
  const names: (Name | undefined)[] = [];
  for (const name of Object.keys(codes) as Name[]) names[codes[name]] = name;
  return names;
}
