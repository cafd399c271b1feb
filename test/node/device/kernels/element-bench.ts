/** Elements of every type to compute with, and kernels run on them at any alignment, between guards. */
import {
  ELEMENT_TYPES,
  type ElementArray,
  type ElementType,
  elementArray,
} from '../../../../collectives/arithmetic.ts';
import type { Prng } from '../../../../common/prng.ts';
import type { KernelName } from '../../../../node/device/kernels/table.ts';
import { kernelBench } from './kernel-bench.ts';

export const TYPES = Object.keys(ELEMENT_TYPES) as ElementType[];

/** What goes wrong first: signed zeros, subnormals, largest, infinities, and NaN of every kind. */
const SPECIAL_BITS: Readonly<Record<string, readonly bigint[]>> = {
  float16: [
    ...[0x0000n, 0x8000n, 0x0001n, 0x8001n, 0x03ffn, 0x0400n, 0x3c00n, 0xbc00n, 0x7bffn, 0xfbffn],
    ...[0x7c00n, 0xfc00n, 0x7e00n, 0xfe00n, 0x7c01n, 0xfdffn, 0x7fffn],
  ],
  bfloat16: [
    ...[0x0000n, 0x8000n, 0x0001n, 0x8001n, 0x007fn, 0x0080n, 0x3f80n, 0xbf80n, 0x7f7fn, 0xff7fn],
    ...[0x7f80n, 0xff80n, 0x7fc0n, 0xffc0n, 0x7f81n, 0xffbfn, 0x7fffn],
  ],
  float32: [
    ...[0n, 0x80000000n, 1n, 0x80000001n, 0x007fffffn, 0x00800000n, 0x3f800000n, 0x7f7fffffn],
    ...[0xff7fffffn, 0x7f800000n, 0xff800000n, 0x7fc00000n, 0xffc00000n, 0x7f800001n, 0xffffffffn],
  ],
  float64: [
    ...[0n, 1n << 63n, 1n, (1n << 63n) | 1n, (1n << 52n) - 1n, 1n << 52n, 0x3ff0000000000000n],
    ...[0x7fefffffffffffffn, 0xffefffffffffffffn, 0x7ff0000000000000n, 0xfff0000000000000n],
    ...[0x7ff8000000000000n, 0xfff8000000000000n, 0x7ff0000000000001n, 0xffffffffffffffffn],
  ],
};

/** Zero, one, minus one, and the ends of signed and unsigned ranges. */
function specialIntegers(bytes: number): bigint[] {
  const top = 1n << BigInt(bytes * 8 - 1);
  return [0n, 1n, 2n * top - 1n, top, top - 1n, top + 1n];
}

/** Elements as bits: special ones, any bits, and (for wide floats) numbers of like size. */
export function randomElements(type: ElementType, count: number, prng: Prng): ElementArray {
  const { bytes } = ELEMENT_TYPES[type];
  const special = SPECIAL_BITS[type] ?? specialIntegers(bytes);
  const buffer = new ArrayBuffer(count * bytes);
  const words = new DataView(buffer);
  const bits = () => (BigInt(prng.uint32()) << 32n) | BigInt(prng.uint32());
  for (let index = 0; index < count; index++) {
    const kind = prng.below(4);
    const element = kind === 0 ? (special[prng.below(special.length)] ?? 0n) : bits();
    for (let byte = 0; byte < bytes; byte++) {
      words.setUint8(index * bytes + byte, Number((element >> BigInt(8 * byte)) & 0xffn));
    }
    if (kind < 2) continue;
    if (type === 'float32') words.setFloat32(index * bytes, prng.normal() * 100, true);
    if (type === 'float64') words.setFloat64(index * bytes, prng.normal() * 100, true);
  }
  return elementArray(type, buffer, 0, count);
}

export function emptyElements(type: ElementType, count: number): ElementArray {
  return elementArray(type, new ArrayBuffer(count * ELEMENT_TYPES[type].bytes), 0, count);
}

export function bytesOf({ buffer, byteOffset, byteLength }: ElementArray): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}

const GUARD_BYTES = 32;
const GUARD = 0xa5;

export interface ElementBench {
  /** Puts elements at byte `offset` and returns it. */
  place(offset: number, elements: ElementArray): number;
  /** Fills `bytes` bytes at `offset`, and some on both sides, with what a kernel must not touch. */
  guard(offset: number, bytes: number): void;
  /** A sentence about the first byte that is wrong, at `offset` or in the guards around; or nothing. */
  difference(offset: number, wanted: ElementArray): string | undefined;
  run(kernel: KernelName, ...args: readonly number[]): void;
  counter(offset: number): Uint32Array;
}

export function elementBench(pages = 16): ElementBench {
  const { kernels, buffer } = kernelBench(pages);
  const memory = Buffer.from(buffer as ArrayBuffer);
  return {
    place(offset, elements) {
      memory.set(bytesOf(elements), offset);
      return offset;
    },
    guard(offset, bytes) {
      memory.fill(GUARD, offset - GUARD_BYTES, offset + bytes + GUARD_BYTES);
    },
    difference(offset, wanted) {
      const expected = Buffer.alloc(wanted.byteLength + 2 * GUARD_BYTES, GUARD);
      expected.set(bytesOf(wanted), GUARD_BYTES);
      const found = memory.subarray(offset - GUARD_BYTES, offset + wanted.byteLength + GUARD_BYTES);
      if (found.equals(expected)) return undefined;
      const byte = expected.findIndex((value, index) => value !== found[index]);
      const element = Math.floor((byte - GUARD_BYTES) / wanted.BYTES_PER_ELEMENT);
      const at = GUARD_BYTES + element * wanted.BYTES_PER_ELEMENT;
      const text = (bytes: Buffer) =>
        bytes.subarray(Math.max(0, at), at + wanted.BYTES_PER_ELEMENT).toString('hex');
      return `element ${element}: expected bytes ${text(expected)} but found ${text(found)}`;
    },
    run(kernel, ...args) {
      kernels[kernel](...args);
    },
    counter: (offset) => new Uint32Array(buffer, offset, 1),
  };
}
