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
import { ranksOf, roundUp } from '../common/math.ts';
import type { ChunkTable } from './chunks.ts';
import { PulledMemory } from './pulled-memory.ts';
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

export interface CellsRequest {
  readonly schedule: Schedule;
  readonly table: ChunkTable;
  /** Elements of every slice of a message but its last, if there are no more than `slicesMax` then. */
  readonly sliceElements: number;
  /** Into how many slices the longest message may be cut; into one, if slices would touch each other. */
  readonly slicesMax: number;
}

export interface PullRequest extends CellsRequest {
  readonly rank: Rank;
}

/** Slices begin at multiples of so many elements: every kernel then works on whole vectors. */
const SLICE_ELEMENTS = 64;

/** A transfer as its receiver sees it. */
interface Arrival {
  readonly transfer: Transfer;
  readonly round: number;
  /** Earlier rounds in which the sender writes what is read; of a local transfer they come first anyway. */
  readonly written: readonly number[];
  /** Who reads what is overwritten, and in which earlier round. */
  readonly read: readonly { readonly peer: Rank; readonly round: number }[];
}

/** The plan of one rank, or why there is none. */
export function pullPlan(request: PullRequest): PullPlan | NotPullable {
  const cells = pullCells(request);
  return 'reason' in cells ? cells : writePlan(request, cells);
}

/** The cells of all ranks, or why there are none. */
export function pullCells(request: CellsRequest): PullCells | NotPullable {
  const rounds = [...request.schedule.rounds()];
  const reason = obstacle(rounds);
  if (reason !== undefined) return { reason };
  const memory = new PulledMemory(request.schedule, request.table, rounds);
  if (memory.conflict !== undefined) return { reason: memory.conflict };
  return new PullCells(request, rounds, memory);
}

function obstacle(rounds: readonly (readonly Transfer[])[]): string | undefined {
  for (const { from, to, operand } of rounds.flat()) {
    const places = [from, to, ...(operand === undefined ? [] : [operand])];
    if (places.some(({ buffer }) => buffer === 'scratch')) return 'it keeps data in scratch memory';
  }
  return undefined;
}

/** Which rank pulls what in which cell, and which cells of others come before. */
export class PullCells {
  /** Of every rank. */
  readonly order: readonly { readonly slice: number; readonly stage: number }[];
  /** Of a whole vector, in the order of the rounds. */
  readonly arrivals: readonly Arrival[];
  readonly slices: number;
  /** Of every message; the last slice has what is left. */
  readonly #sliceElements: number;
  readonly #table: ChunkTable;
  /** Of each round. */
  readonly #stages: readonly number[];
  /** By receiver, and within that by stage. */
  readonly #byRank: readonly Arrival[][][];
  /** By slice and stage, how many cells are done after that one. */
  readonly #done = new Map<number, number>();

