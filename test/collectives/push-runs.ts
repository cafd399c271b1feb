/**
 * Runs the push plans of all ranks on numbers. Each rank has a thread that walks its cells; each ordered pair
 * of ranks has a link that takes a few elements at a time from the sender's memory. Whoever can go on may be
 * the next, so that messages lie half sent, and half received, for as long as the order wants.
 */
import { chunkTable, type ElementCounts } from '../../collectives/chunks.ts';
import type { NotPullable, Pull } from '../../collectives/pull-plan.ts';
import { type PushMessage, type PushPlan, pushPlan } from '../../collectives/push-plan.ts';
import type { Rank, Schedule } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';
import { ranksOf } from '../../common/math.ts';
import type { Prng } from '../../common/prng.ts';
import { PlanMemory, type PlanMemoryInit } from './plan-memory.ts';
import { plansOfRanks } from './plans-of-ranks.ts';

/** A rank's thread, or its link to a peer. */
export interface Actor {
  readonly rank: Rank;
  readonly peer: Rank | undefined;
}

/** Picks one of those that can go on, which are never none. */
export type ActorOrder = (able: readonly Actor[]) => Actor;

export interface PushRun extends PlanMemoryInit {
  readonly plans: readonly PushPlan[];
  /** Elements that a link holds; 0: they go straight from memory to memory while the receiver takes them. */
  readonly capacity: number;
  /** How many elements go at a time. */
  readonly prng: Prng;
}

/** The plans of all ranks, or why there are none. */
export function pushPlansOf(
  schedule: Schedule,
  counts: ElementCounts,
  slices: number,
): readonly PushPlan[] | NotPullable {
  const table = chunkTable(schedule, counts);
  return plansOfRanks(schedule.nranks, (rank) =>
    pushPlan({ schedule, table, rank, sliceElements: 1, slicesMax: slices }),
  );
}

/** What went wrong, in words; `undefined` if every rank got what it should. */
export function runPushes(run: PushRun, order: ActorOrder): string | undefined {
  return disagreement(run.plans) ?? new PushRunner(run).run(order);
}

/** Both ends of each link name the same elements in the same order. */
function disagreement(plans: readonly PushPlan[]): string | undefined {
  for (const [dst, { cells, elementsReceived }] of plans.entries()) {
    const pulls = cells.flatMap((cell) => cell.pulls);
    const received = plans.map((_, src) => pulls.filter((pull) => src !== dst && pull.src === src));
    for (const [src, plan] of plans.entries()) {
      const sent = (plan.outbound[dst] ?? []).map(({ from, length }) => ({ from, length }));
      const taken = defined(received[src], 'pulls').map(({ from, length }) => ({ from, length }));
      if (JSON.stringify(sent) !== JSON.stringify(taken))
        return `ranks ${src} and ${dst} do not mean the same messages`;
    }
    if (elementsReceived !== lengthOf(received.flat())) return `rank ${dst} counts wrongly`;
    if (plans[dst]?.elementsSent !== lengthOf(defined(plans[dst], 'a plan').outbound.flat()))
      return `rank ${dst} counts wrongly what it sends`;
  }
  return undefined;
}

function lengthOf(moved: readonly { readonly length: number }[]): number {
  return moved.reduce((sum, { length }) => sum + length, 0);
}

/** A link's messages, one after the other. */
interface Link {
  readonly messages: readonly PushMessage[];
  /** Messages that have been sent altogether, and elements of the one under way. */
  sent: number;
  elements: number;
  /** What is under way. */
  readonly held: number[];
}

/** Where a thread is. */
interface Progress {
  cells: number;
  pulls: number;
  /** Of the pull under way. */
  elements: number;
}

class PushRunner {
  readonly #run: PushRun;
  readonly #memory: PlanMemory;
  readonly #progress: readonly Progress[];
  /** By sender and receiver. */
  readonly #links: readonly (readonly Link[])[];
  readonly #actors: readonly Actor[];

  constructor(run: PushRun) {
    this.#run = run;
    this.#memory = new PlanMemory(run);
    const ranks = ranksOf(run.schedule.nranks);
    this.#progress = ranks.map(() => ({ cells: 0, pulls: 0, elements: 0 }));
    this.#links = run.plans.map(({ outbound }) =>
      outbound.map((messages) => ({ messages, sent: 0, elements: 0, held: [] })),
    );
    const pairs = ranks.flatMap((rank) => ranks.map((peer) => ({ rank, peer })));
    const linked = pairs.filter(({ rank, peer }) => this.#link(rank, peer).messages.length > 0);
    this.#actors = [...ranks.map((rank) => ({ rank, peer: undefined })), ...linked];
  }

