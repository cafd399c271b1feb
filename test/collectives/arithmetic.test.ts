import { describe, expect, it } from 'vitest';
import {
  averageElements,
  ELEMENT_TYPES,
  type ElementArray,
  type ElementType,
  type ElementValue,
  elementArray,
  multiplyElements,
  type ReduceOperation,
  readElement,
  reduceElements,
  writeElement,
} from '../../collectives/arithmetic.ts';
import { AssertionError } from '../../common/assert.ts';

function elements(type: ElementType, values: readonly ElementValue[]): ElementArray {
  const buffer = new ArrayBuffer(values.length * ELEMENT_TYPES[type].bytes);
  const array = elementArray(type, buffer, 0, values.length);
  for (const [index, value] of values.entries()) writeElement(type, array, index, value);
  return array;
}

/** One operation on two values. */
function apply(
  type: ElementType,
  op: ReduceOperation,
  a: ElementValue,
  b: ElementValue,
): ElementValue {
  const out = elements(
    type,
    [0 as never].map(() => (type.endsWith('int64') ? 0n : 0)),
  );
  reduceElements(type, op, elements(type, [a]), elements(type, [b]), out);
  return readElement(type, out, 0);
}

/** The bits of the first element, in hexadecimal. */
function bits({ buffer, byteOffset, BYTES_PER_ELEMENT }: ElementArray): string {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, BYTES_PER_ELEMENT)
    .reverse()
    .toString('hex');
}

describe('integers', () => {
  it.each([
    ['int8', 'sum', 127, 1, -128],
    ['int8', 'prod', -128, -1, -128],
    ['uint8', 'sum', 255, 2, 1],
    ['uint8', 'prod', 16, 17, 16],
    ['int32', 'sum', 2 ** 31 - 1, 1, -(2 ** 31)],
    ['int32', 'prod', 0x7fffffff, 0x7fffffff, 1],
    ['uint32', 'sum', 2 ** 32 - 1, 2, 1],
    ['uint32', 'prod', 0xfffffffb, 0xfffffffd, 15],
    ['int64', 'sum', 2n ** 63n - 1n, 1n, -(2n ** 63n)],
    ['int64', 'prod', 2n ** 62n + 1n, 5n, 2n ** 62n + 5n],
    ['uint64', 'sum', 2n ** 64n - 1n, 3n, 2n],
    ['uint64', 'prod', 2n ** 63n + 1n, 3n, 2n ** 63n + 3n],
    ['int8', 'min', -128, 127, -128],
    ['uint8', 'min', 128, 127, 127],
    ['int32', 'max', -1, 0, 0],
    ['uint32', 'max', 2 ** 31, 1, 2 ** 31],
    ['int64', 'min', -1n, 0n, -1n],
    ['uint64', 'max', 2n ** 63n, 1n, 2n ** 63n],
  ] as const)('%s %s wraps around and compares with its sign', (type, op, a, b, result) => {
    expect(apply(type, op, a, b)).toBe(result);
  });

  it('an average is divided toward zero', () => {
    const average = (type: ElementType, sum: ElementValue, nranks: number) => {
      const array = elements(type, [sum]);
      averageElements(type, array, nranks, array);
      return readElement(type, array, 0);
    };
    expect(average('int8', -7, 2)).toBe(-3);
    expect(average('int32', 2 ** 31 - 1, 2)).toBe(2 ** 30 - 1);
    expect(average('uint32', 2 ** 32 - 1, 2 ** 32 - 2)).toBe(1);
    expect(average('int64', -(2n ** 63n), 3)).toBe(-3074457345618258602n);
    expect(average('uint64', 2n ** 64n - 1n, 2)).toBe(2n ** 63n - 1n);
  });
});

