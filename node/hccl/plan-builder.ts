/** Builds a plan, step after step; see `plan.ts`. */
import { inPlaceAlias } from '../../collectives/collective.ts';
import { isOntoItself, type MemoryMap, memoryMap } from '../../collectives/memory.ts';
import { type Channel, receives, type Step, sends } from '../../collectives/program.ts';
import type { Place, Rank } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';
import { invalidArgument } from './failure.ts';
import { firstLane, PROVED_DEPTH, SLICES_MAX } from './lanes.ts';
import type { ByteRange, Plan, PlanRequest, PlanSlice, PlanStep } from './plan.ts';
import { type Conflict, ConflictFinder } from './plan-conflicts.ts';
import { ConnectionBuilder } from './plan-connections.ts';
import { type Piece, sliceStep } from './slicing.ts';

export type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A slice while its plan is built. */
export type OpenSlice = Mutable<PlanSlice> & {
  onStored: number[];
  onFree: number[];
  step: OpenStep;
};

/** A step while its plan is built, with the bytes it touches, whatever the buffers are called. */
export type OpenStep = Mutable<Omit<PlanStep, 'slices'>> & {
  slices: OpenSlice[];
  readonly reads: ByteRange | undefined;
  readonly writes: ByteRange | undefined;
  /** Whether a step waits until what it sends has left. */
  isAwaited: boolean;
};

/** No slice: shared, because most have no dependents. Never written. */
const NONE: number[] = [];

export class PlanBuilder {
  readonly #request: PlanRequest;
  readonly #windowBytes: number;
  readonly #firstLane: number;
  readonly #memory: MemoryMap;
  readonly #connections: ConnectionBuilder;
  readonly #channels: { readonly steps: OpenStep[]; readonly source: Channel }[] = [];
  readonly #steps: OpenStep[] = [];
  readonly #slices: OpenSlice[] = [];
  /** Slices that the steps so far need at least. */
  #expected = 0;
  /** Pieces of steps of one chunk, by its bytes. */
  readonly #pieces = new Map<number, readonly Piece[]>();

  constructor(request: PlanRequest, windowBytes: number) {
    this.#request = request;
    this.#windowBytes = windowBytes;
    this.#firstLane = firstLane(request.program.nranks, request.sliceBytes);
    const { program, placement } = request;
    this.#memory = memoryMap(program, program.rank, placement === 'inPlace');
    this.#connections = new ConnectionBuilder();
  }

