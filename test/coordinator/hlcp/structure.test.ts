import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { structureFault } from '../../../coordinator/hlcp/structure.ts';

const packr = new Packr({ useRecords: false, variableMapSize: true });

/** Values without extension types: what JSON has, and bytes. */
const value = fc.letrec((tie) => ({
  leaf: fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double(),
    fc.maxSafeInteger(),
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  ),
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true, maxDepth: 5 },
    tie('leaf'),
    fc.array(tie('node'), { maxLength: 20 }),
    fc.dictionary(fc.string({ minLength: 1, maxLength: 40 }), tie('node'), { maxKeys: 20 }),
  ),
})).node;

describe('structureFault()', () => {
  it('finds nothing wrong with anything that an encoder writes', () => {
    fc.assert(
      fc.property(value, (sample) => {
        expect(structureFault(packr.pack(sample))).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });

  it('finds every value that is cut off or has something behind it', () => {
    fc.assert(
      fc.property(value, fc.nat(), (sample, nat) => {
        const whole = packr.pack(sample);
        expect(structureFault(whole.subarray(0, nat % whole.length))).toContain('truncated');
        expect(structureFault(Buffer.concat([whole, Buffer.of(0)]))).toContain('after the end');
      }),
    );
  });

  it.each([0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8])('refuses type %i', (byte) => {
    expect(structureFault(Uint8Array.of(byte, 0, 0, 0, 0, 0, 0, 0, 0))).toContain('does not use');
  });
});
