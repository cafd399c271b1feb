/**
 * The 16-bit floats as numbers and back: IEEE 754 binary16 (`float16`) and the upper half of a binary32
 * (`bfloat16`). Conversion to bits rounds once, to nearest, ties to even; overflow gives infinity.
 */
export interface FloatFormat {
  /** Bits of the mantissa that are stored. */
  readonly mantissaBits: number;
  /** Exponent of the smallest normal number, and of the subnormal ones. */
  readonly exponentMin: number;
  /** Exponent of the largest numbers. */
  readonly exponentMax: number;
}

export const FLOAT16: FloatFormat = { mantissaBits: 10, exponentMin: -14, exponentMax: 15 };
export const BFLOAT16: FloatFormat = { mantissaBits: 7, exponentMin: -126, exponentMax: 127 };

const SIGN = 0x8000;

/** The number that these 16 bits stand for. */
export function decodeFloat(format: FloatFormat, bits: number): number {
  const { mantissaBits, exponentMin } = format;
  const sign = (bits & SIGN) === 0 ? 1 : -1;
  const magnitude = bits & (SIGN - 1);
  const infinity = infinityOf(format);
  if (magnitude >= infinity) return magnitude > infinity ? Number.NaN : sign / 0;
  const implicit = 2 ** mantissaBits;
  const field = Math.floor(magnitude / implicit);
  const fraction = magnitude % implicit;
  const [mantissa, exponent] = field === 0 ? [fraction, 0] : [fraction + implicit, field - 1];
  return sign * mantissa * 2 ** (exponent + exponentMin - mantissaBits);
}

/** The bits of the nearest number of the format; of NaN those of the positive quiet one, payload 0. */
export function encodeFloat(format: FloatFormat, value: number): number {
  const { mantissaBits, exponentMin } = format;
  const infinity = infinityOf(format);
  if (Number.isNaN(value)) return infinity + 2 ** (mantissaBits - 1);
  const sign = value < 0 || Object.is(value, -0) ? SIGN : 0;
  const magnitude = Math.abs(value);
  if (magnitude === Number.POSITIVE_INFINITY) return sign + infinity;
  const exponent = Math.max(exponentOf(magnitude), exponentMin);
  // With the implicit bit: it adds 1 to the exponent's field, as does a mantissa rounded up to 2.
  const mantissa = roundToEven(magnitude / 2 ** (exponent - mantissaBits));
  const bits = (exponent - exponentMin) * 2 ** mantissaBits + mantissa;
  return sign + Math.min(bits, infinity);
}

/** The bits of infinity: an exponent of all ones. */
function infinityOf({ mantissaBits, exponentMin, exponentMax }: FloatFormat): number {
  return (exponentMax - exponentMin + 2) * 2 ** mantissaBits;
}

const words = new DataView(new ArrayBuffer(8));

/** Largest k with 2^k <= magnitude, for what is no subnormal float64; below -1000 for those and for 0. */
function exponentOf(magnitude: number): number {
  words.setFloat64(0, magnitude);
  return (words.getUint16(0) >>> 4) - 1023;
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  const isUp = rest > 0.5 || (rest === 0.5 && floor % 2 === 1);
  return isUp ? floor + 1 : floor;
}