  constructor(
    { schedule, table, sliceElements, slicesMax }: CellsRequest,
    rounds: readonly (readonly Transfer[])[],
    memory: PulledMemory,
  ) {
    this.#table = table;
    const longest = longestMessage(rounds, table);
    const least = longest / (memory.isSliceable ? slicesMax : 1);
    this.#sliceElements = roundUp(Math.max(1, sliceElements, least), SLICE_ELEMENTS);
    this.slices = Math.max(1, Math.ceil(longest / this.#sliceElements));
    const arrivals = rounds.map((transfers, round) =>
      transfers.map((transfer) => ({
        ...{ transfer, round },
        written: transfer.src === transfer.dst ? [] : memory.writtenBefore(round, transfer),
        read: memory.readBefore(round, transfer),
      })),
    );
    this.arrivals = arrivals.flat();
    this.#stages = stagesOf(arrivals);
    const stages = (this.#stages.at(-1) ?? -1) + 1;
    this.#byRank = ranksOf(schedule.nranks).map(() => Array.from({ length: stages }, () => []));
    for (const arrival of this.arrivals) {
      const { round, transfer } = arrival;
      this.#byRank[transfer.dst]?.[this.#stages[round] as number]?.push(arrival);
    }
    this.order = walk(this.slices, stages);
    for (const [index, { slice, stage }] of this.order.entries())
      this.#done.set(this.#key(slice, stage), index + 1);
  }

  /** What `rank` takes in a stage, in order. */
  arrivalsAt(rank: Rank, stage: number): readonly Arrival[] {
    return this.#byRank[rank]?.[stage] ?? [];
  }

  /** `undefined` if the slice of it is empty, or it moves nothing. */
  pull({ transfer }: Arrival, slice: number): Pull | undefined {
    const { src, dst, from, to, count, operand, effect } = transfer;
    const whole = this.#table.range(src, from, count);
    const start = slice * this.#sliceElements;
    const length = Math.min(this.#sliceElements, whole.length - start);
    if (length <= 0) return undefined;
    const at = (rank: Rank, place: Place): PullRange => {
      assert(place.buffer !== 'scratch', 'Expected a schedule without scratch memory');
      const { offset } = this.#table.range(rank, place, count);
      return { buffer: place.buffer, offset: offset + start };
    };
    return {
      src,
      from: at(src, from),
      to: at(dst, to),
      operand: effect === 'reduce' ? at(dst, operand ?? to) : undefined,
      length,
    };
  }

  /** How many cells a rank has done as soon as it is through with a round of a slice. */
  doneAfter(slice: number, round: number): number {
    return this.#done.get(this.#key(slice, this.#stages[round] as number)) as number;
  }

  #key(slice: number, stage: number): number {
    return stage * this.slices + slice;
  }
}

/** A round that waits for another goes into a later stage, as do all behind it. */
function stagesOf(rounds: readonly (readonly Arrival[])[]): number[] {
  const stages: number[] = [];
  for (const [round, arrivals] of rounds.entries()) {
    let stage = stages[round - 1] ?? 0;
    for (const { written, read } of arrivals) {
      for (const after of [...written, ...read.map((one) => one.round)])
        stage = Math.max(stage, (stages[after] as number) + 1);
    }
    stages.push(stage);
  }
  return stages;
}

function writePlan({ schedule, table, rank }: PullRequest, cells: PullCells): PullPlan {
  const remote = cells.arrivals.filter(({ transfer }) => transfer.src !== transfer.dst);
  const served = remote.filter(({ transfer }) => transfer.src === rank);
  const last = new Needs();
  for (const { transfer, round } of served)
    last.add(transfer.dst, cells.doneAfter(cells.slices - 1, round));
  const given = served.map(({ transfer }) => transfer);
  const read = remote.map(({ transfer }) => transfer).filter(({ dst }) => dst === rank);
  return {
    cells: cells.order.map(({ slice, stage }) => pullCell(cells, rank, { slice, stage })),
    last: last.list(),
    elementsRead: elementsOf(read, table),
    elementsServed: elementsOf(given, table),
    reach: ranksOf(schedule.nranks).map((peer) =>
      extentsOf(
        read.filter(({ src }) => src === peer),
        table,
      ),
    ),
    served: extentsOf(given, table),
  };
}

function pullCell(
  cells: PullCells,
  rank: Rank,
  { slice, stage }: { readonly slice: number; readonly stage: number },
): PullCell {
  const needs = new Needs();
  const pulls: Pull[] = [];
  for (const arrival of cells.arrivalsAt(rank, stage)) {
    const pull = cells.pull(arrival, slice);
    if (pull === undefined) continue;
    pulls.push(pull);
    for (const round of arrival.written) needs.add(pull.src, cells.doneAfter(slice, round));
    for (const { peer, round } of arrival.read) needs.add(peer, cells.doneAfter(slice, round));
  }
  return { needs: needs.list(), pulls };
}

function elementsOf(transfers: readonly Transfer[], table: ChunkTable): number {
  return transfers.reduce((sum, { src, from, count }) => {
    return sum + table.range(src, from, count).length;
  }, 0);
}

function extentsOf(transfers: readonly Transfer[], table: ChunkTable): Extents {
  const extents = { input: 0, output: 0 };
  for (const { src, from, count } of transfers) {
    if (from.buffer === 'scratch') continue;
    const { offset, length } = table.range(src, from, count);
    extents[from.buffer] = Math.max(extents[from.buffer], offset + length);
  }
  return extents;
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

/** Elements of the longest message of a schedule. */
function longestMessage(rounds: readonly (readonly Transfer[])[], table: ChunkTable): number {
  let longest = 0;
  for (const { src, from, count } of rounds.flat())
    longest = Math.max(longest, table.range(src, from, count).length);
  return longest;
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
