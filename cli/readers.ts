/**
 * How the text of a flag becomes a value. A reader knows what it expects in words, so that every
 * wrong value gets the same one-line error (`flags.ts`).
 */
import { parseSize } from '../common/bytes.ts';

export interface Reader<T> {
  /** Completes `Expected --flag to be ...`. */
  readonly expected: string;
  /** `undefined`: the text is no such value. */
  read(text: string): T | undefined;
}

export function integer(min: number, max: number): Reader<number> {
  return {
    expected: `a whole number from ${min} to ${max}`,
    read(text) {
      const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
      return value >= min && value <= max ? value : undefined;
    },
  };
}

/** Bytes. */
export interface SizeLimits {
  readonly max?: number;
  readonly multipleOf?: number;
}

/** Bytes, binary units: `8`, `64K`, `16M`, `1G`. */
export function size(min: number, { max, multipleOf = 1 }: SizeLimits = {}): Reader<number> {
  const examples = multipleOf === 1 ? '8, 64K, 16M or 1G' : '16M or 1G';
  const unit = multipleOf === 1 ? '' : `, a multiple of ${multipleOf} bytes`;
  const least = min === 0 ? '' : `, at least ${min} bytes`;
  const most = max === undefined ? '' : `, at most ${max} bytes`;
  return {
    expected: `a size such as ${examples}${unit}${least}${most}`,
    read(text) {
      const bytes = parseSize(text);
      if (bytes === undefined || bytes % multipleOf !== 0) return undefined;
      return bytes >= min && bytes <= (max ?? bytes) ? bytes : undefined;
    },
  };
}

const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, '': 1_000 };
/** Timers of the runtime hold 31 bits of milliseconds; a day is far inside. */
const DURATION_MS_MAX = 24 * 60 * 60 * 1_000;

/** Milliseconds from `500ms`, `30s`, `2m`; a bare number is seconds. */
export const duration: Reader<number> = {
  expected: 'a duration such as 500ms, 30s or 2m, at most 24 hours',
  read(text) {
    const match = /^(\d+)(ms|s|m|)$/.exec(text);
    if (match === null) return undefined;
    const milliseconds = Number(match[1]) * (MILLISECONDS[match[2] ?? ''] ?? 1_000);
    return milliseconds >= 1 && milliseconds <= DURATION_MS_MAX ? milliseconds : undefined;
  },
};

/** One of a few words. */
export function oneOf<const Word extends string>(words: readonly Word[]): Reader<Word> {
  return {
    expected: words.length === 1 ? `${words[0]}` : `one of ${words.join(', ')}`,
    read: (text) => words.find((word) => word === text),
  };
}

/** A coordinator address. */
export const coordinatorUrl: Reader<string> = {
  expected: 'a coordinator address such as ws://127.0.0.1:7700',
  read(text) {
    if (!URL.canParse(text)) return undefined;
    const url = new URL(text);
    const plain = url.pathname === '/' && url.search === '' && url.hash === '';
    return url.protocol === 'ws:' && url.hostname !== '' && plain ? text : undefined;
  },
};

/** Any text but the empty one. */
export function text(what: string): Reader<string> {
  return { expected: what, read: (given) => (given === '' ? undefined : given) };
}

/** A switch in an environment variable; on the command line a switch has no value. */
export const onOff: Reader<boolean> = {
  expected: '1 or 0',
  read(given) {
    if (given === '1' || given === 'true') return true;
    return given === '0' || given === 'false' ? false : undefined;
  },
};
