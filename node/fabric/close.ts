/** fi_close(3). */
import type { Fid, FiErrno } from './fabric.ts';

/**
 * Ends an object. FI_EBUSY, and nothing has changed: other objects still depend on it. Closing an
 * endpoint ends its operations without completions; no buffer of theirs is touched afterwards.
 */
export function fi_close(object: Fid): FiErrno | undefined {
  return object.close();
}
