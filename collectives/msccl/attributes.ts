/** Reads the attributes of one element, each by its type, and keeps those that nobody asked for. */
import type { Element } from './elements.ts';
import { quoted, unreadable } from './unreadable.ts';

/** As C's `strtol` reads it, but for octal numbers and whatever follows: `12`, `+12`, `0xc`, spaces around. */
const INTEGER = /^\s*([+-]?)(\d{1,20}|0x[\da-f]{1,16})\s*$/i;
/** What nearly all are. */
const PLAIN_INTEGER = /^-?\d{1,9}$/;
const FLAG_OF: ReadonlyMap<string, number> = new Map([
  ['true', 1],
  ['false', 0],
]);
/** Whatever the format counts is far less. */
export const INTEGER_MAX = 2 ** 31 - 1;
/** The format's sizes are 64 bits wide. */
const BYTES_MAX = 2n ** 64n - 1n;

export class Attributes {
  readonly #element: Element;
  readonly #rest: Set<string>;

  constructor(element: Element) {
    this.#element = element;
    this.#rest = new Set(Object.keys(element.attributes));
  }

  /** An integer from `least` to `most`. */
  integer(name: string, least: number, most: number = INTEGER_MAX): number {
    return this.optionalInteger(name, least, most) ?? this.#missing(name);
  }

  optionalInteger(name: string, least: number, most: number = INTEGER_MAX): number | undefined {
    const text = this.#take(name);
    if (text === undefined) return undefined;
    const value = PLAIN_INTEGER.test(text) ? Number(text) : Number(integerOf(text) ?? Number.NaN);
    if (value >= least && value <= most) return value;
    const range = most === INTEGER_MAX ? `of at least ${least}` : `from ${least} to ${most}`;
    throw this.#wrong(name, `an integer ${range}`, text);
  }

  optionalBytes(name: string): bigint | undefined {
    const text = this.#take(name);
    if (text === undefined) return undefined;
    const value = integerOf(text);
    if (value !== undefined && value >= 0n && value <= BYTES_MAX) return value;
    throw this.#wrong(name, 'a number of bytes', text);
  }

  /** 0 or 1; `True` and `False` are as much. */
  optionalFlag(name: string): number | undefined {
    const text = this.#element.attributes[name];
    const flag = text === undefined ? undefined : FLAG_OF.get(text.trim().toLowerCase());
    if (flag === undefined) return this.optionalInteger(name, 0, 1);
    this.#rest.delete(name);
    return flag;
  }

  optionalText(name: string): string | undefined {
    return this.#take(name);
  }

  word<Word extends string>(name: string, words: readonly Word[]): Word {
    return this.optionalWord(name, words) ?? this.#missing(name);
  }

  /** One of the words, in capitals or not. */
  optionalWord<Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const text = this.#take(name);
    if (text === undefined) return undefined;
    const plain = text.trim().toLowerCase();
    const word = words.find((candidate) => candidate.toLowerCase() === plain);
    if (word !== undefined) return word;
    throw this.#wrong(name, `one of ${words.join(', ')}`, text);
  }

  /** Those that nobody asked for; `undefined` if there are none. */
  rest(): Record<string, string> | undefined {
    if (this.#rest.size === 0) return undefined;
    const { attributes } = this.#element;
    return Object.fromEntries([...this.#rest].map((name) => [name, attributes[name] ?? '']));
  }

  #take(name: string): string | undefined {
    if (!this.#rest.delete(name)) return undefined;
    return this.#element.attributes[name];
  }

  #missing(name: string): never {
    const { name: element, line } = this.#element;
    throw unreadable(line, `Expected <${element}> to have ${name} but found none`);
  }

  #wrong(name: string, expected: string, text: string): Error {
    const { name: element, line } = this.#element;
    return unreadable(
      line,
      `Expected ${name} of <${element}> to be ${expected} but found ${quoted(text)}`,
    );
  }
}

function integerOf(text: string): bigint | undefined {
  const [, sign, digits] = INTEGER.exec(text) ?? [];
  if (digits === undefined) return undefined;
  return sign === '-' ? -BigInt(digits) : BigInt(digits);
}
