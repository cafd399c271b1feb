/**
 * Before each test file: two arrays of the same type with the same bytes are equal, which vitest otherwise finds
 * out element by element, a second for each few hundred KiB. Where they differ it looks itself, and says where.
 */
import { expect } from 'vitest';

function sameBytes(one: unknown, other: unknown): true | undefined {
  if (!(ArrayBuffer.isView(one) && ArrayBuffer.isView(other))) return undefined;
  if (one.constructor !== other.constructor || one.byteLength !== other.byteLength)
    return undefined;
  const [first, second] = [one, other].map(({ buffer, byteOffset, byteLength }) =>
    Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength),
  );
  return second !== undefined && first?.equals(second) ? true : undefined;
}

expect.addEqualityTesters([sameBytes]);
