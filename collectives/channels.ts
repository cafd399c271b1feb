/**
 * Spreads a schedule over several channels: each carries the whole algorithm on its own part of every
 * block, so that the parts go through their rounds independently of each other.
 *
 * A block of `chunks` chunks becomes one of `channels * chunks`: first all those of channel 0, then all
 * those of channel 1. Runs of chunks stay runs, but for where they cross from one block into the next.
 */
import { assert } from '../common/assert.ts';
import { BLOCKS } from './collective.ts';
import type { Alikeness, Place, Rank, Round, Schedule, Transfer } from './schedule.ts';

/** As `schedule`, with `channels` times its channels and its chunks. 1 gives it back. */
export function onChannels(schedule: Schedule, channels: number): Schedule {
  assert(channels >= 1, `Expected at least 1 channel but found ${channels}`);
  if (channels === 1) return schedule;
  const { chunks, scratch } = schedule;
  const spread = new Spreading(schedule, channels);
  return {
    ...schedule,
    alike: stillAlike(schedule),
    chunks: chunks * channels,
    scratch: Array.from({ length: channels }).flatMap((_, part) =>
      scratch.map((logical) => spread.inBlock(logical, part)),
    ),
    *rounds(rank) {
      for (const round of schedule.rounds(rank)) yield spread.round(own(round, rank));
    },
  };
}

/**
 * A run of several blocks falls into one message for each, in the order of their numbers, which renumbering may
 * change. Around one ring there are no such runs, as they would not stay in one piece.
 */
function stillAlike(schedule: Schedule): Alikeness | undefined {
  const { alike, collective } = schedule;
  const isInRing = alike?.ranksPerBox === 1 && alike.boxes === 'rotation';
  return isInRing || BLOCKS[collective].logicalBlocks(schedule) === 1 ? alike : undefined;
}

/** The transfers that have `rank` at one end: one rank's program needs no other, and they are many. */
function own(round: Round, rank: Rank | undefined): Round {
  return rank === undefined ? round : round.filter(({ src, dst }) => src === rank || dst === rank);
}

class Spreading {
  readonly #schedule: Schedule;
  readonly #channels: number;

  constructor(schedule: Schedule, channels: number) {
    this.#schedule = schedule;
    this.#channels = channels;
  }

  round(round: Round): Round {
    const spread: Transfer[] = [];
    for (const transfer of round) {
      for (const piece of this.#withinBlocks(transfer)) {
        for (let part = 0; part < this.#channels; part++) spread.push(this.#moved(piece, part));
      }
    }
    return spread;
  }

  /** Where chunk `chunk` of a buffer of blocks is when `part` of it is meant. */
  inBlock(chunk: number, part: number): number {
    const { chunks } = this.#schedule;
    const block = Math.floor(chunk / chunks);
    return (block * this.#channels + part) * chunks + (chunk % chunks);
  }

  #moved(transfer: Transfer, part: number): Transfer {
    const { from, to, operand, channel = 0 } = transfer;
    return {
      ...transfer,
      from: this.#place(from, part),
      to: this.#place(to, part),
      ...(operand === undefined ? {} : { operand: this.#place(operand, part) }),
      channel: channel * this.#channels + part,
    };
  }

  #place({ buffer, chunk }: Place, part: number): Place {
    if (buffer !== 'scratch') return { buffer, chunk: this.inBlock(chunk, part) };
    return { buffer, chunk: part * this.#schedule.scratch.length + chunk };
  }

  /** The transfer in pieces of which none crosses the end of a block at any place. */
  *#withinBlocks(transfer: Transfer): Generator<Transfer> {
    const { from, to, operand = to, count } = transfer;
    let start = 0;
    while (start < count) {
      const rooms = [from, to, operand].map((place) => this.#roomIn(place, start));
      const length = Math.min(count - start, ...rooms);
      yield {
        ...transfer,
        from: later(from, start),
        to: later(to, start),
        ...(transfer.operand === undefined ? {} : { operand: later(operand, start) }),
        count: length,
      };
      start += length;
    }
  }

  #roomIn({ buffer, chunk }: Place, offset: number): number {
    const { chunks } = this.#schedule;
    if (buffer === 'scratch') return Number.POSITIVE_INFINITY;
    return chunks - ((chunk + offset) % chunks);
  }
}

function later({ buffer, chunk }: Place, offset: number): Place {
  return { buffer, chunk: chunk + offset };
}
