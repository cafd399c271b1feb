/**
 * Random programs for the engine: any steps on any channels, lanes, places and sizes, but no race, and
 * with `depth` messages per connection nobody waits for ever. They are written down in an order in
 * which they can run: a message is taken only after it was sent, and sent only if there is room.
 */
import { type MemoryMap, memoryMap, overlaps } from '../../../collectives/memory.ts';
import {
  type Program,
  readsOf,
  type Step,
  type StepKind,
  type StepRef,
} from '../../../collectives/program.ts';
import type { Place } from '../../../collectives/schedule.ts';
import { assert, defined } from '../../../common/assert.ts';
import type { Prng } from '../../../common/prng.ts';

export interface RandomInit {
  readonly prng: Prng;
  readonly nranks: number;
  readonly channels: number;
  readonly steps: number;
  readonly inPlace: boolean;
  readonly depth: number;
}

type Open = { -readonly [K in keyof Step]: Step[K] };

/** A message that was sent and not taken: how it is taken is the receiver's to say. */
interface Sent {
  readonly step: Open;
  readonly logical: number;
  readonly count: number;
}

/**
 * Shape: `allGatherV`, so that block sizes differ. Scratch has two copies of every block. A place
 * exchanges data only with places of the same blocks.
 */
export function randomPrograms(init: RandomInit): Program[] {
  const writer = new ProgramWriter(init);
  for (let step = 0; step < init.steps; step++) writer.addStep();
  writer.takeRest();
  return writer.programs();
}

class ProgramWriter {
  readonly #init: RandomInit;
  readonly #ranks: readonly RankWriter[];
  readonly #fifos = new Map<string, Sent[]>();