describe('16-bit floats', () => {
  /** IEEE 754-2019, table 3.1 and section 3.4, written down as a formula over the fields. */
  function float16Value(word: number): number {
    const [sign, exponent, mantissa] = [word >> 15 ? -1 : 1, (word >> 10) & 31, word & 1023];
    if (exponent === 31) return mantissa === 0 ? sign / 0 : Number.NaN;
    if (exponent === 0) return sign * mantissa * 2 ** -24;
    return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
  }

  /** A bfloat16 is the upper half of a float32. */
  function bfloat16Value(word: number): number {
    const words = new DataView(new ArrayBuffer(4));
    words.setUint16(0, word);
    return words.getFloat32(0);
  }

  const VALUES = { float16: float16Value, bfloat16: bfloat16Value } as const;

  describe.each(['float16', 'bfloat16'] as const)('%s', (type) => {
    const value = VALUES[type];
    const all = Uint16Array.from({ length: 65536 }, (_, word) => word);
    const back = new Uint16Array(1);
    const encoded = (number: number) => {
      writeElement(type, back, 0, number);
      return back[0];
    };

    it('every value is read right, and written as the same bits', () => {
      const canonical = encoded(Number.NaN);
      expect(canonical).toBe(type === 'float16' ? 0x7e00 : 0x7fc0);
      const wrong = [...all].filter((word) => {
        const found = readElement(type, all, word) as number;
        if (!Object.is(found, value(word))) return true;
        return encoded(found) !== (Number.isNaN(found) ? canonical : word);
      });
      expect(wrong).toEqual([]);
    });

    it('what lies between two values goes to the nearer one, and the middle to the even one', () => {
      const infinity = type === 'float16' ? 0x7c00 : 0x7f80;
      const wrong: number[] = [];
      for (let word = 0; word + 1 < infinity; word++) {
        const [lower, upper] = [value(word), value(word + 1)];
        const middle = (lower + upper) / 2;
        // The next float32 on either side; subnormal bfloat16 have none so near.
        const tiny = Math.max((upper - lower) / 1024, 2 ** -149);
        const even = word % 2 === 0 ? word : word + 1;
        const isRight =
          encoded(middle - tiny) === word &&
          encoded(middle) === even &&
          encoded(middle + tiny) === word + 1 &&
          encoded(-middle) === even + 0x8000;
        if (!isRight) wrong.push(word);
      }
      expect(wrong).toEqual([]);
    });
  });

  it('overflow gives infinity from half a unit above the largest number on', () => {
    const word = new Uint16Array(1);
    const encoded = (type: ElementType, value: number) => {
      writeElement(type, word, 0, value);
      return word[0];
    };
    expect(encoded('float16', 65519.99)).toBe(0x7bff);
    expect(encoded('float16', 65520)).toBe(0x7c00);
    expect(encoded('float16', -1e30)).toBe(0xfc00);
    expect(encoded('bfloat16', 2 ** 128 - 2 ** 119)).toBe(0x7f80);
    expect(encoded('bfloat16', 2 ** 128 - 2 ** 119 - 2 ** 104)).toBe(0x7f7f);
    expect(apply('float16', 'sum', 65504, 65504)).toBe(Number.POSITIVE_INFINITY);
    expect(apply('float16', 'prod', 2 ** -24, 0.5)).toBe(0);
    expect(apply('float16', 'prod', 2 ** -24, 0.75)).toBe(2 ** -24);
  });

  it('results are rounded to float32 first: twice, where that makes a difference', () => {
    // 1 + 2^-8 is half way between two bfloat16; float32 does not see the 2^-30 above it.
    expect(apply('bfloat16', 'sum', 1, 2 ** -8)).toBe(1);
    const sum = new Uint16Array(1);
    writeElement('bfloat16', sum, 0, 1 + 2 ** -8 + 2 ** -30);
    expect(readElement('bfloat16', sum, 0)).toBe(1);
  });
});

