/**
 * Programmer errors. A failed assertion means that hlsim itself is wrong, never that a user, a peer
 * or a file is: those get an `HlsimError` or a status value. Assertions stay on in production.
 */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Throws `AssertionError` unless `condition` holds. `message` says what was expected. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Ends a `switch` over a closed union: the compiler proves that no case is missing. */
export function unreachable(value: never): never {
  throw new AssertionError(`Unreachable: ${String(value)}`);
}

/** The value, which is known to be there; a missing one is a programmer error. */
export function defined<T>(value: T | undefined | null, what: string): T {
  assert(value !== undefined && value !== null, `Expected ${what} to be there`);
  return value;
}
