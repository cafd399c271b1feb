/** What completions must say: each request ends once, in order, and a success has moved its bytes. */

import { ibv_poll_cq } from '../../../node/verbs/cq.ts';
import type { IbvWc } from '../../../node/verbs/wc.ts';
import type { Connection, End, Receive, Work } from './connection.ts';
import type { ShadowRegion, Slot } from './shadow-buffer.ts';
import type { World } from './world.ts';

/** Takes what has completed at an end and checks it; how many there were. */
export function poll(world: World, end: End, max: number): number {
  const taken = ibv_poll_cq(end.cq, max);
  if (typeof taken === 'string') {
    world.findings.check('I30', false, () => `Expected no overrun of a queue but found ${taken}`);
    return 0;
  }
  for (const completion of taken) {
    const posted = completion.wr_id as Work | Receive;
    if ('kind' in posted) sendCompleted(world, end, posted, completion);
    else receiveCompleted(world, end, posted, completion);
  }
  return taken.length;
}

function sendCompleted(world: World, end: End, work: Work, { status }: IbvWc): void {
  const { findings } = world;
  world.trace.add(`work ${work.number} ${status}`);
  const index = end.sends.indexOf(work);
  const once = findings.check(
    'I24',
    work.outcome === 'pending' && index >= 0,
    () => `Expected one completion of work ${work.number} but found another, ${status}`,
  );
  if (!once) return;
  const before = end.sends.splice(0, index);
  end.sends.shift();
  findings.check(
    'I25',
    before.every(({ signaled }) => !signaled),
    () =>
      `Expected completions in post order but work ${work.number} came before ${before[0]?.number}`,
  );
  const succeeded = status === 'IBV_WC_SUCCESS';
  findings.check(
    'I26',
    end.failed === undefined || status === 'IBV_WC_WR_FLUSH_ERR',
    () => `Expected work ${work.number} to be flushed after ${end.failed} but found ${status}`,
  );
  for (const earlier of before) if (end.failed === undefined) finished(world, earlier);
  if (work.length === 0) {
    findings.check(
      'I35',
      status !== 'IBV_WC_LOC_PROT_ERR' && status !== 'IBV_WC_REM_ACCESS_ERR',
      () => `Expected ${work.kind} ${work.number} of no bytes to need no key but found ${status}`,
    );
  }
  if (succeeded) {
    finished(world, work);
    return;
  }
  work.outcome = 'failed';
  uncertain(work);
  end.failed ??= status;
  end.connection().failed = true;
}

/** A success: it was allowed, and its bytes are where they belong. */
function finished(world: World, work: Work): void {
  const { findings } = world;
  work.outcome = 'succeeded';
  work.source.readers--;
  const kind = work.kind;
  findings.check(
    work.mustFail?.invariant ?? 'I4',
    work.mustFail === undefined,
    () => `Expected ${kind} ${work.number} to fail (${work.mustFail?.reason}) but it succeeded`,
  );
  if (work.target === undefined) return;
  added(world, work);
  const region = work.kind === 'write' ? work.remote : work.local;
  if (work.mustFail === undefined && work.expected.byteLength > 0) {
    checkBytes(world, work.target, region, work.number, work, `${kind} ${work.number}`);
  }
  work.target.writer = 0;
}

/** The counter's allocation, while it is still what it was. */
function counterOf(work: Work) {
  const { remote } = work;
  if (work.kind !== 'fetchAdd') return undefined;
  return remote.buffer.counter;
}

/** It may have been executed, and nobody can tell. */
function uncertain(work: Work): void {
  const counter = counterOf(work);
  if (counter === undefined) return;
  counter.outstanding--;
  counter.uncertain++;
}