  addChannel(source: Channel): void {
    const finder = new ConflictFinder(this.#memory);
    const steps: OpenStep[] = [];
    this.#channels.push({ steps, source });
    let isGated = false;
    // Numbers of the finder's steps: a copy onto itself touches nothing.
    const found: OpenStep[] = [];
    for (const [index, step] of source.steps.entries()) {
      isGated ||= step.depends.length > 0;
      const open = this.#addStep(source, index, step, isGated);
      steps.push(open);
      if (open.isOntoItself) continue;
      for (const conflict of finder.add(step)) this.#order(found, conflict, open);
      found.push(open);
    }
  }

  finish(): Plan {
    const { program, sliceBytes, table, elementBytes, depth = PROVED_DEPTH } = this.#request;
    this.#markAwaited();
    const scratch = table.bufferLength(program.rank, 'scratch') * elementBytes;
    const windows = this.#slices.reduce((most, { window }) => Math.max(most, window + 1), 0);
    return {
      program,
      sliceBytes,
      steps: this.#steps,
      slices: this.#slices,
      windows,
      channels: this.#channels.map(({ steps, source }, channel) => ({
        steps,
        depends: source.steps.map(({ depends }) => depends),
        successors: this.#successorsOf(channel),
      })),
      isGated: this.#steps.some((step) => step.isGated),
      mayStage: this.#steps.some(({ isAwaited, kind }) => isAwaited && kind !== 'recvReduceSend'),
      ...this.#connections.finish(this.#steps, { windows, scratch, depth }),
    };
  }

  #addStep(channel: Channel, position: number, step: Step, isGated: boolean): OpenStep {
    const { rank } = this.#request.program;
    const lane = this.#firstLane + channel.lane;
    const src = step.src && this.#range(rank, step.src, step.count);
    const dst = step.dst && this.#range(rank, step.dst, step.count);
    const place = defined(step.dst ?? step.src, 'a place of the step');
    const { length: bytes } = defined(dst ?? src, 'a place of the step');
    const open: OpenStep = {
      index: this.#steps.length,
      channel: channel.id,
      step: position,
      kind: step.kind,
      bytes,
      slices: [],
      isGated,
      isAwaited: false,
      isOntoItself: isOntoItself(this.#memory, step),
      reads: step.src && this.#physical(step.src, step.count),
      writes: step.dst && this.#physical(step.dst, step.count),
      ...(src && { src }),
      ...(dst && { dst }),
    };
    if (receives(step.kind)) {
      const peer = defined(step.recvFrom, 'the source of a receiving step');
      open.inbound = this.#connections.inbound(peer, lane);
    }
    if (sends(step.kind)) this.#addSend(open, step, lane);
    this.#steps.push(open);
    for (const [slice, piece] of this.#piecesOf(place, step.count, bytes).entries())
      this.#addSlice(open, slice, piece);
    return open;
  }

  #addSend(open: OpenStep, step: Step, lane: number): void {
    const peer = defined(step.sendTo, 'the destination of a sending step');
    const landing = defined(step.landing, 'the landing of a sending step');
    open.outbound = this.#connections.outbound(peer, lane);
    open.landing = landing.kind === 'slot' ? 'slot' : this.#range(peer, landing.place, step.count);
  }

  #addSlice(step: OpenStep, slice: number, piece: Piece): void {
    const made: OpenSlice = {
      id: this.#slices.length,
      step,
      slice,
      window: piece.window,
      offset: piece.offset,
      bytes: piece.bytes,
      needs: step.isGated ? 1 : 0,
      onStored: NONE,
      onFree: NONE,
      staged: -1,
    };
    this.#slices.push(made);
    step.slices.push(made);
  }

  #piecesOf(place: Place, count: number, bytes: number): readonly Piece[] {
    const { program, sliceBytes } = this.#request;
    if (bytes === 0) return [];
    this.#expectSlices(Math.ceil(bytes / sliceBytes));
    if (bytes <= sliceBytes) return [{ window: 0, offset: 0, bytes }];
    if (count > 1) {
      const chunks = Array.from({ length: count }, (_, index) => {
        const chunk = { buffer: place.buffer, chunk: place.chunk + index };
        return this.#range(program.rank, chunk, 1).length;
      });
      return sliceStep(chunks, sliceBytes, this.#windowBytes);
    }
    let pieces = this.#pieces.get(bytes);
    if (pieces === undefined) {
      pieces = sliceStep([bytes], sliceBytes, this.#windowBytes);
      this.#pieces.set(bytes, pieces);
    }
    return pieces;
  }

  #expectSlices(more: number): void {
    this.#expected += more;
    if (this.#expected <= SLICES_MAX) return;
    throw invalidArgument(
      `Expected at most ${SLICES_MAX} slices of ${this.#request.sliceBytes} bytes in one operation: take longer slices or a smaller count`,
    );
  }

  #range(rank: Rank, place: Place, count: number): ByteRange {
    const { table, elementBytes } = this.#request;
    const { offset, length } = table.range(rank, place, count);
    return { buffer: place.buffer, offset: offset * elementBytes, length: length * elementBytes };
  }

  /** The bytes of a place of this rank: in place, one buffer is a part of another. */
  #physical(place: Place, count: number): ByteRange {
    const { program, placement } = this.#request;
    const alias = placement === 'inPlace' ? inPlaceAlias(program, program.rank) : undefined;
    if (alias?.part !== place.buffer) return this.#range(program.rank, place, count);
    const whole: Place = { buffer: alias.whole, chunk: alias.chunk + place.chunk };
    return this.#range(program.rank, whole, count);
  }

  /** Has slices of `later` wait for those of an earlier step that touch the same bytes. */
  #order(steps: readonly OpenStep[], { step, until }: Conflict, later: OpenStep): void {
    const earlier = defined(steps[step], 'an earlier step');
    if (until === 'free') earlier.isAwaited = true;
    const pairs = [
      [earlier.writes, later.reads],
      [earlier.writes, later.writes],
      [earlier.reads, later.writes],
    ] as const;
    const known = new Set<number>();
    for (const [a, b] of pairs) {
      if (a === undefined || b === undefined || a.buffer !== b.buffer) continue;
      for (const [first, second] of touching(earlier, a.offset, later, b.offset)) {
        const key = first.slice * later.slices.length + second.slice;
        if (!known.has(key)) addNeed(first, second, until);
        known.add(key);
      }
    }
  }

  /** A step that another channel depends on is awaited, and so are all before it in its channel. */
  #markAwaited(): void {
    const ends = this.#channels.map(() => 0);
    for (const { source } of this.#channels) {
      for (const { depends } of source.steps) {
        for (const { channel, step } of depends)
          ends[channel] = Math.max(ends[channel] ?? 0, step + 1);
      }
    }
    this.#channels.forEach(({ steps }, channel) => {
      for (const step of steps.slice(0, ends[channel])) step.isAwaited = true;
    });
  }

  #successorsOf(channel: number): number[] {
    return this.#channels.flatMap(({ source }, index) =>
      source.steps.some(({ depends }) => depends.some((one) => one.channel === channel))
        ? [index]
        : [],
    );
  }
}

function addNeed(first: OpenSlice, second: OpenSlice, until: Conflict['until']): void {
  second.needs++;
  const list = until === 'stored' ? 'onStored' : 'onFree';
  if (first[list] === NONE) first[list] = [second.id];
  else first[list].push(second.id);
}

/** Pairs of slices that have a byte in common where `a` starts at `aStart` and `b` at `bStart`. */
function* touching(
  a: OpenStep,
  aStart: number,
  b: OpenStep,
  bStart: number,
): Generator<[OpenSlice, OpenSlice]> {
  let from = 0;
  for (const second of b.slices) {
    const start = bStart + second.offset;
    const isBefore = ({ window, offset, bytes }: OpenSlice): boolean =>
      window < second.window || (window === second.window && aStart + offset + bytes <= start);
    while (from < a.slices.length && isBefore(a.slices[from] as OpenSlice)) from++;
    for (let index = from; index < a.slices.length; index++) {
      const first = a.slices[index] as OpenSlice;
      if (first.window !== second.window || aStart + first.offset >= start + second.bytes) break;
      yield [first, second];
    }
  }
}
