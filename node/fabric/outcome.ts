/** How an operation ended, as its completion tells it. */
import type { IbvWcStatus } from '../verbs/wc.ts';
import { fiErrnoOfStatus } from './error-map.ts';
import type { FiErrno } from './fabric.ts';

/** `undefined`: well. */
export type Outcome = { readonly err: FiErrno; readonly prov_errno: IbvWcStatus | '' } | undefined;

/** What a work completion means. */
export function outcomeOf(status: IbvWcStatus): Outcome {
  const err = fiErrnoOfStatus(status);
  return err === undefined ? undefined : { err, prov_errno: status };
}
