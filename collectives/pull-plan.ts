/**
 * How a rank runs a schedule when it can read its peers' memory: it *pulls*. Nothing is sent; whoever
 * receives reads the bytes where they lie, and ranks tell each other only how far they have come.
 *
 * Rounds that wait for no peer belong to one *stage*, and a long vector is cut into slices, each of which is
 * a collective of its own. A *cell* is one stage of one slice. All ranks walk all cells in the same order
 * and count them; that count is all that a peer has to see:
 *
 *     slices 0, 1, 2 of stages A and B:   A0  A1 B0  A2 B1  B2
 *
 * The next slice's first stage goes before this slice's second, so that a peer that is a little behind is
 * not waited for, and what is read in the second is still in its cache.
 *
 * Before a cell a rank waits until (a) each peer that it reads from has written what it reads, and (b) each
 * peer that reads what it overwrites has done so. At the end it waits for those who still read its buffers.
 */
import { assert } from '../common/assert.ts';
import type { ChunkTable } from './chunks.ts';
import { BLOCKS } from './collective.ts';
import type { BufferName, Place, Rank, Schedule, Transfer } from './schedule.ts';

/** Elements of a buffer, from its start. */
export interface PullRange {
  readonly buffer: Exclude<BufferName, 'scratch'>;
  readonly offset: number;
}

/** `to` = `from` of rank `src`, or that (+) `operand`; `src` may be the rank itself. Elements. */
export interface Pull {
  readonly src: Rank;
  readonly from: PullRange;
  readonly to: PullRange;
  /** Only if it is a reduction. */
  readonly operand: PullRange | undefined;
  readonly length: number;
}

/** Rank `peer` must have finished `cells` cells. */
export interface PullNeed {
  readonly peer: Rank;
  readonly cells: number;
}

export interface PullCell {
  readonly needs: readonly PullNeed[];
  readonly pulls: readonly Pull[];
}

export interface PullPlan {
  readonly cells: readonly PullCell[];
  /** Before the rank's buffers may be used for anything else. */
  readonly last: readonly PullNeed[];
  /** Elements that this rank reads from others, and that others read from it. */
  readonly elementsRead: number;
  readonly elementsServed: number;
  /** Up to where this rank reads the buffers of each rank, in elements; 0 for its own. */
  readonly reach: readonly Extents[];
  /** Up to where others read this rank's. */
  readonly served: Extents;
}

/** Elements from the start of each buffer. */
export interface Extents {
  readonly input: number;
  readonly output: number;
}

/** Why a schedule cannot be pulled, for people. */
export interface NotPullable {
  readonly reason: string;
}

export interface PullRequest {
  readonly schedule: Schedule;
  readonly table: ChunkTable;
  readonly rank: Rank;
  /** Into how many slices the largest message should be cut; fewer if slices would touch each other. */
  readonly slices: number;
}

/** Slices begin at multiples of so many elements: every kernel then works on whole vectors. */
const SLICE_ELEMENTS = 64;

/** Part of a rank's memory in which input and output lie as they do in place: nothing less is safe. */
interface Span {
  readonly start: number;
  readonly end: number;
}

interface Access extends Span {
  /** Out of place a part of its own. */
  readonly buffer: BufferName;
  readonly round: number;
  /** Who reads, or writes. */
  readonly by: Rank;
  /** In place it copies bytes onto themselves. */
  readonly isOntoItself?: boolean;
}

/** What one rank's memory goes through, in the order of the rounds. */
interface History {
  readonly reads: Access[];
  readonly writes: Access[];
}

/** The plan of one rank, or why there is none. */
export function pullPlan(request: PullRequest): PullPlan | NotPullable {
  const rounds = [...request.schedule.rounds()];
  const reason = obstacle(rounds);
  if (reason !== undefined) return { reason };
  const memory = new PulledMemory(request.schedule, request.table, rounds);
  if (memory.conflict !== undefined) return { reason: memory.conflict };
  return new PlanWriter(request, rounds, memory).plan();
}

function obstacle(rounds: readonly (readonly Transfer[])[]): string | undefined {
  for (const { from, to, operand } of rounds.flat()) {
    const places = [from, to, ...(operand === undefined ? [] : [operand])];
    if (places.some(({ buffer }) => buffer === 'scratch')) return 'it keeps data in scratch memory';
  }
  return undefined;
}

/** Who reads and writes which part of whose memory, and when. */
class PulledMemory {
  readonly histories: readonly History[];
  /** Ranges touch without being the same: slices of one would touch several of the other. */
  isSliceable = true;
  conflict: string | undefined;
  readonly #schedule: Schedule;
  readonly #table: ChunkTable;

