/** R12, R13, R14: regions and requests that outlive each other. */
import { EVERY_POLICY, type Scenario } from '../scenario.ts';
import type { Stage } from '../stage.ts';
import { connectActors } from './connection.ts';
import { FROZEN_AFTER_MS } from './freeze.ts';

const BYTES = 1024 * 1024;
const WRITES = 32;

export const closedMidFlight: Scenario = {
  id: 'R12',
  name: 'closed-mid-flight',
  title: 'regions are closed at either end while writes between them are under way',
  question: 'Does every posted request end exactly once, and nothing else suffer?',
  risk: 'a request without an outcome, or bytes after its memory was given back',
  source: 'libfabric fabtests prov/efa mr_abort, 2026',
  hosts: 2,
  devices: 1,
  ownership: 'owner',
  policies: EVERY_POLICY,
  async run(stage) {
    const counts: number[] = [];
    for (const closers of [['initiator'], ['target'], ['initiator', 'target']]) {
      counts.push(await closeDuring(stage, closers));
    }
    await stage.verdict(
      counts.every((count) => count === WRITES),
      `Each of the ${3 * WRITES} writes has exactly one completion: done before the close, or an error.`,
    );
  },
};

async function closeDuring(stage: Stage, closers: readonly string[]): Promise<number> {
  const suffix = closers.map(([letter]) => letter).join('');
  const a = await stage.actor(`A-${suffix}`);
  const c = await stage.actor(`C-${suffix}`, { host: 1 });
  const [toC, toA] = await connectActors(a, c);
  const from = await a.needs('registers 1 MiB', 'registerOwn', toC.verbs, BYTES);
  const into = await c.needs('registers 1 MiB', 'registerOwn', toA.verbs, BYTES);
  await a.needs(
    `posts ${WRITES} writes of 1 MiB`,
    'postWrites',
    toC.end,
    from.mr,
    into.address,
    into.mr.rkey,
    BYTES,
    WRITES,
  );
  const closes = [];
  if (closers.includes('initiator')) {
    closes.push(a.does('deregisters its region', 'deregister', from.mr));
  }
  if (closers.includes('target')) {
    closes.push(c.does('deregisters its region', 'deregister', into.mr));
  }
  await Promise.all(closes);
  const statuses = await a.needs('collects its completions', 'collect', toC.end, WRITES);
  const { 'no completion': missing = 0, ...ended } = statuses;
  return Object.values(ended).reduce((sum, count) => sum + count, 0) - missing;
}

export const staleKey: Scenario = {
  id: 'R13',
  name: 'stale-key',
  title: 'a key is used after its region is gone and another has been made',
  question: 'Can an old key ever reach new memory?',
  risk: 'new memory behind an old key that a peer still has',
  source: 'J. Gunthorpe, 14 September 2021: destroying the region lets the key be used again',
  hosts: 2,
  devices: 1,
  ownership: 'owner',
  policies: EVERY_POLICY,
  async run(stage) {
    const a = await stage.actor('A');
    const c = await stage.actor('C', { host: 1 });
    const [toC, toA] = await connectActors(a, c);
    const mine = await a.needs('registers a text of its own', 'registerOwn', toC.verbs, 32);
    await a.needs('writes OVERWRITTEN into it', 'put', mine, 'OVERWRITTEN');
    const old = await c.needs('registers 32 bytes', 'registerOwn', toA.verbs, 32);
    await c.needs('deregisters them', 'deregister', old.mr);
    const fresh = await c.needs('registers 32 bytes again', 'registerOwn', toA.verbs, 32);
    await c.needs('keeps something there', 'put', fresh, 'untouched');
    const status = await a.needs(
      'writes with the old key, to the new address',
      'rdmaWrite',
      toC.end,
      mine,
      fresh.address,
      old.mr.rkey,
      11,
    );
    const left = await c.needs('looks at its new memory', 'show', fresh);
    await stage.verdict(
      status === 'IBV_WC_REM_ACCESS_ERR' &&
        left.startsWith('untouched') &&
        old.mr.rkey !== fresh.mr.rkey,
      'Keys are never given again in the life of a host: the old one names nothing.',
    );
  },
};

export const lostAcknowledgement: Scenario = {
  id: 'R14',
  name: 'lost-acknowledgement',
  title: 'atomic additions are sent again because their answers are late',
  question: 'Is every addition done once, however often it is asked for?',
  risk: 'a counter that is too high, and nobody who knows',
  source: 'InfiniBand duplicate request handling; Linux rxe_resp.c',
  hosts: 2,
  devices: 1,
  ownership: 'owner',
  policies: EVERY_POLICY,
  async run(stage) {
    const a = await stage.actor('A');
    const c = await stage.actor('C', { host: 1 });
    const [toC, toA] = await connectActors(a, c, { timeout: 15 });
    const before = await a.needs(
      'registers 8 bytes for the old values',
      'registerOwn',
      toC.verbs,
      8,
    );
    const counter = await c.needs('registers a counter, 0', 'registerOwn', toA.verbs, 8);
    await c.needs('has its host stopped for 400 ms, so that answers are late', 'freezeHost', 400);
    await a.quietly('sleep', FROZEN_AFTER_MS);
    const statuses = await a.needs(
      'posts 40 atomic additions of 1; nothing is acknowledged for 134 ms, so they go out again',
      'fetchAndAdd',
      toC.end,
      before,
      counter.address,
      counter.mr.rkey,
      40,
    );
    const value = await c.needs('reads its counter', 'number', counter);
    await stage.verdict(
      value === 40 && statuses['IBV_WC_SUCCESS'] === 40,
      `The counter is ${value} after 40 additions.`,
    );
  },
};