  constructor(init: RandomInit) {
    this.#init = init;
    const { prng, channels, nranks } = init;
    const lanes = shuffled(
      prng,
      Array.from({ length: 32 }, (_, lane) => lane),
    ).slice(0, channels);
    this.#ranks = Array.from(
      { length: nranks },
      (_, rank) => new RankWriter(init, rank, shuffled(prng, lanes)),
    );
  }

  programs(): Program[] {
    return this.#ranks.map(({ program }) => program);
  }

  /** Adds a step that can run now to a channel of a rank. */
  addStep(): void {
    const rank = this.#pick(this.#ranks);
    const channel = below(this.#init.prng, this.#init.channels);
    const isReceiving = below(this.#init.prng, 3) > 0;
    if (isReceiving && this.#receive(rank, channel)) return;
    const source = this.#pick(rank.filled());
    const count = 1 + below(this.#init.prng, Math.min(3, rank.filledRun(source)));
    const step: Open = { kind: 'send', count, src: source, depends: [] };
    if (below(this.#init.prng, 4) === 0) {
      const target = rank.placeFor(rank.logical(source), count);
      if (target === undefined || rank.collides(source, target, count)) return;
      const isAdded = rank.isFilled(target, count) && below(this.#init.prng, 2) === 0;
      rank.add(channel, { ...step, kind: isAdded ? 'reduce' : 'copy', dst: target });
    } else if (this.#sendOn(rank, channel, step, rank.logical(source))) rank.add(channel, step);
  }

  /** Takes every message that is left. */
  takeRest(): void {
    for (const rank of this.#ranks) {
      for (let channel = 0; channel < this.#init.channels; channel++) {
        while (this.#receive(rank, channel, 'last'));
      }
    }
    assert(
      [...this.#fifos.values()].every((fifo) => fifo.length === 0),
      'Expected every message to be taken',
    );
  }

  /** Takes a message that waits for a channel, and perhaps sends it on. */
  #receive(rank: RankWriter, channel: number, when: 'any' | 'last' = 'any'): boolean {
    const lane = rank.lane(channel);
    const sources = this.#ranks.filter((one) => this.#fifo(one, rank, lane).length > 0);
    if (sources.length === 0) return false;
    const source = this.#pick(sources);
    const fifo = this.#fifo(source, rank, lane);
    const { step: sent, logical, count } = defined(fifo[0], 'a message');
    const target = defined(rank.placeFor(logical, count), 'a place');
    const operand = rank.placeFor(logical, count);
    const mayAdd =
      operand !== undefined &&
      rank.isFilled(operand, count) &&
      !rank.collides(operand, target, count) &&
      below(this.#init.prng, 2) === 0;
    const step: Open = { kind: 'recv', count, recvFrom: source.rank, dst: target, depends: [] };
    if (mayAdd) step.src = operand;
    const isSent =
      when === 'any' &&
      below(this.#init.prng, 2) === 0 &&
      this.#sendOn(rank, channel, step, logical);
    step.kind = kindOf(mayAdd, isSent);
    if (step.kind === 'recvReduceCopySend' && below(this.#init.prng, 2) === 0) {
      step.kind = 'recvReduceSend';
      delete step.dst;
    }
    sent.landing = mayAdd ? { kind: 'slot' } : { kind: 'place', place: target };
    fifo.shift();
    rank.add(channel, step);
    return true;
  }

  /** `false`: there is no room for another message. */
  #sendOn(rank: RankWriter, channel: number, step: Open, logical: number): boolean {
    const peer = this.#pick(this.#ranks.filter((one) => one !== rank));
    const fifo = this.#fifo(rank, peer, rank.lane(channel));
    if (fifo.length >= this.#init.depth) return false;
    step.sendTo = peer.rank;
    fifo.push({ step, logical, count: step.count });
    return true;
  }

  #fifo(from: RankWriter, to: RankWriter, lane: number): Sent[] {
    const key = `${from.rank} ${to.rank} ${lane}`;
    const fifo = this.#fifos.get(key) ?? [];
    this.#fifos.set(key, fifo);
    return fifo;
  }

  #pick<T>(list: readonly T[]): T {
    return defined(list[below(this.#init.prng, list.length)], 'something to pick');
  }
}

class RankWriter {
  readonly rank: number;
  readonly program: Program & { readonly channels: { steps: Step[] }[] };
  readonly #init: RandomInit;
  readonly #memory: MemoryMap;
  /** Locations that hold something. */
  readonly #filled = new Set<number>();

  constructor(init: RandomInit, rank: number, lanes: readonly number[]) {
    this.#init = init;
    this.rank = rank;
    const blocks = Array.from({ length: init.nranks }, (_, block) => block);
    this.program = {
      collective: 'allGatherV',
      algorithm: 'random',
      rank,
      nranks: init.nranks,
      root: 0,
      chunks: 1,
      scratch: [...blocks, ...blocks],
      channels: lanes.map((lane, id) => ({ id, lane, steps: [] })),
    };
    this.#memory = memoryMap(this.program, rank, init.inPlace);
    this.#filled.add(this.#memory.locate({ buffer: 'input', chunk: 0 }));
  }

  lane(channel: number): number {
    return defined(this.program.channels[channel], 'a channel').lane;
  }

  /** Logical block of a place. */
  logical({ buffer, chunk }: Place): number {
    return buffer === 'input' ? this.rank : chunk % this.#init.nranks;
  }

  filled(): Place[] {
    const { nranks } = this.#init;
    const places: Place[] = [{ buffer: 'input', chunk: 0 }];
    for (let chunk = 0; chunk < nranks; chunk++) places.push({ buffer: 'output', chunk });
    for (let chunk = 0; chunk < 2 * nranks; chunk++) places.push({ buffer: 'scratch', chunk });
    return places.filter((place) => this.isFilled(place, 1));
  }

  /** Blocks from `place` on that hold something, in ascending logical order. */
  filledRun(place: Place): number {
    let run = 1;
    while (this.#fits(place, run + 1) && this.isFilled(place, run + 1)) run++;
    return run;
  }

  isFilled(place: Place, count: number): boolean {
    const start = this.#memory.locate(place);
    for (let index = 0; index < count; index++) if (!this.#filled.has(start + index)) return false;
    return true;
  }

  /** A place that may hold `count` blocks from `logical` on; never `input`, which is not written. */
  placeFor(logical: number, count: number): Place | undefined {
    const { prng, nranks } = this.#init;
    const places: Place[] = [
      { buffer: 'output', chunk: logical },
      { buffer: 'scratch', chunk: logical },
      { buffer: 'scratch', chunk: nranks + logical },
    ];
    const fitting = places.filter((place) => this.#fits(place, count));
    return fitting[below(prng, Math.max(1, fitting.length))];
  }

  /** Whether two places overlap without being the same. */
  collides(a: Place, b: Place, count: number): boolean {
    const isSame = this.#memory.locate(a) === this.#memory.locate(b);
    return !isSame && overlaps(this.#memory, a, count, b, count);
  }

  /** Adds a step, which waits for what it must not overtake in other channels. */
  add(channel: number, step: Open): void {
    const depends: StepRef[] = [];
    for (const { id, steps } of this.program.channels) {
      if (id === channel) continue;
      const last = steps.findLastIndex((other) => this.#conflict(other, step));
      if (last >= 0) depends.push({ channel: id, step: last });
    }
    step.depends = depends;
    defined(this.program.channels[channel], 'a channel').steps.push(step);
    if (step.dst === undefined) return;
    const start = this.#memory.locate(step.dst);
    for (let index = 0; index < step.count; index++) this.#filled.add(start + index);
  }

  #fits({ buffer, chunk }: Place, count: number): boolean {
    if (buffer === 'input') return count === 1;
    return (chunk % this.#init.nranks) + count <= this.#init.nranks;
  }

  #conflict(a: Step, b: Step): boolean {
    return this.#writesInto(a, b) || this.#writesInto(b, a);
  }

  #writesInto({ dst, count }: Step, other: Step): boolean {
    if (dst === undefined) return false;
    const places = other.dst === undefined ? readsOf(other) : [...readsOf(other), other.dst];
    return places.some((place) => overlaps(this.#memory, place, other.count, dst, count));
  }
}

function kindOf(isAdded: boolean, isSent: boolean): StepKind {
  if (isAdded) return isSent ? 'recvReduceCopySend' : 'recvReduceCopy';
  return isSent ? 'recvCopySend' : 'recv';
}

function below(prng: Prng, limit: number): number {
  return prng.uint32() % limit;
}

function shuffled<T>(prng: Prng, list: readonly T[]): T[] {
  const left = [...list];
  const result: T[] = [];
  while (left.length > 0) result.push(...left.splice(below(prng, left.length), 1));
  return result;
}