  run(order: ActorOrder): string | undefined {
    const ranks = ranksOf(this.#run.schedule.nranks);
    while (!ranks.every((rank) => this.#memory.isFinished(rank))) {
      const able = this.#actors.filter((actor) => this.#isAble(actor));
      if (able.length === 0) return 'all wait for ever';
      const { rank, peer } = order(able);
      if (peer === undefined) this.#step(rank);
      else this.#send(rank, peer);
    }
    for (const rank of ranks) this.#memory.check(rank);
    if (this.#links.flat().some(({ held }) => held.length > 0))
      this.#memory.fault('a message is left');
    return this.#memory.wrong;
  }

  #link(rank: Rank, peer: Rank): Link {
    return defined(this.#links[rank]?.[peer], 'a link');
  }

  #progressOf(rank: Rank): Progress {
    return defined(this.#progress[rank], 'progress');
  }

  #isAble({ rank, peer }: Actor): boolean {
    return peer === undefined ? this.#canStep(rank) : this.#canSend(rank, peer);
  }

  #canStep(rank: Rank): boolean {
    const cell = this.#run.plans[rank]?.cells[this.#progressOf(rank).cells];
    if (cell === undefined) {
      const links = defined(this.#links[rank], 'links');
      const isSent = links.every(({ sent, messages }) => sent === messages.length);
      return isSent && !this.#memory.isFinished(rank);
    }
    if (cell.pulls.length === 0) return true;
    const pull = this.#openPull(rank);
    if (pull === undefined || pull.src === rank) return pull !== undefined;
    return this.#link(pull.src, rank).held.length > 0;
  }

  /** The pull that a rank may do something of; `undefined` if what it overwrites is still to be sent. */
  #openPull(rank: Rank): Pull | undefined {
    const { cells, pulls } = this.#progressOf(rank);
    const cell = this.#run.plans[rank]?.cells[cells];
    const isFree = cell?.sent.every(
      ({ peer, messages }) => this.#link(rank, peer).sent >= messages,
    );
    return isFree ? cell?.pulls[pulls] : undefined;
  }

  #canSend(rank: Rank, peer: Rank): boolean {
    const { messages, sent, held } = this.#link(rank, peer);
    const message = messages[sent];
    if (message === undefined || this.#progressOf(rank).cells < message.afterCells) return false;
    const { capacity } = this.#run;
    return capacity > 0 ? held.length < capacity : this.#openPull(peer)?.src === rank;
  }

  #send(rank: Rank, peer: Rank): void {
    const link = this.#link(rank, peer);
    const { capacity } = this.#run;
    const { from, length } = defined(link.messages[link.sent], 'a message');
    const room = capacity > 0 ? capacity - link.held.length : length;
    const piece = this.#piece(Math.min(length - link.elements, room));
    const { buffer, offset } = from;
    const values = this.#memory.at(rank, { buffer, offset: offset + link.elements }, piece);
    link.held.push(...values);
    link.elements += piece;
    if (link.elements === length) {
      link.elements = 0;
      link.sent++;
    }
    if (capacity === 0) this.#take(peer, defined(this.#openPull(peer), 'a pull'), piece);
  }

  #step(rank: Rank): void {
    const progress = this.#progressOf(rank);
    const cell = this.#run.plans[rank]?.cells[progress.cells];
    const pull = cell?.pulls[progress.pulls];
    if (cell === undefined) {
      this.#memory.finish(rank);
    } else if (pull === undefined) {
      progress.cells++;
    } else if (pull.src === rank) {
      this.#memory.take(rank, pull, 0, this.#memory.at(rank, pull.from, pull.length));
      this.#advance(rank, pull.length);
    } else {
      const most = Math.min(
        pull.length - progress.elements,
        this.#link(pull.src, rank).held.length,
      );
      this.#take(rank, pull, this.#piece(most));
    }
  }

  #take(rank: Rank, pull: Pull, elements: number): void {
    const values = this.#link(pull.src, rank).held.splice(0, elements);
    this.#memory.take(rank, pull, this.#progressOf(rank).elements, Float64Array.from(values));
    this.#advance(rank, elements);
  }

  #advance(rank: Rank, elements: number): void {
    const progress = this.#progressOf(rank);
    const { pulls } = defined(this.#run.plans[rank]?.cells[progress.cells], 'a cell');
    progress.elements += elements;
    if (progress.elements < defined(pulls[progress.pulls], 'a pull').length) return;
    progress.elements = 0;
    progress.pulls++;
    if (progress.pulls < pulls.length) return;
    progress.pulls = 0;
    progress.cells++;
  }

  /** All of it half of the time, and any part else. */
  #piece(most: number): number {
    const { prng } = this.#run;
    return prng.below(2) === 0 ? most : 1 + prng.below(most);
  }
}
