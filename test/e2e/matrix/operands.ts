/**
 * Inputs of the matrix, to the bit: random integers of the whole range; random floats of both signs whose
 * sums and products are rounded, and among them infinities, NaN, signed zeros, the smallest and the
 * largest. What is only copied has any bits at all.
 */
import { ELEMENT_TYPES, type ElementType } from '../../../collectives/arithmetic.ts';
import { defined } from '../../../common/assert.ts';
import { Prng } from '../../../common/prng.ts';

/** The bits of a float, from its last word: sign, exponent, then the upper part of the fraction. */
interface FloatBits {
  readonly exponentAt: number;
  readonly bias: number;
  readonly sign: number;
  readonly fraction: number;
}

const FLOATS: Partial<Record<ElementType, FloatBits>> = {
  float16: { exponentAt: 10, bias: 15, sign: 0x8000, fraction: 0x03ff },
  bfloat16: { exponentAt: 7, bias: 127, sign: 0x8000, fraction: 0x007f },
  float32: { exponentAt: 23, bias: 127, sign: 0x8000_0000, fraction: 0x007f_ffff },
  float64: { exponentAt: 20, bias: 1023, sign: 0x8000_0000, fraction: 0x000f_ffff },
};

/** One element in so many is a special one. */
const SPECIAL_AMONG = { min: 16, max: 16, sum: 512, avg: 512, prod: 512 } as const;

export type Operation = keyof typeof SPECIAL_AMONG | 'none';

/** `length` elements. */
export function operands(
  type: ElementType,
  operation: Operation,
  seed: number,
  length: number,
): Uint8Array {
  const { bytes } = ELEMENT_TYPES[type];
  const random = randomBytes(seed, length * bytes);
  if (operation === 'none') return random;
  const float = FLOATS[type];
  if (float !== undefined) shapeFloats(random, bytes, float, operation);
  // Too many factors of two would leave nothing but zeros.
  else if (operation === 'prod') {
    for (let at = 0; at < random.length; at += bytes) random[at] = (random[at] ?? 0) | 1;
  }
  return random;
}

function randomBytes(seed: number, length: number): Uint8Array {
  const prng = new Prng(seed);
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let index = 0; index < words.length; index++) words[index] = prng.uint32();
  return new Uint8Array(words.buffer, 0, length);
}

/** Products have magnitudes from 1/2 to 2, others from 1/16 to 16. */
function shapeFloats(
  data: Uint8Array,
  bytes: number,
  { exponentAt, bias, sign, fraction }: FloatBits,
  operation: Exclude<Operation, 'none'>,
): void {
  const words =
    bytes === 2
      ? new Uint16Array(data.buffer, 0, data.length / 2)
      : new Uint32Array(data.buffer, 0, data.length / 4);
  const stride = bytes === 8 ? 2 : 1;
  const [least, spread] = operation === 'prod' ? [bias - 1, 1] : [bias - 4, 7];
  const chosen = new Prng(data.length);
  const among = SPECIAL_AMONG[operation];
  const specials = specialsOf({ exponentAt, bias, sign, fraction });
  for (let index = stride - 1; index < words.length; index += stride) {
    const word = words[index] ?? 0;
    const exponent = least + ((word >>> exponentAt) & spread);
    words[index] = (word & (sign | fraction)) | (exponent << exponentAt);
    if (chosen.below(among) > 0) continue;
    const special = defined(specials[chosen.below(specials.length)], 'a special value');
    words[index] = special.upper;
    if (stride === 2) words[index - 1] = special.lower;
  }
}

interface Special {
  readonly upper: number;
  /** Of float64. */
  readonly lower: number;
}

function specialsOf({ exponentAt, bias, sign, fraction }: FloatBits): readonly Special[] {
  const infinity = (2 * bias + 1) << exponentAt;
  const largest = ((2 * bias) << exponentAt) | fraction;
  const quiet = infinity | ((fraction + 1) >>> 1);
  const positive: Special[] = [
    { upper: 0, lower: 0 },
    { upper: infinity, lower: 0 },
    { upper: quiet | 5, lower: 7 },
    // A signalling NaN.
    { upper: infinity | 3, lower: 9 },
    { upper: largest, lower: 0xffff_ffff },
    // The smallest of all, where there is no lower word.
    { upper: 1, lower: 1 },
  ];
  return positive.flatMap(({ upper, lower }) => [
    { upper, lower },
    { upper: upper | sign, lower },
  ]);
}
