/**
 * Reads a tuning table out of plain data, whatever it was written in: field by field, so that an error
 * names the rule and the field.
 */
import { parseSize } from '../common/bytes.ts';
import { HlsimError } from '../common/errors.ts';
import { COLLECTIVES, type CollectiveName } from './collective.ts';
import { COLLECTIVE_WORDS, collectiveOfWord } from './names.ts';
import { rowFor } from './table.ts';
import type { Range, TuningRule, TuningTable } from './tuner.ts';

/** More than anybody writes, few enough to look through for every new call. */
export const TUNING_RULES_MAX = 10_000;
/** As many as the engine runs side by side. */
const CHANNELS_MAX = 32;
const CHUNKS_MAX = 4096;

/** Names of the fields that lead to a value. */
export type Path = readonly (string | number)[];

interface Reading {
  /** ` (line 12)`, where it is known. */
  readonly whereIs: (path: Path) => string;
}

const RULE_FIELDS = [
  'collective',
  'bytes',
  'ranks',
  'boxes',
  'algorithm',
  'channels',
  'chunks',
  'sliceBytes',
];

/**
 * A table from plain data: `{ rules: [...] }`. Collectives have nccl-tests' names or the library's; bytes
 * are numbers or sizes such as `64K`. `whereIs` adds to errors where a value stands.
 *
 * @throws HlsimError `HLSIM_CONFIG` for the first value that is wrong
 */
export function parseTuningTable(
  value: unknown,
  whereIs: (path: Path) => string = () => '',
): TuningTable {
  const reading = { whereIs };
  const table = recordOf(value, [], ['rules'], reading);
  const rules = table['rules'];
  if (!Array.isArray(rules) || rules.length > TUNING_RULES_MAX) {
    throw wrong(reading, ['rules'], `a list of at most ${TUNING_RULES_MAX} rules`, rules);
  }
  return { rules: rules.map((rule, index) => ruleOf(rule, ['rules', index], reading)) };
}

function ruleOf(value: unknown, path: Path, reading: Reading): TuningRule {
  const fields = recordOf(value, path, RULE_FIELDS, reading);
  const at = (field: string): Path => [...path, field];
  const collective = collectiveOf(fields['collective'], at('collective'), reading);
  const algorithm = algorithmOf(fields['algorithm'], collective, at('algorithm'), reading);
  const range = (field: string, read: NumberReader): Range | undefined =>
    fields[field] === undefined ? undefined : rangeOf(fields[field], at(field), read, reading);
  const number = (field: string, read: NumberReader): number | undefined =>
    fields[field] === undefined ? undefined : numberOf(fields[field], at(field), read, reading);
  return defined({
    collective,
    bytes: range('bytes', BYTES),
    ranks: range('ranks', COUNT),
    boxes: range('boxes', COUNT),
    algorithm,
    channels: number('channels', upTo(CHANNELS_MAX)) ?? 1,
    chunks: number('chunks', upTo(CHUNKS_MAX)),
    sliceBytes: number('sliceBytes', SLICE),
  });
}

/** Without the fields that have no value. */
function defined<T extends object>(value: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(entries) as { [Key in keyof T]: Exclude<T[Key], undefined> };
}

function collectiveOf(value: unknown, path: Path, reading: Reading): CollectiveName {
  const found = COLLECTIVES.find((name) => name === value) ?? collectiveOfWord(String(value));
  if (found !== undefined) return found;
  throw wrong(reading, path, `one of ${Object.keys(COLLECTIVE_WORDS).join(', ')}`, value);
}

function algorithmOf(
  value: unknown,
  collective: CollectiveName,
  path: Path,
  reading: Reading,
): string {
  if (typeof value !== 'string') throw wrong(reading, path, 'the name of an algorithm', value);
  try {
    rowFor(collective, value);
  } catch (cause) {
    if (!(cause instanceof HlsimError)) throw cause;
    const message = `${cause.message}, in ${describe(path)}${reading.whereIs(path)} of the tuning table`;
    throw new HlsimError('HLSIM_CONFIG', message, { cause });
  }
  return value;
}

interface NumberReader {
  /** Completes `Expected ... to be`. */
  readonly expected: string;
  readonly read: (value: unknown) => number | undefined;
}

const COUNT = upTo(Number.MAX_SAFE_INTEGER);
const BYTES = sizeFrom(0);
const SLICE = sizeFrom(1);

function upTo(max: number): NumberReader {
  const range = max === Number.MAX_SAFE_INTEGER ? 'of at least 1' : `from 1 to ${max}`;
  return {
    expected: `a whole number ${range}`,
    read: (value) =>
      Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= max
        ? Number(value)
        : undefined,
  };
}

function sizeFrom(min: number): NumberReader {
  return {
    expected: `a size such as 8, 64K, 16M or 1G${min === 0 ? '' : `, at least ${min}`}`,
    read(value) {
      const bytes = typeof value === 'string' ? parseSize(value) : value;
      return Number.isSafeInteger(bytes) && Number(bytes) >= min ? Number(bytes) : undefined;
    },
  };
}

function rangeOf(value: unknown, path: Path, reader: NumberReader, reading: Reading): Range {
  const fields = recordOf(value, path, ['from', 'to'], reading);
  const end = (name: 'from' | 'to'): number | undefined =>
    fields[name] === undefined
      ? undefined
      : numberOf(fields[name], [...path, name], reader, reading);
  const [from, to] = [end('from'), end('to')];
  if (from !== undefined && to !== undefined && from > to) {
    throw wrong(reading, path, 'a range whose from is at most its to', value);
  }
  return defined({ from, to });
}

function numberOf(value: unknown, path: Path, reader: NumberReader, reading: Reading): number {
  const found = reader.read(value);
  if (found === undefined) throw wrong(reading, path, reader.expected, value);
  return found;
}

/** An object that has no other fields than these. */
function recordOf(
  value: unknown,
  path: Path,
  known: readonly string[],
  reading: Reading,
): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong(reading, path, `the fields ${known.join(', ')}`, value);
  }
  const stranger = Object.keys(value).find((key) => !known.includes(key));
  if (stranger === undefined) return value as Readonly<Record<string, unknown>>;
  const where = reading.whereIs([...path, stranger]);
  throw new HlsimError(
    'HLSIM_CONFIG',
    `Expected ${describe(path)} of the tuning table to have the fields ${known.join(', ')} ` +
      `but found ${stranger}${where}`,
  );
}

function wrong({ whereIs }: Reading, path: Path, expected: string, found: unknown): HlsimError {
  const shown = found === undefined ? 'nothing' : shorten(JSON.stringify(found) ?? String(found));
  return new HlsimError(
    'HLSIM_CONFIG',
    `Expected ${describe(path)} of the tuning table to be ${expected} but found ${shown}${whereIs(path)}`,
    { fields: { path: path.join('.') } },
  );
}

/** `bytes.to in rule 3`, counted from 1. */
function describe(path: Path): string {
  const [, index, ...fields] = path;
  if (path.length === 0) return 'the whole';
  if (index === undefined) return String(path[0]);
  const rule = `rule ${Number(index) + 1}`;
  return fields.length === 0 ? rule : `${fields.join('.')} in ${rule}`;
}

function shorten(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}
