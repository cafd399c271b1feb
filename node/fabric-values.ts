/**
 * How values of libfabric's calls travel over the system-call channel, which has no `bigint`: one
 * becomes `{ bigint: '…' }`, everything else stays as it is.
 */
import type { SystemCallValue } from './process/system-call.ts';

/** Decimal digits of a number of 64 bits, and a sign. */
const DIGITS = /^-?\d{1,20}$/;

/** `value` must be made of plain values, byte arrays and bigints. */
export function toSystemCallValue(value: unknown): SystemCallValue {
  if (typeof value === 'bigint') return { bigint: value.toString() };
  return mapped(value, toSystemCallValue) as SystemCallValue;
}

/** The inverse. What only looks like a number stays an object, for the reader to refuse. */
export function fromSystemCallValue(value: SystemCallValue): unknown {
  const digits = bigintDigits(value);
  if (digits !== undefined) return BigInt(digits);
  return mapped(value, (part) => fromSystemCallValue(part as SystemCallValue));
}

function bigintDigits(value: SystemCallValue): string | undefined {
  if (typeof value !== 'object' || value === null || !('bigint' in value)) return undefined;
  const digits = value['bigint'];
  return typeof digits === 'string' && DIGITS.test(digits) ? digits : undefined;
}

function mapped(value: unknown, part: (inner: unknown) => unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(part);
  const fields = Object.entries(value).map(([name, inner]) => [name, part(inner)]);
  return Object.fromEntries(fields);
}
