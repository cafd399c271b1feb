/**
 * What the memory of every rank goes through in a schedule, where receivers read the bytes where they lie:
 * who reads and writes which part of it in which round, and whom that makes wait for whom.
 */
import type { ChunkTable } from './chunks.ts';
import { BLOCKS } from './collective.ts';
import type { BufferName, Place, Rank, Schedule, Transfer } from './schedule.ts';

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

/** Who reads and writes which part of whose memory, and when. */
export class PulledMemory {
  readonly #histories: readonly History[];
  /** Ranges touch without being the same: slices of one would touch several of the other. */
  isSliceable = true;
  conflict: string | undefined;
  readonly #schedule: Schedule;
  readonly #table: ChunkTable;

  constructor(schedule: Schedule, table: ChunkTable, rounds: readonly (readonly Transfer[])[]) {
    this.#schedule = schedule;
    this.#table = table;
    this.#histories = Array.from({ length: schedule.nranks }, () => ({ reads: [], writes: [] }));
    for (const [round, transfers] of rounds.entries()) this.#record(round, transfers);
    for (const history of this.#histories) this.#check(history);
  }

  /** Earlier rounds in which the sender writes what this transfer reads. */
  writtenBefore(round: number, { src, from, count }: Transfer): readonly number[] {
    const source = this.#span(src, from, count);
    const writes = this.#histories[src]?.writes ?? [];
    return writes
      .filter((write) => write.round < round && touch(write, source))
      .map((write) => write.round);
  }

  /** Others that read, in earlier rounds, what the receiver of this transfer overwrites. */
  readBefore(
    round: number,
    { dst, to, count }: Transfer,
  ): readonly { readonly peer: Rank; readonly round: number }[] {
    const target = this.#span(dst, to, count);
    const reads = this.#histories[dst]?.reads ?? [];
    return reads
      .filter((read) => read.round < round && read.by !== dst && touch(read, target))
      .map((read) => ({ peer: read.by, round: read.round }));
  }

  #span(rank: Rank, place: Place, count: number): Span {
    const { offset, length } = this.#table.range(rank, place, count);
    const start = offset + this.#shift(rank, place.buffer);
    return { start, end: start + length };
  }

  #record(round: number, transfers: readonly Transfer[]): void {
    for (const { src, dst, from, to, count, operand, effect } of transfers) {
      const [source, target] = [this.#span(src, from, count), this.#span(dst, to, count)];
      const isOntoItself = effect === 'copy' && src === dst && isSame(source, target);
      this.#histories[src]?.reads.push({ ...source, buffer: from.buffer, round, by: dst });
      this.#histories[dst]?.writes.push({
        ...{ ...target, buffer: to.buffer, round, by: dst },
        isOntoItself,
      });
      if (operand !== undefined && !isSamePlace(operand, to)) {
        const span = this.#span(dst, operand, count);
        this.#histories[dst]?.reads.push({ ...span, buffer: operand.buffer, round, by: dst });
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

function touch(a: Span, b: Span): boolean {
  return a.start < b.end && b.start < a.end;
}

function isSame(a: Span, b: Span): boolean {
  return a.start === b.start && a.end === b.end;
}

function isSamePlace(a: Place, b: Place): boolean {
  return a.buffer === b.buffer && a.chunk === b.chunk;
}