/** A fetch-and-add has succeeded: nobody else may have fetched the same value. */
function added(world: World, work: Work): void {
  const counter = counterOf(work);
  const { target, local } = work;
  if (counter === undefined || target === undefined) return;
  counter.outstanding--;
  counter.added++;
  const { device } = local.buffer.opening;
  if (local.buffer.opening !== device.current || local.state !== 'live') return;
  if (target.writer !== work.number) return;
  const mostAdded = counter.added + counter.uncertain + counter.outstanding;
  const value = Buffer.from(device.bytes.buffer, target.offset, 8).readBigUInt64LE();
  world.findings.check(
    'I32',
    !counter.fetched.has(value) && value < BigInt(mostAdded),
    () =>
      `Expected fetch-and-add ${work.number} to fetch a value of its own below ${mostAdded} but found ${value}`,
  );
  counter.fetched.add(value);
}

function receiveCompleted(world: World, end: End, receive: Receive, completion: IbvWc): void {
  const { findings } = world;
  const { status, byte_len: length } = completion;
  world.trace.add(`receive ${receive.number} ${status}`);
  const isOldest = end.receives[0] === receive;
  findings.check(
    'I24',
    receive.outcome === 'pending' && isOldest,
    () => `Expected receives to complete once and in post order but found ${receive.number}`,
  );
  end.receives.splice(end.receives.indexOf(receive), 1);
  if (status !== 'IBV_WC_SUCCESS') {
    receive.outcome = 'failed';
    end.connection().failed = true;
    return;
  }
  receive.outcome = 'succeeded';
  const work = end.incoming.shift();
  findings.check(
    'I33',
    work !== undefined,
    () => `Expected receive ${receive.number} to take a send`,
  );
  findings.check(
    'I34',
    length === work?.length,
    () =>
      `Expected receive ${receive.number} to take the next send, of ${work?.length} bytes, but found ${length}`,
  );
  if (work !== undefined) {
    const what = `send ${work.number} in receive ${receive.number}`;
    checkBytes(world, receive.target, receive.region, receive.number, work, what);
  }
  receive.target.writer = 0;
}

/** Only while the memory is still whose it was: then nobody else may have written there. */
function checkBytes(
  world: World,
  target: Slot,
  region: ShadowRegion,
  writer: number,
  { expected, variant }: Work,
  what: string,
): void {
  const { opening } = region.buffer;
  const { device } = opening;
  if (opening !== device.current || region.state !== 'live' || target.writer !== writer) return;
  const found = Buffer.from(device.bytes.buffer, target.offset, expected.byteLength);
  world.findings.check(
    variant === 'inline' ? 'I31' : 'I6',
    Buffer.compare(found, expected) === 0,
    () => `Expected ${what} to have placed its ${expected.byteLength} bytes on ${device.name}`,
  );
  world.findings.check(
    'I32',
    device.lastWriter(target.offset) === writer,
    () => `Expected ${what} to be the last writer but found ${device.lastWriter(target.offset)}`,
  );
}

/** Nothing of the connection can move any more: its slots are free again. */
export function connectionOver(world: World, connection: Connection): void {
  for (const work of connection.works) {
    if (work.outcome === 'pending') {
      work.outcome = 'vanished';
      uncertain(work);
    }
    if (work.outcome !== 'succeeded') work.source.readers--;
    if (work.target?.writer === work.number) work.target.writer = 0;
  }
  for (const end of connection.ends) {
    for (const receive of end.receives.splice(0)) {
      receive.outcome = 'vanished';
      if (receive.target.writer === receive.number) receive.target.writer = 0;
    }
    world.ends.delete(`${end.user.host.index}/${end.qp.qp_num}`);
  }
  world.connections.splice(world.connections.indexOf(connection), 1);
  checkReasons(world, connection);
}

/** A connection that failed had a reason to. */
export function checkReasons(world: World, connection: Connection): void {
  if (!connection.failed) return;
  const explained =
    connection.disturbed !== undefined ||
    connection.works.some(
      ({ mustFail, local, remote }) =>
        mustFail !== undefined || local.wasInterrupted || remote.wasInterrupted,
    ) ||
    connection.receiveRegions.some(({ wasInterrupted }) => wasInterrupted);
  const sharedBuffer = connection.works.some(({ local, remote }) =>
    [local, remote].some(({ buffer }) => buffer.regions.size > 1),
  );
  world.findings.check(
    sharedBuffer ? 'I23' : 'I24',
    explained,
    () => `Expected connection ${connection.number} not to fail without a reason`,
  );
}
