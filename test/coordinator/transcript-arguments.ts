/** The `key=value` arguments of a transcript's commands. */

export type Arguments = Readonly<Record<string, string>>;

export function number(args: Arguments, key: string, otherwise?: number): number {
  const value = args[key] === undefined ? otherwise : Number(args[key]);
  if (value === undefined || Number.isNaN(value)) throw new Error(`Expected a number ${key}=`);
  return value;
}

export function string(args: Arguments, key: string): string {
  const value = args[key];
  if (value === undefined) throw new Error(`Expected ${key}= in the command`);
  return value.replaceAll('_', ' ');
}
