/** The process environment. The only reader of `process.env`; everything else is handed values. */

/** The variable, or `undefined` when it is unset or empty. */
export function environmentVariable(name: string): string | undefined {
  const value = process.env[name];
  return value === undefined || value === '' ? undefined : value;
}

/** A copy of the whole environment, for handing on to a child process or a user program. */
export function environmentCopy(): Record<string, string> {
  const copy: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env))
    if (value !== undefined) copy[name] = value;
  return copy;
}
