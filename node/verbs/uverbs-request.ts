/** What the handlers of the verbs device have in common. */
import { type Errno, isErrno } from '../../common/errno.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { errnoFailure, type SystemCallValue } from '../process/system-call.ts';
import { field, integerField, type SystemCallRecord } from '../process/system-call-argument.ts';
import type { HandleTable, UverbsFile } from './uverbs-file.ts';
import { WAIT_TIMEOUT_MAX_MS } from './uverbs-uapi.ts';

/** Serves one request of `caller` on an open file. Throws `SystemCallError`. */
export type UverbsHandler = (
  file: UverbsFile,
  caller: SimProcess,
  argument: SystemCallRecord,
) => SystemCallValue | Promise<SystemCallValue>;

/** The object whose handle `name` holds. EINVAL: this file has none of that kind with it. */
export function objectField<T>(table: HandleTable<T>, record: SystemCallRecord, name: string): T {
  const handle = integerField(record, name);
  const object = table.get(handle);
  if (object !== undefined) return object;
  throw errnoFailure('EINVAL', `this file has no ${name} with handle ${handle}`);
}

/** Makes an object if the file may hold one more. ENOMEM: it may not. */
export function create<T extends object>(
  table: HandleTable<T>,
  what: string,
  make: () => T | Errno,
): { readonly handle: number; readonly object: T } {
  reserve(table, what);
  const object = make();
  if (isErrno(object)) {
    table.unreserve();
    throw errnoFailure(object, what);
  }
  return { handle: table.add(object), object };
}

export function reserve<T>(table: HandleTable<T>, what: string): void {
  if (!table.reserve()) {
    throw errnoFailure('ENOMEM', `${what}: this file holds ${table.size} of them already`);
  }
}

/** The result, or the failure that the caller sees. */
export function succeed<T>(result: T | Errno, what: string): T {
  if (isErrno(result)) throw errnoFailure(result, what);
  return result as T;
}

/** A wait in milliseconds; absent: none. EINVAL above WAIT_TIMEOUT_MAX_MS. */
export function timeoutField(record: SystemCallRecord): number {
  if (field(record, 'timeoutMs') === undefined) return 0;
  const timeoutMs = integerField(record, 'timeoutMs');
  if (timeoutMs <= WAIT_TIMEOUT_MAX_MS) return timeoutMs;
  const limit = `a timeout of at most ${WAIT_TIMEOUT_MAX_MS} ms`;
  throw errnoFailure('EINVAL', `expected ${limit} but found ${timeoutMs} ms`);
}