describe('floats', () => {
  const FLOATS = ['float16', 'bfloat16', 'float32', 'float64'] as const;
  const NAN = {
    float16: '7e00',
    bfloat16: '7fc0',
    float32: '7fc00000',
    float64: '7ff8000000000000',
  } as const;

  it.each(FLOATS)('%s: minimum and maximum are those of IEEE 754-2019', (type) => {
    expect(apply(type, 'min', 0, -0)).toBe(-0);
    expect(apply(type, 'min', -0, 0)).toBe(-0);
    expect(apply(type, 'max', 0, -0)).toBe(0);
    expect(apply(type, 'max', -0, 0)).toBe(0);
    expect(apply(type, 'min', Number.NEGATIVE_INFINITY, 1)).toBe(Number.NEGATIVE_INFINITY);
    expect(apply(type, 'max', Number.NEGATIVE_INFINITY, 1)).toBe(1);
    for (const op of ['min', 'max'] as const) {
      expect(apply(type, op, Number.NaN, 1)).toBeNaN();
      expect(apply(type, op, Number.NEGATIVE_INFINITY, Number.NaN)).toBeNaN();
    }
  });

  it.each(FLOATS)('%s: every NaN result is the positive quiet one without payload', (type) => {
    const all = elements(type, [0]);
    const raw = new Uint8Array(all.buffer).fill(0xff);
    const one = elements(type, [1]);
    for (const op of ['sum', 'prod', 'min', 'max', 'avg'] as const) {
      const out = elements(type, [0]);
      reduceElements(type, op, one, all, out);
      expect(bits(out), op).toBe(NAN[type]);
      reduceElements(type, op, all, one, out);
      expect(bits(out), op).toBe(NAN[type]);
    }
    expect(raw[0]).toBe(0xff);
    const infinity = elements(type, [Number.POSITIVE_INFINITY]);
    reduceElements(type, 'sum', infinity, elements(type, [Number.NEGATIVE_INFINITY]), infinity);
    expect(bits(infinity)).toBe(NAN[type]);
    averageElements(type, all, 2, all);
    expect(bits(all)).toBe(NAN[type]);
    multiplyElements(type, one, Number.NaN, one);
    expect(bits(one)).toBe(NAN[type]);
  });

  it('an average is one product with 1 / n, in the precision that is computed in', () => {
    const average = (type: ElementType, sum: number, nranks: number) => {
      const array = elements(type, [sum]);
      averageElements(type, array, nranks, array);
      return readElement(type, array, 0);
    };
    expect(average('float64', 5, 49)).toBe(5 * (1 / 49));
    expect(average('float32', 5, 3)).toBe(Math.fround(5 * Math.fround(1 / 3)));
    expect(average('float16', 6, 4)).toBe(1.5);
    // 49 times the nearest number to 1 / 49 is not 1.
    expect(average('float64', 49, 49)).not.toBe(1);
  });

  it('a factor of preMulSum is as precise as the type is computed in', () => {
    const product = (type: ElementType, value: number, scalar: number) => {
      const array = elements(type, [value]);
      multiplyElements(type, array, scalar, array);
      return readElement(type, array, 0);
    };
    expect(product('float32', 3, 0.1)).toBe(Math.fround(3 * Math.fround(0.1)));
    expect(product('float64', 3, 0.1)).toBe(3 * 0.1);
    expect(product('float16', 3, 0.1)).toBe(0.300048828125);
    expect(product('int8', 100, 3)).toBe(44);
  });
});

describe('reduceElements()', () => {
  it('adds up for an average, and writes over either operand', () => {
    const [a, b] = [elements('int64', [1n, 2n]), elements('int64', [10n, 20n])];
    reduceElements('int64', 'avg', a, b, a);
    expect([...a]).toEqual([11n, 22n]);
    reduceElements('int64', 'prod', a, b, b);
    expect([...b]).toEqual([110n, 440n]);
  });

  it('refuses operands of different lengths', () => {
    const [a, b] = [elements('int32', [1, 2]), elements('int32', [1])];
    expect(() => reduceElements('int32', 'sum', a, b, a)).toThrow(AssertionError);
    expect(() => averageElements('int32', a, 2, b)).toThrow(AssertionError);
  });

  it('elementArray() is a view, at any multiple of the size', () => {
    const buffer = new ArrayBuffer(32);
    const view = elementArray('uint64', buffer, 8, 2);
    writeElement('uint64', view, 1, 2n ** 64n - 2n);
    expect(new Uint8Array(buffer)[16]).toBe(254);
    expect(view.byteLength).toBe(16);
  });
});
