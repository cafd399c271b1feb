/** Making frame headers: most fields of most frames are zero. */
import type { FrameHeader, FrameType } from '../transport/frame.ts';

const EMPTY: Omit<FrameHeader, 'type'> = {
  first: false,
  last: false,
  ackLater: false,
  destQpn: 0,
  sourceQpn: 0,
  qpEpoch: 0,
  psn: 0,
  remoteAddress: 0,
  rkey: 0,
  messageLength: 0,
  messageOffset: 0,
  payloadLength: 0,
  immediate: 0,
  syndrome: 'NONE',
  credits: 0,
};

/** A header of `type` with `fields`; the rest is zero. */
export function frameHeader(type: FrameType, fields: Partial<FrameHeader>): FrameHeader {
  return { ...EMPTY, ...fields, type };
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
