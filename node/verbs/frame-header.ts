/** Making frame headers: most fields of most frames are zero. */
import type { FrameHeader, FrameType } from '../transport/frame.ts';

/** The queue pairs at both ends of a frame, and their epoch. */
export type FrameEnds = Pick<FrameHeader, 'destQpn' | 'sourceQpn' | 'qpEpoch'>;

/**
 * A header of `type` with `fields`, between `ends`; the rest is zero. Every field is written out: all
 * headers have one shape, which is what engines are fast with.
 */
export function frameHeader(
  type: FrameType,
  fields: Partial<FrameHeader>,
  ends: Partial<FrameEnds> = fields,
): FrameHeader {
  return {
    type,
    first: fields.first ?? false,
    last: fields.last ?? false,
    ackLater: fields.ackLater ?? false,
    destQpn: ends.destQpn ?? 0,
    sourceQpn: ends.sourceQpn ?? 0,
    qpEpoch: ends.qpEpoch ?? 0,
    psn: fields.psn ?? 0,
    remoteAddress: fields.remoteAddress ?? 0,
    rkey: fields.rkey ?? 0,
    messageLength: fields.messageLength ?? 0,
    messageOffset: fields.messageOffset ?? 0,
    payloadLength: fields.payloadLength ?? 0,
    immediate: fields.immediate ?? 0,
    syndrome: fields.syndrome ?? 'NONE',
    credits: fields.credits ?? 0,
  };
}

/** Which part of a message a frame carries. */
export interface FrameSlice {
  readonly first: boolean;
  readonly last: boolean;
  readonly messageOffset: number;
  readonly payloadLength: number;
}

/** Frame number `index` of a message of `length` bytes cut at `mtu`. */
export function frameSlice(length: number, mtu: number, index: number): FrameSlice {
  const messageOffset = index * mtu;
  const payloadLength = Math.min(mtu, length - messageOffset);
  return {
    first: index === 0,
    last: messageOffset + payloadLength === length,
    messageOffset,
    payloadLength,
  };
}

/** Frames of a message: an empty one has one too. */
export function frameCount(length: number, mtu: number): number {
  return Math.max(1, Math.ceil(length / mtu));
}
