/**
 * hcclCommSplit: every rank of the parent tells its color and key; those of one color become a
 * communicator, in the order of their keys, then of their old ranks.
 *
 * The words go through the job's store. Rank 0 collects them and publishes the list, or who is missing,
 * so that all ranks come to the same end.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Rank } from '../../collectives/schedule.ts';
import { withDeadline } from '../../common/deferred.ts';
import { ranksOf } from '../../common/math.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import { type HcclFailure, hcclError } from './failure.ts';
import { HCCL_SPLIT_NOCOLOR } from './hccl.ts';
import type { CommKey, JobRank, JobServices } from './job-services.ts';
import { ranksText } from './rank-text.ts';

/** How long rank 0 waits for the others. */
export const SPLIT_TIMEOUT_MS = 30_000;
/** How much longer the others wait for rank 0's word. */
const WORD_MS = 5_000;

/** What a rank says. */
export interface SplitWord {
  readonly color: number;
  readonly key: number;
}

export interface SplitRequest extends SplitWord {
  readonly parent: CommKey;
  readonly rank: Rank;
  readonly nranks: number;
  /** Which split of the parent it is, from 1. */
  readonly number: number;
}

export interface SplitServices {
  readonly job: JobRank;
  readonly store: Pick<JobServices, 'storeSet' | 'storeGet'>;
  readonly scheduler: Scheduler;
}

/** The communicator that a rank comes to be in. */
export interface SplitPart {
  readonly key: CommKey;
  readonly rank: Rank;
  readonly nranks: number;
}

const wordSchema = z.object({ color: z.int(), key: z.int() });
const outcomeSchema = z.union([
  z.object({ words: z.array(wordSchema) }),
  z.object({ missing: z.array(z.int()) }),
]);

/**
 * Tells this rank's word and hears the others'; `null` for a rank without color. Throws hcclInvalidUsage,
 * on every rank that called, if another has not within `SPLIT_TIMEOUT_MS`.
 */
export async function splitPart(
  request: SplitRequest,
  services: SplitServices,
): Promise<SplitPart | null> {
  const { parent, rank, number, color } = request;
  const name = `hlsim.split.${nameOf(parent)}.${number}`;
  const words =
    rank === 0 ? await collect(request, name, services) : await hear(request, name, services);
  if (color === HCCL_SPLIT_NOCOLOR) return null;
  const members = words
    .map((word, old) => ({ ...word, old }))
    .filter((word) => word.color === color)
    .sort((a, b) => a.key - b.key || a.old - b.old);
  const key = { ...parent, uniqueId: `${name}.${color}` };
  return { key, rank: members.findIndex(({ old }) => old === rank), nranks: members.length };
}

/** Rank 0: waits for everybody's word and publishes them all. */
async function collect(
  request: SplitRequest,
  name: string,
  { job, store, scheduler }: SplitServices,
): Promise<readonly SplitWord[]> {
  const { nranks, color, key } = request;
  const others = ranksOf(nranks).slice(1);
  const late = () => new Error('No word came');
  const heard = await Promise.allSettled(
    others.map(async (rank) => {
      const word = store.storeGet(job, `${name}.${rank}`);
      return wordOf(await withDeadline(scheduler, SPLIT_TIMEOUT_MS, word, late));
    }),
  );
  const missing = others.filter((_, index) => heard[index]?.status === 'rejected');
  const words = [
    { color, key },
    ...heard.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])),
  ];
  const outcome = missing.length > 0 ? { missing } : { words };
  store.storeSet(job, `${name}.all`, JSON.stringify(outcome));
  if (missing.length > 0) throw hcclError(missingFailure(request, missing));
  return words;
}

/** Another rank: says its word and waits for rank 0's. */
async function hear(
  request: SplitRequest,
  name: string,
  { job, store, scheduler }: SplitServices,
): Promise<readonly SplitWord[]> {
  const { rank, color, key } = request;
  store.storeSet(job, `${name}.${rank}`, JSON.stringify({ color, key }));
  const all = store.storeGet(job, `${name}.all`);
  const late = () => hcclError(missingFailure(request, [0]));
  const text = await withDeadline(scheduler, SPLIT_TIMEOUT_MS + WORD_MS, all, late);
  const outcome = outcomeSchema.parse(JSON.parse(text));
  if ('words' in outcome) return outcome.words;
  throw hcclError(missingFailure(request, outcome.missing));
}

function wordOf(text: string): SplitWord {
  return wordSchema.parse(JSON.parse(text));
}

function missingFailure({ number }: SplitRequest, missing: readonly Rank[]): HcclFailure {
  return {
    result: 'hcclInvalidUsage',
    message: `Expected every rank of the communicator to call hcclCommSplit for the ${number}. time within ${SPLIT_TIMEOUT_MS} ms but ${ranksText(missing)} did not`,
  };
}

/** A name for keys, short whatever the unique id is. */
function nameOf({ uniqueId, epoch }: CommKey): string {
  return createHash('sha256').update(`${uniqueId} ${epoch}`).digest('hex').slice(0, 32);
}
