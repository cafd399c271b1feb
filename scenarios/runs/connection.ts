/** Two actors with one queue pair each, connected: what most scenarios about RDMA begin with. */
import type { ConnectionSettings, QueuePairEnd, Verbs } from '../acts/verbs.ts';
import type { Actor } from '../stage.ts';

export interface Connected {
  readonly verbs: Verbs;
  readonly end: QueuePairEnd;
}

/** Opens the NIC for each and connects them. One line in the transcript. */
export async function connectActors(
  one: Actor,
  other: Actor,
  settings: ConnectionSettings = {},
): Promise<readonly [Connected, Connected]> {
  const mine = await prepared(one);
  const theirs = await prepared(other);
  await must(one.quietly('connect', mine.end, theirs.end, settings));
  await one.tells(`connects a queue pair with ${other.identity.name}`);
  await must(other.quietly('connect', theirs.end, mine.end, settings));
  return [mine, theirs];
}

async function prepared(actor: Actor): Promise<Connected> {
  const verbs = await must(actor.quietly('openVerbs'));
  return { verbs, end: await must(actor.quietly('makeQueuePair', verbs)) };
}

/** The value of an act that a scenario cannot do without. */
export async function must<T>(
  outcome: Promise<
    | { readonly ok: true; readonly value: T }
    | { readonly ok: false; readonly code: string; readonly message: string }
  >,
): Promise<T> {
  const settled = await outcome;
  if (settled.ok) return settled.value;
  throw new Error(`Expected an act to succeed but found: ${settled.message}`);
}