  constructor(schedule: Schedule, table: ChunkTable, rounds: readonly (readonly Transfer[])[]) {
    this.#schedule = schedule;
    this.#table = table;
    this.histories = Array.from({ length: schedule.nranks }, () => ({ reads: [], writes: [] }));
    for (const [round, transfers] of rounds.entries()) this.#record(round, transfers);
    for (const history of this.histories) this.#check(history);
  }

  span(rank: Rank, place: Place, count: number): Span {
    const { offset, length } = this.#table.range(rank, place, count);
    const start = offset + this.#shift(rank, place.buffer);
    return { start, end: start + length };
  }

  #record(round: number, transfers: readonly Transfer[]): void {
    for (const { src, dst, from, to, count, operand, effect } of transfers) {
      const [source, target] = [this.span(src, from, count), this.span(dst, to, count)];
      const isOntoItself = effect === 'copy' && src === dst && isSame(source, target);
      this.histories[src]?.reads.push({ ...source, buffer: from.buffer, round, by: dst });
      this.histories[dst]?.writes.push({
        ...{ ...target, buffer: to.buffer, round, by: dst },
        isOntoItself,
      });
      if (operand !== undefined && !isSamePlace(operand, to)) {
        const span = this.span(dst, operand, count);
        this.histories[dst]?.reads.push({ ...span, buffer: operand.buffer, round, by: dst });
      }
    }
  }

  /** Where a buffer starts in the memory of a rank that makes the call in place. */
  #shift(rank: Rank, buffer: BufferName): number {
    const rule = BLOCKS[this.#schedule.collective].inPlace;
    const inner = rule === 'inputInOutput' ? 'input' : 'output';
    if (rule === 'same' || buffer !== inner) return 0;
    const outer: BufferName = inner === 'input' ? 'output' : 'input';
    if (this.#table.bufferLength(rank, outer) === 0) return 0;
    return this.#table.range(rank, { buffer: outer, chunk: rank * this.#schedule.chunks }, 0)
      .offset;
  }

  #check({ reads, writes }: History): void {
    for (const write of writes) {
      for (const other of [...reads, ...writes]) {
        if (other === write || !touch(write, other)) continue;
        if (!isSame(write, other)) this.isSliceable = false;
        if (other.round === write.round && !isSpared(write, other) && !isOwnUpdate(write, other)) {
          this.conflict = `in round ${write.round} rank ${write.by} overwrites what another is to read`;
        }
      }
    }
  }
}

/** What copies its input onto itself takes nothing from those that read the input. Those of the output see it. */
function isSpared({ isOntoItself = false, buffer }: Access, other: Access): boolean {
  return isOntoItself && other.buffer !== buffer;
}

/** The same rank reads what it then replaces, in one pull. */
function isOwnUpdate(write: Access, other: Access): boolean {
  return other.by === write.by && isSame(write, other);
}

class PlanWriter {
  readonly #request: PullRequest;
  readonly #rounds: readonly (readonly Transfer[])[];
  readonly #memory: PulledMemory;
  /** Stage of each round. */
  readonly #stages: readonly number[];
  readonly #order: readonly { readonly slice: number; readonly stage: number }[];
  readonly #slices: number;
  /** By slice and stage, how many cells are done after that one. */
  readonly #done = new Map<number, number>();

