/** What the command lines of benchmarks have in common: flags with values that are checked. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { HlsimError, messageOf } from '../common/errors.ts';

/**
 * The flags by their long names; those that were not given are not there.
 *
 * @param benchmark for the message: `bench:overlap`
 * @throws HlsimError `HLSIM_USAGE` for a flag that there is not, or one without its value
 */
export function parseFlags<const T extends NonNullable<ParseArgsConfig['options']>>(
  benchmark: string,
  args: readonly string[],
  options: T,
): ReturnType<typeof parseArgs<{ options: T }>>['values'] {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (cause) {
    throw usageError(`${messageOf(cause)}: see npm run ${benchmark} -- --help`, { cause });
  }
}

/** @throws HlsimError `HLSIM_USAGE` for all but a whole number from 1 to `max` */
export function wholeNumberFlag(name: string, text: string, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= max) return value;
  throw usageError(
    `Expected --${name} to be a whole number from 1 to ${max} but found ${JSON.stringify(text)}`,
  );
}

function usageError(message: string, options?: { readonly cause: unknown }): HlsimError {
  return new HlsimError('HLSIM_USAGE', message, options);
}
