/** The command line of `npm run bench:peers`. */
import { parseArgs } from 'node:util';
import { parseSize } from '../../common/bytes.ts';
import { HlsimError, messageOf } from '../../common/errors.ts';
import { CONTESTANT_IDS, type ContestantId } from './contestants.ts';
import { PEER_COLLECTIVES, type PeerCollective } from './sweep.ts';

export interface PeerOptions {
  readonly ranks: readonly number[];
  readonly sizes: readonly number[];
  readonly rounds: number;
  readonly collectives: readonly PeerCollective[];
  readonly contestants: readonly ContestantId[];
  readonly quick: boolean;
  readonly json: string | undefined;
  readonly svg: string | undefined;
  readonly help: boolean;
}

const RANKS_MAX = 32;
const ROUNDS_MAX = 1_000;
const SIZE_MAX = 1024 ** 3;

const DEFAULTS = {
  ranks: '2,4,8',
  sizes: '8,64,512,4K,32K,256K,1M,4M,16M,64M',
  rounds: '5',
} as const;
/** Less than three minutes, for a first look. */
const QUICK_DEFAULTS = { ranks: '2,4', sizes: '8,4K,1M,16M', rounds: '3' } as const;

export const PEER_USAGE = `npm run bench:peers -- [flags]

  --ranks 2,4,8           numbers of ranks
  --sizes 8,4K,1M,64M     bytes of the whole array; K and M are binary
  --rounds 5              every round runs every contestant once
  --collectives a,b       of ${PEER_COLLECTIVES.join(', ')}
  --contestants a,b       of ${CONTESTANT_IDS.join(', ')}
  --json FILE             everything that was measured
  --svg FILE              time and bus bandwidth over size
  --quick                 few sizes, ranks and rounds, a quarter of the calls: less than three minutes
  --help

See bench/README.md.`;

/** @throws HlsimError `HLSIM_USAGE` */
export function readPeerOptions(args: readonly string[]): PeerOptions {
  const values = parsed(args);
  const quick = values.quick === true;
  const defaults = quick ? QUICK_DEFAULTS : DEFAULTS;
  return {
    ranks: unique(list('ranks', values.ranks ?? defaults.ranks, integer(2, RANKS_MAX))),
    sizes: unique(list('sizes', values.sizes ?? defaults.sizes, sizeOf)).sort((a, b) => a - b),
    rounds: one('rounds', values.rounds ?? defaults.rounds, integer(1, ROUNDS_MAX)),
    collectives: unique(
      list('collectives', values.collectives ?? PEER_COLLECTIVES.join(), word(PEER_COLLECTIVES)),
    ),
    contestants: unique(
      list('contestants', values.contestants ?? CONTESTANT_IDS.join(), word(CONTESTANT_IDS)),
    ),
    quick,
    json: values.json,
    svg: values.svg,
    help: values.help === true,
  };
}

function parsed(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const toggle = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        ...{ ranks: text, sizes: text, rounds: text, collectives: text, contestants: text },
        ...{ json: text, svg: text, quick: toggle, help: toggle },
      },
    }).values;
  } catch (cause) {
    throw new HlsimError('HLSIM_USAGE', messageOf(cause), { cause });
  }
}

interface Reader<T> {
  readonly expected: string;
  read(text: string): T | undefined;
}

function integer(min: number, max: number): Reader<number> {
  return {
    expected: `a whole number from ${min} to ${max}`,
    read(text) {
      const value = Number(text);
      return /^\d+$/.test(text) && value >= min && value <= max ? value : undefined;
    },
  };
}

const sizeOf: Reader<number> = {
  expected: 'a size from 1 to 1G, such as 8, 4K or 64M',
  read(text) {
    const bytes = parseSize(text);
    return bytes !== undefined && bytes >= 1 && bytes <= SIZE_MAX ? bytes : undefined;
  },
};

function word<T extends string>(words: readonly T[]): Reader<T> {
  return { expected: `one of ${words.join(', ')}`, read: (text) => words.find((w) => w === text) };
}

function one<T>(flag: string, text: string, reader: Reader<T>): T {
  const value = reader.read(text.trim());
  if (value !== undefined) return value;
  throw new HlsimError(
    'HLSIM_USAGE',
    `Expected --${flag} to be ${reader.expected} but found ${JSON.stringify(text)}`,
  );
}

function list<T>(flag: string, text: string, reader: Reader<T>): T[] {
  return text.split(',').map((part) => one(flag, part, reader));
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
