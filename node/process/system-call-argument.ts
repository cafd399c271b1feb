/**
 * Reading what a user process sent. Nothing in it is trusted: a field that is missing or of another
 * kind fails the call with EINVAL and says so.
 */
import { WAIT_MS_MAX } from './interruptible-wait.ts';
import { errnoFailure, type SystemCallError, type SystemCallValue } from './system-call.ts';

export type SystemCallRecord = Readonly<Record<string, SystemCallValue>>;

/** Deepest nesting of a message. */
const DEPTH_MAX = 16;
/** Most values in one message; a full command submission has fewer than 20 000. */
const VALUES_MAX = 100_000;

export function recordOf(value: SystemCallValue, what: string): SystemCallRecord {
  if (isPlainObject(value)) return value;
  throw invalid(what, 'an object', value);
}

/** A field that holds an integer >= 0 (an address, size, count, handle or descriptor). */
export function integerField(record: SystemCallRecord, name: string): number {
  const value = field(record, name);
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid(name, 'an integer of at least 0', value);
}

export function stringField(record: SystemCallRecord, name: string): string {
  const value = field(record, name);
  if (typeof value === 'string') return value;
  throw invalid(name, 'a string', value);
}

export function booleanField(record: SystemCallRecord, name: string): boolean {
  const value = field(record, name);
  if (typeof value === 'boolean') return value;
  throw invalid(name, 'true or false', value);
}

/** The field `timeoutMs`: 0 asks without waiting; more than a timer can hold is EINVAL. */
export function timeoutField(record: SystemCallRecord): number {
  const timeoutMs = integerField(record, 'timeoutMs');
  if (timeoutMs <= WAIT_MS_MAX) return timeoutMs;
  throw invalid('timeoutMs', `at most ${WAIT_MS_MAX}`, timeoutMs);
}

/** A field that holds an array of at most `lengthMax` values. */
export function arrayField(
  record: SystemCallRecord,
  name: string,
  lengthMax: number,
): readonly SystemCallValue[] {
  const value = field(record, name);
  if (Array.isArray(value) && value.length <= lengthMax) return value;
  throw invalid(name, `an array of at most ${lengthMax} values`, value);
}

/** Own fields only: `toString` is not an argument. */
export function field(record: SystemCallRecord, name: string): SystemCallValue {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** Whether `value`, which came over a port, is made of serialisable plain values, within bounds. */
export function isSystemCallValue(value: unknown): value is SystemCallValue {
  let left = VALUES_MAX;
  const walk = (part: unknown, depth: number): boolean => {
    left--;
    if (left < 0 || depth > DEPTH_MAX) return false;
    if (isScalar(part) || part instanceof Uint8Array) return true;
    if (!isContainer(part)) return false;
    for (const name in part) if (!walk(part[name], depth + 1)) return false;
    return true;
  };
  return walk(value, 0);
}

/** An array or a plain object. A hole is seen by some ways of walking an array and not by others. */
function isContainer(value: unknown): value is SystemCallRecord {
  if (Array.isArray(value)) return Object.keys(value).length === value.length;
  return isPlainObject(value);
}

function isScalar(value: unknown): boolean {
  switch (typeof value) {
    case 'undefined':
    case 'boolean':
    case 'number':
    case 'string':
      return true;
    default:
      return value === null;
  }
}

function isPlainObject(value: unknown): value is SystemCallRecord {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null)
  );
}

function invalid(what: string, expected: string, found: SystemCallValue): SystemCallError {
  return errnoFailure('EINVAL', `expected ${what} to be ${expected} but found ${described(found)}`);
}

function described(value: SystemCallValue): string {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40));
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}
