/** Schedules at random: any rounds that are allowed, all-reduces, and exchanges that promise nothing. */
import {
  type CollectiveName,
  chunksIn,
  logicalChunk,
  logicalChunks,
} from '../../collectives/collective.ts';
import { memoryMap } from '../../collectives/memory.ts';
import type { BufferName, Place, Round, Schedule, Transfer } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';
import { ranksOf } from '../../common/math.ts';
import { Prng } from '../../common/prng.ts';

const BUFFERS: readonly BufferName[] = ['input', 'output', 'scratch'];
const SHAPES: readonly CollectiveName[] = [
  'allReduce',
  'allGather',
  'broadcast',
  'reduceScatter',
  'reduce',
  'allToAll',
  'gather',
  'scatter',
  'sendRecv',
  'allGatherV',
  'reduceScatterV',
];

/** On two channels, of any collective with a sum or without a reduction. */
export function randomSchedule(seed: number): Schedule {
  return new RandomSchedule(seed).build();
}

/** Rounds without any aim, but of which every step is allowed: nothing is read that was not stored. */
class RandomSchedule {
  readonly #prng: Prng;
  readonly #schedule: Schedule;
  /** Places that hold something out of place (in place there are more). */
  readonly #stored = new Set<string>();

  constructor(seed: number) {
    this.#prng = new Prng(seed);
    const collective = defined(SHAPES[this.#prng.below(SHAPES.length)], 'a collective');
    const nranks = 1 + this.#prng.below(4);
    const chunks = 1 + this.#prng.below(3);
    const base = { collective, nranks, chunks, scratch: [], root: this.#prng.below(nranks) };
    const nlogical = logicalChunks(base);
    const scratch = Array.from({ length: this.#prng.below(4) }, () => this.#prng.below(nlogical));
    this.#schedule = { ...base, scratch, algorithm: 'random', rounds: () => [] };
    for (let rank = 0; rank < nranks; rank++) {
      for (let chunk = 0; chunk < chunksIn(base, rank, 'input'); chunk++) {
        this.#stored.add(`${rank} input ${chunk}`);
      }
    }
  }

  build(): Schedule {
    const rounds = Array.from({ length: 1 + this.#prng.below(6) }, () => this.#round());
    return { ...this.#schedule, rounds: () => rounds };
  }

  #round(): Round {
    const transfers: Transfer[] = [];
    for (let attempt = 0; attempt < 8; attempt++) {
      const transfer = this.#transfer();
      if (transfer !== undefined && !transfers.some((other) => writeSame(other, transfer))) {
        transfers.push(transfer);
      }
    }
    for (const { dst, to, count } of transfers) this.#markStored(dst, to, count);
    return transfers;
  }

  #transfer(): Transfer | undefined {
    const { nranks } = this.#schedule;
    const [src, dst] = [this.#prng.below(nranks), this.#prng.below(nranks)];
    const count = 1 + this.#prng.below(2);
    const to = this.#pick(this.#places(dst, count).filter(({ buffer }) => buffer !== 'input'));
    if (to === undefined) return undefined;
    const fits = (rank: number) => (place: Place) =>
      this.#isStored(rank, place, count) &&
      this.#logical(rank, place, count) === this.#logical(dst, to, count);
    const from = this.#pick(this.#places(src, count).filter(fits(src)));
    const operand = this.#pick(this.#places(dst, count).filter(fits(dst)));
    if (from === undefined) return undefined;
    const base = { src, dst, from, to, count, channel: this.#prng.below(2) };
    const transfer: Transfer =
      operand === undefined || this.#prng.below(2) === 0
        ? { ...base, effect: 'copy' }
        : { ...base, effect: 'reduce', operand };
    return this.#overlapsInPart(transfer) ? undefined : transfer;
  }

  /** Runs that overlap without being the same are no transfers. */
  #overlapsInPart({ src, dst, from, operand, to, count }: Transfer): boolean {
    const memory = memoryMap(this.#schedule, dst, true);
    const sources = [...(src === dst ? [from] : []), ...(operand === undefined ? [] : [operand])];
    return sources.some((place) => {
      const distance = Math.abs(memory.locate(place) - memory.locate(to));
      return distance !== 0 && distance < count;
    });
  }

  #places(rank: number, count: number): Place[] {
    return BUFFERS.flatMap((buffer) => {
      const starts = chunksIn(this.#schedule, rank, buffer) - count + 1;
      return Array.from({ length: Math.max(0, starts) }, (_, chunk) => ({ buffer, chunk }));
    }).filter((place) => this.#logical(rank, place, count) !== '');
  }

  #logical(rank: number, { buffer, chunk }: Place, count: number): string {
    return Array.from({ length: count }, (_, offset) =>
      logicalChunk(this.#schedule, rank, buffer, chunk + offset),
    ).join();
  }

  #isStored(rank: number, { buffer, chunk }: Place, count: number): boolean {
    return Array.from({ length: count }, (_, offset) => offset).every((offset) =>
      this.#stored.has(`${rank} ${buffer} ${chunk + offset}`),
    );
  }

  #markStored(rank: number, { buffer, chunk }: Place, count: number): void {
    for (let offset = 0; offset < count; offset++) {
      this.#stored.add(`${rank} ${buffer} ${chunk + offset}`);
    }
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[this.#prng.below(Math.max(1, items.length))];
  }
}

function writeSame(a: Transfer, b: Transfer): boolean {
  return (
    a.dst === b.dst &&
    a.to.buffer === b.to.buffer &&
    a.to.chunk < b.to.chunk + b.count &&
    b.to.chunk < a.to.chunk + a.count
  );
}

/**
 * An all-reduce: every chunk goes up a random tree and down another, each chunk at its own time, and every
 * transfer on any of the channels.
 */
export function randomAllReduce(seed: number, nchannels: number): Schedule {
  const prng = new Prng(seed);
  const [nranks, chunks] = [2 + prng.below(4), 1 + prng.below(4)];
  const pending = Array.from({ length: chunks }, (_, chunk) => treesOf(nranks, chunk, prng));
  const rounds: Round[] = [];
  while (pending.some((transfers) => transfers.length > 0)) {
    const chosen = pending.filter((transfers) => transfers.length > 0 && prng.below(2) === 0);
    const round = chosen.flatMap((transfers) => transfers.shift() ?? []);
    rounds.push(round.map((transfer) => ({ ...transfer, channel: prng.below(nchannels) })));
  }
  const own = ranksOf(nranks).map((rank): Transfer => {
    const place: Place = { buffer: 'input', chunk: 0 };
    const to: Place = { buffer: 'output', chunk: 0 };
    return { src: rank, dst: rank, from: place, to, count: chunks, effect: 'copy' };
  });
  return {
    collective: 'allReduce',
    algorithm: 'random',
    nranks,
    chunks,
    root: 0,
    scratch: [],
    rounds: () => [own, ...rounds],
  };
}

function treesOf(nranks: number, chunk: number, prng: Prng): Transfer[] {
  const place: Place = { buffer: 'output', chunk };
  const edges = (effect: Transfer['effect'], order: readonly number[]): Transfer[] =>
    order.slice(1).map((rank, index): Transfer => {
      const parent = defined(order[prng.below(index + 1)], 'a parent');
      const [src, dst] = effect === 'reduce' ? [rank, parent] : [parent, rank];
      return { src, dst, from: place, to: place, count: 1, effect };
    });
  const others = ranksOf(nranks).slice(1);
  const up = edges('reduce', [0, ...prng.shuffle([...others])]).reverse();
  return [...up, ...edges('copy', [0, ...prng.shuffle([...others])])];
}

/**
 * Sums and copies between outputs, each round on half of the ranks from the others: what some overwrite,
 * others have just been given, and nobody hears back of it.
 */
export function randomGossip(seed: number): Schedule {
  const prng = new Prng(seed);
  const [nranks, chunks] = [2 + prng.below(4), 1 + prng.below(3)];
  const own = ranksOf(nranks).map((rank): Transfer => {
    const from: Place = { buffer: 'input', chunk: 0 };
    const to: Place = { buffer: 'output', chunk: 0 };
    return { src: rank, dst: rank, from, to, count: chunks, effect: 'copy' };
  });
  const rounds = Array.from({ length: 2 + prng.below(5) }, () =>
    ranksOf(chunks).flatMap((chunk) => {
      const ranks = prng.shuffle(ranksOf(nranks));
      const sources = ranks.splice(0, 1 + prng.below(nranks - 1));
      return ranks.map((dst): Transfer => {
        const src = defined(sources[prng.below(sources.length)], 'a source');
        const place: Place = { buffer: 'output', chunk };
        const effect = prng.below(2) === 0 ? 'copy' : 'reduce';
        return { src, dst, from: place, to: place, count: 1, effect };
      });
    }),
  );
  return {
    ...{ collective: 'allReduce', algorithm: 'random', nranks, chunks, root: 0, scratch: [] },
    rounds: () => [own, ...rounds],
  };
}

/** Rounds of copies from input to output, of which some send a rank many messages at once. */
export function randomExchanges(seed: number): Schedule {
  const prng = new Prng(seed);
  const [nranks, chunks] = [2 + prng.below(3), 1 + prng.below(8)];
  const rounds = Array.from({ length: 1 + prng.below(5) }, () =>
    ranksOf(nranks).flatMap((dst) =>
      ranksOf(1 + prng.below(chunks)).map((chunk): Transfer => {
        const from: Place = { buffer: 'input', chunk };
        const to: Place = { buffer: 'output', chunk };
        const src = (dst + 1 + prng.below(nranks - 1)) % nranks;
        return { src, dst, from, to, count: 1, effect: 'copy', channel: prng.below(2) };
      }),
    ),
  );
  return {
    collective: 'custom',
    custom: { input: 1, output: 1 },
    algorithm: 'random',
    nranks,
    chunks,
    root: 0,
    scratch: [],
    rounds: () => rounds,
  };
}
