import fc from 'fast-check';
import {
  FIXED_PAYLOAD_BYTES,
  FRAME_TYPES,
  type FrameHeader,
  type FrameType,
  LINK_MTU_BYTES,
  MAX_MESSAGE_BYTES,
  NAK_SYNDROMES,
  type NakSyndrome,
} from '../../../node/transport/frame.ts';

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });

const BARE_TYPES: ReadonlySet<FrameType> = new Set(['READ_REQUEST', 'ACK', 'NAK']);
const ALL_TYPES = Object.keys(FRAME_TYPES) as FrameType[];
const FAULT_SYNDROMES = (Object.keys(NAK_SYNDROMES) as NakSyndrome[]).filter(
  (name) => name !== 'NONE',
);

interface Position {
  readonly messageLength: number;
  readonly messageOffset: number;
  readonly payloadLength: number;
}

/** Where a payload of at most `maxBytes` lies in its message; nothing only in an empty message. */
function positions(maxBytes: number): fc.Arbitrary<Position> {
  return fc
    .tuple(fc.integer({ min: 0, max: maxBytes }), uint32, uint32)
    .map(([payloadLength, before, after]) => {
      if (payloadLength === 0) return { messageLength: 0, messageOffset: 0, payloadLength };
      const room = MAX_MESSAGE_BYTES - payloadLength;
      const messageOffset = before % (room + 1);
      const messageLength = messageOffset + payloadLength + (after % (room - messageOffset + 1));
      return { messageLength, messageOffset, payloadLength };
    });
}

/** Every header that the protocol allows, with a payload of at most `maxBytes`. */
export function frameHeaders(
  types: readonly FrameType[] = ALL_TYPES,
  maxBytes = LINK_MTU_BYTES,
): fc.Arbitrary<FrameHeader> {
  return fc
    .record({
      type: fc.constantFrom(...types),
      position: positions(maxBytes),
      flags: fc.tuple(fc.boolean(), fc.boolean()),
      ackLater: fc.boolean(),
      syndrome: fc.constantFrom(...FAULT_SYNDROMES),
      destQpn: uint32,
      sourceQpn: uint32,
      qpEpoch: uint32,
      psn: uint32,
      rkey: uint32,
      remoteAddress: fc.maxSafeNat(),
      immediate: uint32,
      credits: uint32,
    })
    .map(({ position: free, flags, syndrome, ...rest }) => {
      const fixed = FIXED_PAYLOAD_BYTES[rest.type];
      const position =
        fixed === undefined
          ? free
          : { messageLength: fixed, messageOffset: 0, payloadLength: fixed };
      const isBare = BARE_TYPES.has(rest.type);
      const end = position.messageOffset + position.payloadLength;
      return {
        ...rest,
        ...position,
        payloadLength: isBare ? 0 : position.payloadLength,
        first: isBare ? flags[0] : position.messageOffset === 0,
        last: isBare ? flags[1] : end === position.messageLength,
        syndrome: rest.type === 'NAK' ? syndrome : 'NONE',
      };
    });
}
