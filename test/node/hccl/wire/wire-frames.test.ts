/** What travels on a wire, written and read. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CALL_BYTES,
  CALL_OPCODE,
  checkDataHead,
  DATA_HEAD_BYTES_MAX,
  type DataFrame,
  dataHeadBytes,
  readCall,
  writeCall,
  writeDataHead,
} from '../../../../node/hccl/wire/wire-frames.ts';

const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
/** Payloads, those around the limits of the forms of a length among them. */
const payload = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 31 }),
  fc.constantFrom(0, 1, 109, 110, 111, 65_519, 65_520, 65_521, 2 ** 32 - 17),
);
const frame: fc.Arbitrary<DataFrame> = fc.record({
  sequence: uint32,
  digest: uint32,
  index: uint32,
  bytes: payload,
});
/** What calls are told in. */
const callText = fc
  .string({ unit: 'grapheme-ascii', maxLength: CALL_BYTES - 4 })
  .map((text) => text.trimEnd());

/** A head somewhere in a buffer, of which nothing behind it can be read. */
function headOf(one: DataFrame): { readonly view: DataView; readonly offset: number } {
  const offset = 3;
  const buffer = new Uint8Array(offset + dataHeadBytes(one.bytes)).fill(0xee);
  const view = new DataView(buffer.buffer);
  expect(offset + writeDataHead(view, offset, one)).toBe(buffer.length);
  return { view, offset };
}

describe('the head of a DATA', () => {
  it('is what its receiver expects, over whatever was there', () => {
    fc.assert(
      fc.property(frame, (one) => {
        const { view, offset } = headOf(one);
        expect(checkDataHead(view, offset, one)).toBe('expected');
      }),
    );
  });

  it('is a final binary frame of a server, whose length has its shortest form', () => {
    fc.assert(
      fc.property(frame, (one) => {
        const { view, offset } = headOf(one);
        expect(view.getUint8(offset)).toBe(0x82);
        const length = 16 + one.bytes;
        const form = length < 126 ? length : length < 65_536 ? 126 : 127;
        expect(view.getUint8(offset + 1)).toBe(form);
        if (form === 126) expect(view.getUint16(offset + 2)).toBe(length);
        if (form === 127) expect(view.getBigUint64(offset + 2)).toBe(BigInt(length));
        expect(dataHeadBytes(one.bytes)).toBeLessThanOrEqual(DATA_HEAD_BYTES_MAX);
      }),
    );
  });

  it('is not taken for what is expected if any byte of it is another', () => {
    fc.assert(
      fc.property(frame, fc.integer({ min: 1, max: 255 }), (one, change) => {
        const length = dataHeadBytes(one.bytes);
        const numbers = length - 16;
        for (let index = 0; index < length; index++) {
          const { view, offset } = headOf(one);
          view.setUint8(offset + index, view.getUint8(offset + index) ^ change);
          const found = checkDataHead(view, offset, one);
          // Operation and digest say that it is of another call.
          const isOfOther = index >= numbers && index < numbers + 8;
          if (isOfOther) expect(found, `byte ${index}`).toBe('other');
          else expect(['wrong', 'other'], `byte ${index}`).toContain(found);
          if (index === 0 || index >= numbers + 8) expect(found, `byte ${index}`).toBe('wrong');
        }
      }),
    );
  });

  it('is another if it is that of another frame', () => {
    fc.assert(
      fc.property(frame, frame, (one, other) => {
        const isSame = Object.entries(one).every(
          ([name, value]) => other[name as keyof DataFrame] === value,
        );
        fc.pre(!isSame);
        // As a receiver has it: as many bytes as the head that it expects is long.
        const bytes = new Uint8Array(DATA_HEAD_BYTES_MAX);
        writeDataHead(new DataView(bytes.buffer), 0, other);
        const held = new DataView(bytes.slice(0, dataHeadBytes(one.bytes)).buffer);
        const found = checkDataHead(held, 0, one);
        expect(found).not.toBe('expected');
        const isOfSameCall = one.sequence === other.sequence && one.digest === other.digest;
        if (isOfSameCall) expect(found).toBe('wrong');
      }),
    );
  });

  it('never makes its receiver read beyond what has come', () => {
    fc.assert(
      fc.property(frame, fc.uint8Array({ minLength: 26, maxLength: 26 }), (one, bytes) => {
        const held = bytes.slice(0, dataHeadBytes(one.bytes));
        expect(checkDataHead(new DataView(held.buffer), 0, one)).not.toBe('expected');
      }),
    );
  });
});

describe('a CALL', () => {
  it('is read as it was written, over whatever was there', () => {
    fc.assert(
      fc.property(callText, (text) => {
        const bytes = new Uint8Array(CALL_BYTES + 7).fill(0xee);
        writeCall(bytes, 3, text);
        expect(readCall(bytes, 3)).toBe(text);
        expect([bytes[2], bytes[3 + CALL_BYTES]]).toEqual([0xee, 0xee]);
      }),
    );
  });

  it('is always as long, and cut off where it would be longer', () => {
    const bytes = new Uint8Array(CALL_BYTES + 1).fill(0xee);
    writeCall(bytes, 0, 'x'.repeat(1000));
    expect(readCall(bytes, 0)).toBe('x'.repeat(CALL_BYTES - 4));
    expect(bytes[CALL_BYTES]).toBe(0xee);
  });

  it('is a final text frame of a server', () => {
    const bytes = new Uint8Array(CALL_BYTES);
    writeCall(bytes, 0, 'hcclAllReduce');
    expect([...bytes.subarray(0, 4)]).toEqual([CALL_OPCODE, 126, 1, 252]);
  });

  it('is none if any byte of its head is another', () => {
    for (let index = 0; index < 4; index++) {
      for (let change = 1; change < 256; change++) {
        const bytes = new Uint8Array(CALL_BYTES);
        writeCall(bytes, 0, 'hcclAllReduce');
        bytes[index] = (bytes[index] ?? 0) ^ change;
        expect(readCall(bytes, 0)).toBeUndefined();
      }
    }
  });
});
