import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  FRAME_HEADER_BYTES,
  FRAME_TYPES,
  FRAME_VERSION,
  type FrameHeader,
  LINK_MTU_BYTES,
  MAX_MESSAGE_BYTES,
  NAK_SYNDROMES,
} from '../../../node/transport/frame.ts';
import {
  decodeFrameHeader,
  encodeFrameHeader,
  FRAME_MAGIC,
  FRAME_OFFSETS,
} from '../../../node/transport/frame-codec.ts';
import { frame } from '../../conformance/recording-sink.ts';
import { frameHeaders } from './frame-arbitrary.ts';

function encoded(header: FrameHeader, incarnation = 1): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES);
  encodeFrameHeader(header, incarnation, bytes);
  return bytes;
}

function decoded(header: FrameHeader, change: (view: DataView) => void, extraBytes = 0) {
  const bytes = encoded(header);
  change(new DataView(bytes.buffer));
  return decodeFrameHeader(bytes, FRAME_HEADER_BYTES + header.payloadLength + extraBytes);
}

describe('frame codec', () => {
  it('decodes what it encoded, for every header that the protocol allows', () => {
    fc.assert(
      fc.property(
        frameHeaders(),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        (header, incarnation) => {
          const bytes = encoded(header, incarnation);
          expect(decodeFrameHeader(bytes, bytes.byteLength + header.payloadLength)).toEqual({
            ok: header,
            incarnation,
          });
        },
      ),
      { numRuns: 500 },
    );
  });

  it('never throws, and accepts bytes only if they encode to themselves again', () => {
    const anyBytes = fc.uint8Array({ minLength: 0, maxLength: 200 });
    fc.assert(
      fc.property(anyBytes, fc.nat(400_000), (bytes, messageBytes) => {
        const frame = decodeFrameHeader(bytes, messageBytes);
        expect(frame.error).toEqual(expect.any(String));
      }),
    );
    const flips = fc.array(fc.tuple(fc.nat(FRAME_HEADER_BYTES - 1), fc.nat(255)), { maxLength: 4 });
    fc.assert(
      fc.property(frameHeaders(), flips, (header, changes) => {
        const bytes = encoded(header);
        for (const [offset, value] of changes) bytes[offset] = value;
        const frame = decodeFrameHeader(bytes, FRAME_HEADER_BYTES + header.payloadLength);
        if (frame.error !== undefined) return;
        expect(encoded(frame.ok, frame.incarnation)).toEqual(bytes);
      }),
      { numRuns: 1000 },
    );
  });

  it('lays the fields out as FRAME_OFFSETS says, little-endian', () => {
    const header = frame({
      type: 'WRITE_IMM',
      ackLater: true,
      destQpn: 0x01020304,
      sourceQpn: 0x11121314,
      qpEpoch: 0x21222324,
      psn: 0x31323334,
      rkey: 0x41424344,
      remoteAddress: 0x15_6789_abcd_ef01,
      messageLength: 0x1000,
      messageOffset: 0x100,
      payloadLength: 0x80,
      immediate: 0x51525354,
      credits: 0x61626364,
    });
    const bytes = encoded(header, 0x71727374);
    const view = new DataView(bytes.buffer);
    expect(new TextDecoder().decode(bytes.subarray(0, 4))).toBe('HLSM');
    expect(view.getUint32(FRAME_OFFSETS.magic, true)).toBe(FRAME_MAGIC);
    expect(bytes.slice(4, 8)).toEqual(new Uint8Array([FRAME_VERSION, FRAME_TYPES.WRITE_IMM, 4, 0]));
    expect(view.getUint32(FRAME_OFFSETS.incarnation, true)).toBe(0x71727374);
    expect(view.getUint32(FRAME_OFFSETS.destQpn, true)).toBe(0x01020304);
    expect(view.getUint32(FRAME_OFFSETS.sourceQpn, true)).toBe(0x11121314);
    expect(view.getUint32(FRAME_OFFSETS.qpEpoch, true)).toBe(0x21222324);
    expect(view.getUint32(FRAME_OFFSETS.psn, true)).toBe(0x31323334);
    expect(view.getUint32(FRAME_OFFSETS.rkey, true)).toBe(0x41424344);
    expect(view.getBigUint64(FRAME_OFFSETS.remoteAddress, true)).toBe(0x15_6789_abcd_ef01n);
    expect(view.getUint32(FRAME_OFFSETS.messageLength, true)).toBe(0x1000);
    expect(view.getUint32(FRAME_OFFSETS.messageOffset, true)).toBe(0x100);
    expect(view.getUint32(FRAME_OFFSETS.payloadLength, true)).toBe(0x80);
    expect(view.getUint32(FRAME_OFFSETS.immediate, true)).toBe(0x51525354);
    expect(view.getUint32(FRAME_OFFSETS.credits, true)).toBe(0x61626364);
    expect(view.getUint32(FRAME_OFFSETS.reserved, true)).toBe(0);
  });

  it('writes into the front of a longer target and leaves the rest', () => {
    const target = new Uint8Array(FRAME_HEADER_BYTES + 4).fill(0xaa);
    encodeFrameHeader(frame(), 1, target);
    expect(target.subarray(FRAME_HEADER_BYTES)).toEqual(new Uint8Array(4).fill(0xaa));
  });

  describe('refuses', () => {
    const write = frame({ payloadLength: 100 });
    const cases: readonly (readonly [string, FrameHeader, (view: DataView) => void, string])[] = [
      ['another magic word', write, (view) => view.setUint8(0, 0x47), 'magic word'],
      ['another version', write, (view) => view.setUint8(4, FRAME_VERSION + 1), 'frame version'],
      ['type 0', write, (view) => view.setUint8(5, 0), 'known frame type'],
      ['type 13', write, (view) => view.setUint8(5, 13), 'known frame type'],
      ['an unknown flag', write, (view) => view.setUint8(6, 0x83), 'known flags'],
      ['an unknown syndrome', write, (view) => view.setUint8(7, 6), 'known syndrome'],
      [
        'a syndrome on a WRITE',
        write,
        (view) => view.setUint8(7, NAK_SYNDROMES.RNR),
        'a syndrome on',
      ],
      [
        'a NAK without a syndrome',
        frame({ type: 'NAK', syndrome: 'RNR' }),
        (view) => view.setUint8(7, NAK_SYNDROMES.NONE),
        'a syndrome on',
      ],
      [
        'an address of 2^53',
        write,
        (view) => view.setUint32(FRAME_OFFSETS.remoteAddress + 4, 2 ** 21, true),
        'below 2^53',
      ],
      [
        'a message above 2^31 bytes',
        write,
        (view) => view.setUint32(FRAME_OFFSETS.messageLength, MAX_MESSAGE_BYTES + 1, true),
        'message of at most',
      ],
      [
        'a payload beyond the end of its message',
        write,
        (view) => view.setUint32(FRAME_OFFSETS.messageOffset, 1, true),
        'within a message',
      ],
      [
        'an offset that would wrap around',
        write,
        (view) => view.setUint32(FRAME_OFFSETS.messageOffset, 0xffff_ffff, true),
        'within a message',
      ],
      [
        'a payload above the MTU',
        write,
        (view) => view.setUint32(FRAME_OFFSETS.payloadLength, LINK_MTU_BYTES + 1, true),
        'payload of at most',
      ],
      [
        'a first flag in the middle',
        frame({ messageOffset: 50, payloadLength: 50 }),
        (view) => view.setUint8(6, 0b11),
        'first flag',
      ],
      [
        'a last flag before the end',
        frame({ payloadLength: 50, messageLength: 100 }),
        (view) => view.setUint8(6, 0b11),
        'last flag',
      ],
      ['a last frame without the flag', write, (view) => view.setUint8(6, 0b01), 'last flag'],
      [
        'an empty part of a message',
        frame(),
        (view) => view.setUint32(FRAME_OFFSETS.messageLength, 5, true),
        'but found none',
      ],
      ['reserved bytes', write, (view) => view.setUint8(63, 1), 'reserved'],
    ];
    it.each(cases)('%s', (_name, header, change, reason) => {
      expect(decoded(header, () => undefined).error).toBeUndefined();
      expect(decoded(header, change).error).toContain(reason);
    });

    it.each(['READ_REQUEST', 'ACK', 'NAK'] as const)('a payload on a %s', (type) => {
      const header = frame({ type, messageLength: 8, syndrome: type === 'NAK' ? 'RNR' : 'NONE' });
      const lengthen = (view: DataView) => view.setUint32(FRAME_OFFSETS.payloadLength, 8, true);
      expect(decoded(header, lengthen, 8).error).toContain(`no payload on a ${type}`);
    });

    it('a message that is longer or shorter than the header says', () => {
      expect(decoded(write, () => undefined, 1).error).toContain('but found a message of 165');
      expect(decoded(write, () => undefined, -1).error).toContain('but found a message of 163');
      expect(decodeFrameHeader(encoded(frame()).subarray(0, 63), 63).error).toContain(
        'at least 64',
      );
      expect(decodeFrameHeader(new Uint8Array(), 0).error).toContain('at least 64');
    });
  });

  it.each([
    ['destQpn', -1],
    ['psn', 2 ** 32],
    ['immediate', 1.5],
    ['remoteAddress', 2 ** 53],
    ['remoteAddress', -1],
    ['credits', Number.NaN],
  ] as const)('asserts that %s is not %d when it encodes', (field, value) => {
    expect(() => encoded(frame({ [field]: value }))).toThrow('Expected');
  });
});
