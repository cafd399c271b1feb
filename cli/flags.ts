/**
 * Flags as values: a command is a record of them, and `readFlags` gives the record of their values.
 * commander splits the words and prints the help; values, defaults, environment variables and the
 * wording of errors are here, the same for every command.
 *
 * A value comes from the command line, else from `HLSIM_<FLAG>`, else from the default.
 */
import { type Command, Option } from 'commander';
import { environmentVariable } from '../common/environment.ts';
import { HlsimError } from '../common/errors.ts';
import { onOff, type Reader } from './readers.ts';

export interface Flag<T> {
  /** As typed after the two dashes; also names the environment variable. */
  readonly name: string;
  /** One letter, for the flags that nccl-tests has. */
  readonly short?: string;
  /** What the value is called in the help: `<size>`. Absent for a switch. */
  readonly value?: string;
  readonly description: string;
  readonly reader: Reader<T & {}>;
  /** Text of the default, read like any other. */
  readonly fallback?: string;
  /** When neither a value nor a default is there. */
  readonly missing: 'refuse' | 'undefined';
  readonly environment: string;
}

type FlagInit<T> = Pick<Flag<T>, 'name' | 'short' | 'value' | 'description' | 'reader'> & {
  /** Another environment variable, where one name serves two commands with different meanings. */
  readonly environment?: string;
};

export type Flags = Readonly<Record<string, Flag<unknown>>>;
export type FlagValues<F extends Flags> = {
  readonly [Key in keyof F]: F[Key] extends Flag<infer T> ? T : never;
};

/** `--join-timeout` -> `HLSIM_JOIN_TIMEOUT`. */
export function variableOf(name: string): string {
  return `HLSIM_${name.replaceAll('-', '_').toUpperCase()}`;
}

/** A flag that must be given, on the command line or in the environment. */
export function required<T>(init: FlagInit<T>): Flag<T> {
  return { environment: variableOf(init.name), ...init, missing: 'refuse' };
}

export function optional<T>(init: FlagInit<T>): Flag<T | undefined> {
  return {
    environment: variableOf(init.name),
    ...init,
    reader: init.reader as Reader<T & {}>,
    missing: 'undefined',
  };
}

export function withDefault<T>(fallback: string, init: FlagInit<T>): Flag<T> {
  return { environment: variableOf(init.name), ...init, fallback, missing: 'refuse' };
}

/** A flag without a value; off unless given. */
export function toggle(init: Omit<FlagInit<boolean>, 'reader' | 'value'>): Flag<boolean> {
  return withDefault('0', { ...init, reader: onOff });
}

/** Adds the flags to a command: its help, and the words that it takes. */
export function addFlags(command: Command, flags: Flags): Command {
  for (const flag of Object.values(flags)) {
    const value = flag.value === undefined ? '' : ` ${flag.value}`;
    const fallback =
      flag.fallback === undefined || flag.value === undefined
        ? flag.environment
        : `default ${flag.fallback}, ${flag.environment}`;
    command.addOption(new Option(`${nameOf(flag)}${value}`, `${flag.description} [${fallback}]`));
  }
  return command;
}

/**
 * The values of all flags of a command.
 *
 * @throws HlsimError `HLSIM_USAGE` for the first one that is wrong or missing
 */
export function readFlags<F extends Flags>(command: Command, flags: F): FlagValues<F> {
  const typed = command.opts<Record<string, unknown>>();
  const entries = Object.entries(flags).map(([key, flag]) => [key, readFlag(flag, typed)]);
  return Object.fromEntries(entries) as FlagValues<F>;
}

/** The name under which commander keeps an option: the first letter of every later word is capital. */
function attributeOf(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

/** As the help has it: `-b, --minbytes`. */
function nameOf<T>({ name, short }: Flag<T>): string {
  return short === undefined ? `--${name}` : `-${short}, --${name}`;
}

function readFlag<T>(flag: Flag<T>, typed: Readonly<Record<string, unknown>>): T | undefined {
  const given = typed[attributeOf(flag.name)];
  if (given === true) return true as T;
  const name = nameOf(flag);
  if (typeof given === 'string') return readText(flag, name, given);
  const variable = environmentVariable(flag.environment);
  if (variable !== undefined) {
    return readText(flag, `${flag.environment} (the default of ${name})`, variable);
  }
  if (flag.fallback !== undefined) return readText(flag, name, flag.fallback);
  if (flag.missing === 'undefined') return undefined;
  throw usageError(
    `Expected ${name} ${flag.value ?? ''} (${flag.reader.expected}) but found none: add it, or set ${flag.environment}`,
  );
}

function readText<T>(flag: Flag<T>, where: string, found: string): T {
  const value = flag.reader.read(found);
  if (value !== undefined) return value;
  throw usageError(
    `Expected ${where} to be ${flag.reader.expected} but found ${JSON.stringify(found)}`,
  );
}

export function usageError(message: string): HlsimError {
  return new HlsimError('HLSIM_USAGE', message);
}
