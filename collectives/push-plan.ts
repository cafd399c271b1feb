/**
 * How a rank runs the cells of a pull plan (`pull-plan.ts`) where it cannot read its peers' memory: whoever
 * is read from *pushes* what would have been read, over a link to each peer. What a message is and where it
 * goes both ends know from the plan; nothing but bytes is sent.
 *
 *     rank 0  A0 | A1 B0 | A2 B1 | B2         its cells, in order, each with the messages that it takes
 *     to 1    . a0 . a1 b0 . a2 b1 . b2       its messages to rank 1, each after some cell of its own
 *
 * A sender sends each peer's messages in order, each as soon as it has done so many cells of its own
 * (`afterCells`), whatever it is waiting for itself. A receiver takes the messages of a link in the order of
 * its pulls. Before a cell a rank waits until what it overwrites has been sent (`sent`).
 *
 * That ends on links that hold any number of bytes, or none: let `c` be the least number of cells that a rank
 * has done. Whatever its next cell waits for is a message of a cell before `c`, which every rank has behind
 * it, or one of `c` itself, which the sender may send after `c` cells at most.
 */
import { assert } from '../common/assert.ts';
import { ranksOf } from '../common/math.ts';
import {
  type NotPullable,
  type Pull,
  type PullCells,
  type PullRange,
  type PullRequest,
  pullCells,
} from './pull-plan.ts';
import type { Rank } from './schedule.ts';

/** Elements of this rank's that are sent to a peer. */
export interface PushMessage {
  readonly from: PullRange;
  readonly length: number;
  /** Cells that this rank must have done. */
  readonly afterCells: number;
}

/** So many messages to `peer` must have been sent, counted from the start. */
export interface PushNeed {
  readonly peer: Rank;
  readonly messages: number;
}

export interface PushCell {
  /** Before the cell may overwrite what they read. */
  readonly sent: readonly PushNeed[];
  /** Those of `src === rank` are local; each other one takes the next message of `src`. */
  readonly pulls: readonly Pull[];
}

export interface PushPlan {
  readonly cells: readonly PushCell[];
  /** By peer, in order; none to itself. All of them must have been sent before the buffers are used for anything else. */
  readonly outbound: readonly (readonly PushMessage[])[];
  readonly elementsSent: number;
  readonly elementsReceived: number;
}

/** Messages to one peer. */
interface Outbound {
  readonly messages: readonly PushMessage[];
  /** How many of them the peer takes in its first so many cells. */
  readonly taken: readonly number[];
}

/** The plan of one rank, or why there is none. */
export function pushPlan(request: PullRequest): PushPlan | NotPullable {
  const cells = pullCells(request);
  if ('reason' in cells) return cells;
  const { rank, schedule } = request;
  const outbound = ranksOf(schedule.nranks).map((peer) => outboundOf(cells, rank, peer));
  const messages = outbound.map((one) => one.messages);
  const own = cells.order.map(({ slice, stage }) =>
    pushCell(cells, rank, { slice, stage, outbound }),
  );
  const received = own.flatMap(({ pulls }) => pulls.filter(({ src }) => src !== rank));
  return {
    cells: own,
    outbound: messages,
    elementsSent: elementsOf(messages.flat()),
    elementsReceived: elementsOf(received),
  };
}

function outboundOf(cells: PullCells, rank: Rank, peer: Rank): Outbound {
  const messages: PushMessage[] = [];
  const taken = [0];
  for (const { slice, stage } of peer === rank ? [] : cells.order) {
    for (const arrival of cells.arrivalsAt(peer, stage)) {
      if (arrival.transfer.src !== rank) continue;
      const pull = cells.pull(arrival, slice);
      if (pull === undefined) continue;
      const { from, length } = pull;
      const afterCells = arrival.written.reduce(
        (most, round) => Math.max(most, cells.doneAfter(slice, round)),
        0,
      );
      messages.push({ from, length, afterCells });
    }
    taken.push(messages.length);
  }
  return { messages, taken };
}

function pushCell(
  cells: PullCells,
  rank: Rank,
  {
    slice,
    stage,
    outbound,
  }: { readonly slice: number; readonly stage: number; readonly outbound: readonly Outbound[] },
): PushCell {
  const sent = new Map<Rank, number>();
  const pulls: Pull[] = [];
  for (const arrival of cells.arrivalsAt(rank, stage)) {
    const pull = cells.pull(arrival, slice);
    if (pull === undefined) continue;
    pulls.push(pull);
    for (const { peer, round } of arrival.read) {
      const messages = outbound[peer]?.taken[cells.doneAfter(slice, round)];
      assert(messages !== undefined, `Expected the messages of round ${round} to rank ${peer}`);
      if (messages > 0) sent.set(peer, Math.max(messages, sent.get(peer) ?? 0));
    }
  }
  return { sent: [...sent].map(([peer, messages]) => ({ peer, messages })), pulls };
}

function elementsOf(moved: readonly { readonly length: number }[]): number {
  return moved.reduce((sum, { length }) => sum + length, 0);
}