  constructor(
    request: PullRequest,
    rounds: readonly (readonly Transfer[])[],
    memory: PulledMemory,
  ) {
    this.#request = request;
    this.#rounds = rounds;
    this.#memory = memory;
    this.#slices = memory.isSliceable ? Math.max(1, request.slices) : 1;
    this.#stages = this.#stagesOfRounds();
    this.#order = walk(this.#slices, (this.#stages.at(-1) ?? -1) + 1);
    for (const [index, { slice, stage }] of this.#order.entries())
      this.#done.set(this.#key(slice, stage), index + 1);
  }

  plan(): PullPlan {
    const { rank } = this.#request;
    const cells = this.#order.map(({ slice, stage }) => this.#cell(slice, stage));
    const served = this.#memory.histories[rank]?.reads.filter(({ by }) => by !== rank) ?? [];
    const last = new Needs();
    for (const { by, round } of served) last.add(by, this.#doneAfter(this.#slices - 1, round));
    const transfers = this.#rounds.flat().filter(({ src, dst }) => src !== dst);
    const read = transfers.filter(({ dst }) => dst === rank);
    const ranks = Array.from({ length: this.#request.schedule.nranks }, (_, peer) => peer);
    return {
      cells,
      last: last.list(),
      elementsRead: this.#elements(read),
      elementsServed: served.reduce((sum, { start, end }) => sum + end - start, 0),
      reach: ranks.map((peer) => this.#extents(read.filter(({ src }) => src === peer))),
      served: this.#extents(transfers.filter(({ src }) => src === rank)),
    };
  }

  #elements(transfers: readonly Transfer[]): number {
    const { table } = this.#request;
    return transfers.reduce((sum, { src, from, count }) => {
      return sum + table.range(src, from, count).length;
    }, 0);
  }

  #extents(transfers: readonly Transfer[]): Extents {
    const extents = { input: 0, output: 0 };
    for (const { src, from, count } of transfers) {
      if (from.buffer === 'scratch') continue;
      const { offset, length } = this.#request.table.range(src, from, count);
      extents[from.buffer] = Math.max(extents[from.buffer], offset + length);
    }
    return extents;
  }

  #stagesOfRounds(): number[] {
    const stages: number[] = [];
    for (const [round, transfers] of this.#rounds.entries()) {
      let stage = stages[round - 1] ?? 0;
      for (const transfer of transfers) {
        for (const { after } of this.#awaited(round, transfer)) {
          stage = Math.max(stage, (stages[after] as number) + 1);
        }
      }
      stages.push(stage);
    }
    return stages;
  }

  #cell(slice: number, stage: number): PullCell {
    const { rank } = this.#request;
    const needs = new Needs();
    const pulls: Pull[] = [];
    for (const [round, transfers] of this.#rounds.entries()) {
      if (this.#stages[round] !== stage) continue;
      for (const transfer of transfers) {
        if (transfer.dst !== rank) continue;
        const pull = this.#pull(transfer, slice);
        if (pull === undefined) continue;
        pulls.push(pull);
        for (const { peer, after } of this.#awaited(round, transfer))
          needs.add(peer, this.#doneAfter(slice, after));
      }
    }
    return { needs: needs.list(), pulls };
  }

  /** `undefined` if the slice of it is empty, or it moves nothing. */
  #pull({ src, dst, from, to, count, operand, effect }: Transfer, slice: number): Pull | undefined {
    const { table } = this.#request;
    const whole = table.range(src, from, count);
    const start = sliceStart(whole.length, slice, this.#slices);
    const length = sliceStart(whole.length, slice + 1, this.#slices) - start;
    if (length === 0) return undefined;
    const at = (rank: Rank, place: Place): PullRange => {
      assert(place.buffer !== 'scratch', 'Expected a schedule without scratch memory');
      return { buffer: place.buffer, offset: table.range(rank, place, count).offset + start };
    };
    return {
      src,
      from: at(src, from),
      to: at(dst, to),
      operand: effect === 'reduce' ? at(dst, operand ?? to) : undefined,
      length,
    };
  }

  /** Whose work of which earlier round the receiver of a transfer has to wait for. */
  *#awaited(
    round: number,
    { src, dst, from, to, count }: Transfer,
  ): Generator<{ peer: Rank; after: number }> {
    const source = this.#memory.span(src, from, count);
    if (src !== dst) {
      for (const write of this.#memory.histories[src]?.writes ?? []) {
        if (write.round < round && touch(write, source)) yield { peer: src, after: write.round };
      }
    }
    const target = this.#memory.span(dst, to, count);
    for (const read of this.#memory.histories[dst]?.reads ?? []) {
      const isEarlier = read.round < round && read.by !== dst;
      if (isEarlier && touch(read, target)) yield { peer: read.by, after: read.round };
    }
  }

  #doneAfter(slice: number, round: number): number {
    return this.#done.get(this.#key(slice, this.#stages[round] as number)) as number;
  }

  #key(slice: number, stage: number): number {
    return stage * this.#slices + slice;
  }
}

/** The order of cells: a slice is one stage behind the one before it. */
function walk(slices: number, stages: number): { slice: number; stage: number }[] {
  const cells: { slice: number; stage: number }[] = [];
  for (let step = 0; step < slices + stages - 1; step++) {
    for (let stage = 0; stage < stages; stage++) {
      const slice = step - stage;
      if (slice >= 0 && slice < slices) cells.push({ slice, stage });
    }
  }
  return cells;
}

/** Where slice `slice` of `slices` begins. */
function sliceStart(length: number, slice: number, slices: number): number {
  if (slice === slices) return length;
  const start = Math.floor((length * slice) / slices);
  return start - (start % SLICE_ELEMENTS);
}

/** The furthest that each peer has to have come. */
class Needs {
  readonly #cells = new Map<Rank, number>();

  add(peer: Rank, cells: number): void {
    this.#cells.set(peer, Math.max(cells, this.#cells.get(peer) ?? 0));
  }

  list(): PullNeed[] {
    return [...this.#cells].map(([peer, cells]) => ({ peer, cells }));
  }
}

function touch(a: Span, b: Span): boolean {
  return a.start < b.end && b.start < a.end;
}

function isSame(a: Span, b: Span): boolean {
  return a.start === b.start && a.end === b.end;
}

function isSamePlace(a: Place, b: Place): boolean {
  return a.buffer === b.buffer && a.chunk === b.chunk;
}
