/** What is to be predicted, and on what: one case of an experiment, from the command line or from a file. */
import type { CollectiveWord } from '../../collectives/names.ts';
import type { LinkModel } from '../prediction.ts';
import type { JitterRuns } from '../sweep.ts';
import type { NetworkChange } from '../topology/changes.ts';

export interface ExperimentCase {
  /** Of a case of a file; empty for the one case of a command line. */
  readonly name: string;
  readonly collective: CollectiveWord;
  /** Of a built-in topology, or the path of a file. */
  readonly topology: string;
  /** Absent: as many as the topology says. */
  readonly boxes?: readonly number[] | undefined;
  /** Cards of each box that take part; all if absent. */
  readonly cards?: number | undefined;
  readonly root: number;
  readonly sizes: readonly number[];
  /** Names, or `auto` or `all` alone. Absent: the schedule decides. */
  readonly algorithms?: 'auto' | 'all' | readonly string[] | undefined;
  /** Path of an MSCCL XML file. */
  readonly schedule?: string | undefined;
  readonly models: readonly LinkModel[];
  /** Simulates every rank, also those that are alike. */
  readonly exact: boolean;
  readonly sliceBytes?: number | undefined;
  readonly slots: number;
  readonly channels?: number | undefined;
  readonly chunks?: number | undefined;
  /** Path of a file with numbers in place of the topology's own. */
  readonly parameters?: string | undefined;
  /** How messages leave a box. */
  readonly path: 'direct' | 'bounce';
  readonly changes: readonly NetworkChange[];
  readonly jitter?: JitterRuns | undefined;
  /** Says why, of the last row. */
  readonly explain: boolean;
}

export interface Experiment {
  readonly name: string;
  readonly description?: string;
  readonly cases: readonly ExperimentCase[];
}

/** `--model` and `models:` write them so. */
export const MODEL_WORDS = {
  flow: 'flow',
  'alpha-beta': 'alphaBeta',
  'store-and-forward': 'storeAndForward',
  loggp: 'loggp',
} as const satisfies Readonly<Record<string, LinkModel>>;

export type ModelWord = keyof typeof MODEL_WORDS;

/** The word for a model. */
export function wordOfModel(model: LinkModel): string {
  return Object.entries(MODEL_WORDS).find(([, known]) => known === model)?.[0] ?? model;
}

/** What each model is, for headers. */
export const MODEL_SUMMARIES: Readonly<Record<LinkModel, string>> = {
  flow: 'messages share every link max-min fairly, time is never rounded',
  alphaBeta: 'one message at a time in and out of a rank, links do not contend',
  storeAndForward: 'link after link, first come first served, whole nanoseconds, GB = 2^30',
  loggp: 'LogGP: o to send, L + (s-1)G + o to arrive, g between sends; links do not contend',
};

/** What is taken where a command line or a file says nothing. */
export const LIMITS = {
  boxes: 16_384,
  cards: 16_384,
  /** A size of 1 TiB. */
  bytes: 2 ** 40,
  slots: 1_000_000,
  channels: 64,
  chunks: 65_536,
  runs: 10_000,
} as const;
