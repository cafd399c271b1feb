/** How the lists and the what-ifs of `hlsim predict` are written on the command line. */
import { parseCounts, parseSlow } from '../timing/experiment/lists.ts';
import type { NetworkChange } from '../timing/topology/changes.ts';
import type { Reader } from './readers.ts';

/** `1,2,4..256`. */
export function counts(max: number): Reader<readonly number[]> {
  return {
    expected: `numbers from 1 to ${max} such as 4, 1,2,3 or 1,2,4..256, where .. doubles`,
    read: (given) => parseCounts(given, max),
  };
}

/** Several of a few words, with commas between. */
export function wordList<const Word extends string>(
  words: readonly Word[],
): Reader<readonly Word[]> {
  return {
    expected: `one or several, with commas between, of ${words.join(', ')}`,
    read(given) {
      const parts = given.split(',').map((part) => words.find((word) => word === part.trim()));
      const known = parts.filter((part) => part !== undefined);
      return known.length === parts.length ? [...new Set(known)] : undefined;
    },
  };
}

/** `auto`, `all`, or names; a two-level one has parts in parentheses. */
export const algorithmList: Reader<'auto' | 'all' | readonly string[]> = {
  expected: 'auto, all, or names of algorithms with commas between',
  read(given) {
    if (given === 'auto' || given === 'all') return given;
    const isList = /^\w+(?:\(\w+,\w+\))?(?:,\w+(?:\(\w+,\w+\))?)*$/.test(given);
    if (!isList) return undefined;
    const names: readonly string[] = given.match(/\w+(?:\(\w+,\w+\))?/g) ?? [];
    return names.includes('auto') || names.includes('all') ? undefined : [...new Set(names)];
  },
};

/** More than 0, at most 1: `0.1` or `10%`. */
export const fraction: Reader<number> = {
  expected: 'a fraction such as 0.1 or 10%, more than 0 and at most 1',
  read(given) {
    const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(given.trim());
    const value = Number(match?.[1]) / (match?.[2] === '%' ? 100 : 1);
    return match !== null && value > 0 && value <= 1 ? value : undefined;
  },
};

export const stragglers: Reader<readonly NetworkChange[]> = {
  expected: 'slow cards such as rank=3,slow=2x (at least 1x), several with ; between',
  read: (given) =>
    several(given, ['rank', 'slow'], ({ rank = '', slow = '' }) => {
      const times = parseSlow(slow);
      if (!/^\d{1,9}$/.test(rank) || times === undefined) return undefined;
      return { kind: 'straggler', rank: Number(rank), slow: times };
    }),
};

export const degradations: Reader<readonly NetworkChange[]> = {
  expected: 'slow links such as link=scaleOut,rate=0.5, several with ; between',
  read: (given) =>
    several(given, ['link', 'rate'], ({ link = '', rate = '' }) => {
      const part = fraction.read(rate);
      return part === undefined ? undefined : { kind: 'degrade', link, rate: part };
    }),
};

export const failures: Reader<readonly NetworkChange[]> = {
  expected: 'broken links such as link=box0/card0>card1, several with ; between',
  read: (given) => several(given, ['link'], ({ link = '' }) => ({ kind: 'fail', link })),
};

type Fields = Readonly<Partial<Record<'rank' | 'slow' | 'link' | 'rate', string>>>;

/** `name=value,name=value;...` with all of these names and no others, none of them empty. */
function several(
  given: string,
  names: readonly string[],
  read: (fields: Fields) => NetworkChange | undefined,
): readonly NetworkChange[] | undefined {
  const changes = given.split(';').map((one) => {
    const pairs = one.split(',').map((pair) => {
      const at = pair.indexOf('=');
      return [pair.slice(0, Math.max(0, at)).trim(), pair.slice(at + 1).trim()] as const;
    });
    const isComplete =
      pairs.length === names.length &&
      names.every((name) => pairs.some(([key, value]) => key === name && value !== ''));
    return isComplete ? read(Object.fromEntries(pairs)) : undefined;
  });
  const known = changes.filter((change) => change !== undefined);
  return known.length === changes.length ? known : undefined;
}
