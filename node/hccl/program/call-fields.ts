/** The fields of a call's argument. */
import type { SystemCallValue } from '../../process/system-call.ts';

export type CallFields = { readonly [key: string]: SystemCallValue };

/** Calls without arguments are made with `null`. */
export function fieldsOf(argument: SystemCallValue): CallFields {
  const hasFields = typeof argument === 'object' && argument !== null && !Array.isArray(argument);
  return hasFields ? (argument as CallFields) : {};
}
