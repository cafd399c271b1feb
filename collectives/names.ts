/** What the collectives are called on the command line: nccl-tests' names, and the same form for the others. */
import type { CollectiveName } from './collective.ts';

/** Every collective that can be called; `custom` has no name. */
export const COLLECTIVE_WORDS = {
  all_reduce: 'allReduce',
  all_gather: 'allGather',
  reduce_scatter: 'reduceScatter',
  broadcast: 'broadcast',
  reduce: 'reduce',
  alltoall: 'allToAll',
  gather: 'gather',
  scatter: 'scatter',
  sendrecv: 'sendRecv',
  barrier: 'barrier',
  all_gather_v: 'allGatherV',
  reduce_scatter_v: 'reduceScatterV',
  alltoall_v: 'allToAllV',
} as const satisfies Readonly<Record<string, CollectiveName>>;

export type CollectiveWord = keyof typeof COLLECTIVE_WORDS;

/** The collective of a name; `undefined`: there is none. */
export function collectiveOfWord(word: string): CollectiveName | undefined {
  return Object.entries(COLLECTIVE_WORDS).find(([known]) => known === word)?.[1];
}

/** The name of a collective; a `custom` one is called so. */
export function wordOfCollective(collective: CollectiveName): string {
  const found = Object.entries(COLLECTIVE_WORDS).find(([, known]) => known === collective);
  return found?.[0] ?? collective;
}
