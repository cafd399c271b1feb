/**
 * The plan of one call: a rank's `Program` with sizes put in. Steps become slices, chunks become byte
 * ranges, program order becomes dependencies between steps that touch the same bytes, and messages
 * get their place in the order of their connection. The engine then only follows it.
 *
 * Sender and receiver cut a message into the same slices because both cut the same number of bytes.
 */

import type { ChunkTable } from '../../collectives/chunks.ts';
import { inPlaceOutput } from '../../collectives/collective.ts';
import {
  type Program,
  receives,
  type Step,
  type StepKind,
  type StepRef,
  sends,
} from '../../collectives/program.ts';
import type { BufferName, Place, Rank } from '../../collectives/schedule.ts';
import { assert, defined } from '../../common/assert.ts';

/** Bytes [offset, offset + length) of one of a rank's buffers. */
export interface ByteRange {
  readonly buffer: BufferName;
  readonly offset: number;
  readonly length: number;
}

/** Another step that must have come so far first, slice by slice or as a whole. */
export interface Dependency {
  /** Index in `Plan.steps`. */
  readonly step: number;
  /** `stored`: its result is in memory. `done`: and what it sent has left its source. */
  readonly until: 'stored' | 'done';
  readonly bySlice: boolean;
}

export interface PlanStep {
  readonly index: number;
  /** Where it stands in the program, for people. */
  readonly channel: number;
  readonly step: number;
  readonly kind: StepKind;
  /** Bytes of the step; 0 for an empty chunk, which has one slice and no message. */
  readonly bytes: number;
  readonly slices: number;
  /** Number of the step's first slice among all slices of the plan. */
  readonly firstSlice: number;
  readonly src?: ByteRange;
  readonly dst?: ByteRange;
  /** Index in `Plan.inbound`. */
  readonly inbound?: number;
  /** Index in `Plan.outbound`. */
  readonly outbound?: number;
  /** Where the peer takes what is sent: one of its slots, or these bytes of its buffer. */
  readonly landing?: 'slot' | ByteRange;
  readonly dependsOn: readonly Dependency[];
}

/**
 * Slices of one step that go out before the next step's: message order on a connection is by window
 * of slices, in it by step, in it by slice. Within a window links stay busy while each slice goes
 * through its own chain of steps. Windows follow each other, so that a lane's slots (twice as many)
 * never fill with operands that wait behind messages which need a slot themselves.
 */
export const WINDOW_SLICES = 4;

/** One message: a slice of a step. */
export interface PlanMessage {
  readonly step: number;
  readonly slice: number;
  /** How the receiver takes it. */
  readonly landing: 'slot' | 'place';
}

/** The messages of one connection in their order. */
export interface PlanConnection {
  readonly peer: Rank;
  readonly channel: number;
  readonly messages: readonly PlanMessage[];
}

export interface Plan {
  readonly program: Program;
  readonly sliceBytes: number;
  readonly steps: readonly PlanStep[];
  /** Slices in all. */
  readonly slices: number;
  readonly inbound: readonly PlanConnection[];
  readonly outbound: readonly PlanConnection[];
  /** Every rank this one exchanges a message with, ascending; empty messages count too. */
  readonly peers: readonly Rank[];
}

export interface PlanRequest {
  readonly program: Program;
  readonly table: ChunkTable;
  readonly elementBytes: number;
  readonly sliceBytes: number;
  readonly placement: 'inPlace' | 'outOfPlace';
}

/** Bytes of slice `slice` of a step, from the start of the step's range. */
export function sliceRange(
  step: PlanStep,
  slice: number,
  sliceBytes: number,
): { readonly offset: number; readonly length: number } {
  const offset = slice * sliceBytes;
  return { offset, length: Math.min(sliceBytes, step.bytes - offset) };
}

export function makePlan(request: PlanRequest): Plan {
  assert(
    request.sliceBytes % request.elementBytes === 0,
    'Expected a slice to be a whole number of elements',
  );
  const builder = new PlanBuilder(request);
  for (const channel of request.program.channels) {
    channel.steps.forEach((step, index) => {
      builder.add(step, channel.id, index);
    });
  }
  return builder.finish();
}

interface OpenConnection {
  readonly peer: Rank;
  readonly channel: number;
  readonly messages: PlanMessage[];
}

class PlanBuilder {
  readonly #request: PlanRequest;
  readonly #steps: PlanStep[] = [];
  readonly #inbound: OpenConnection[] = [];
  readonly #outbound: OpenConnection[] = [];
  readonly #peers = new Set<Rank>();
  /** `steps` index of each channel's step 0. */
  readonly #channelStart: number[] = [];
  /** Steps of other channels that each channel has come to wait for. */
  readonly #channelDepends: StepRef[][] = [];
  #slices = 0;

  constructor(request: PlanRequest) {
    this.#request = request;
    let start = 0;
    for (const channel of request.program.channels) {
      this.#channelStart.push(start);
      start += channel.steps.length;
    }
  }

  add(step: Step, channel: number, position: number): void {
    const { rank } = this.#request.program;
    const src = step.src && this.#range(rank, step.src, step.count);
    const dst = step.dst && this.#range(rank, step.dst, step.count);
    const { length: bytes } = defined(src ?? dst, 'a place of the step');
    const slices = Math.max(1, Math.ceil(bytes / this.#request.sliceBytes));
    const planned = {
      index: this.#steps.length,
      channel,
      step: position,
      kind: step.kind,
      bytes,
      slices,
      firstSlice: this.#slices,
      ...(src && { src }),
      ...(dst && { dst }),
      ...this.#receiving(step, channel, bytes, slices),
      ...this.#sending(step, channel, bytes, slices),
    };
    this.#slices += slices;
    this.#steps.push({ ...planned, dependsOn: this.#dependencies(planned, step) });
  }

  finish(): Plan {
    const window = this.#windowSlices();
    for (const connection of [...this.#inbound, ...this.#outbound])
      sortByWindow(connection, window);
    return {
      program: this.#request.program,
      sliceBytes: this.#request.sliceBytes,
      steps: this.#steps,
      slices: this.#slices,
      inbound: this.#inbound,
      outbound: this.#outbound,
      peers: [...this.#peers].sort((a, b) => a - b),
    };
  }

  /**
   * Slices per window. Where a slice waits for a whole step, all of that step must come first: then
   * there is one window, and no operand may wait in a slot for its turn to be sent.
   */
  #windowSlices(): number {
    const waitsForAll = (step: PlanStep) =>
      step.dependsOn.some(
        (one) => !one.bySlice && defined(this.#steps[one.step], 'the step').slices > WINDOW_SLICES,
      );
    if (!this.#steps.some(waitsForAll)) return WINDOW_SLICES;
    const held = this.#steps.find(
      ({ kind, slices }) => kind === 'recvReduceSend' && slices > WINDOW_SLICES,
    );
    assert(held === undefined, `Expected step ${held?.step} to store what it sends on`);
    return Number.POSITIVE_INFINITY;
  }

  #receiving(step: Step, channel: number, bytes: number, slices: number): { inbound?: number } {
    if (!receives(step.kind)) return {};
    const peer = defined(step.recvFrom, 'the source of a receiving step');
    this.#peers.add(peer);
    const landing = step.kind === 'recv' || step.kind === 'recvCopySend' ? 'place' : 'slot';
    const inbound = this.#enqueue(this.#inbound, peer, channel, bytes, slices, landing);
    return { inbound };
  }

  #sending(
    step: Step,
    channel: number,
    bytes: number,
    slices: number,
  ): { outbound?: number; landing?: 'slot' | ByteRange } {
    if (!sends(step.kind)) return {};
    const peer = defined(step.sendTo, 'the destination of a sending step');
    const landing = defined(step.landing, 'the landing of a sending step');
    this.#peers.add(peer);
    const outbound = this.#enqueue(this.#outbound, peer, channel, bytes, slices, landing.kind);
    if (landing.kind === 'slot') return { outbound, landing: 'slot' };
    const range = this.#range(peer, landing.place, step.count);
    assert(range.length === bytes, 'Expected both ends of a message to have one length');
    return { outbound, landing: range };
  }

  #enqueue(
    connections: OpenConnection[],
    peer: Rank,
    channel: number,
    bytes: number,
    slices: number,
    landing: 'slot' | 'place',
  ): number {
    let index = connections.findIndex((one) => one.peer === peer && one.channel === channel);
    if (index < 0) index = connections.push({ peer, channel, messages: [] }) - 1;
    const { messages } = defined(connections[index], 'the connection');
    if (bytes === 0) return index;
    const step = this.#steps.length;
    for (let slice = 0; slice < slices; slice++) messages.push({ step, slice, landing });
    return index;
  }

  /** Byte range of a place. In place, this rank's input is a part of its output. */
  #range(rank: Rank, place: Place, count: number): ByteRange {
    const { program, table, elementBytes, placement } = this.#request;
    const aliased = place.buffer === 'input' && placement === 'inPlace';
    const actual: Place = aliased
      ? { buffer: 'output', chunk: inPlaceOutput(program, rank, place.chunk) }
      : place;
    const { offset, length } = table.range(rank, actual, count);
    return { buffer: actual.buffer, offset: offset * elementBytes, length: length * elementBytes };
  }

  #dependencies(later: Omit<PlanStep, 'dependsOn'>, step: Step): Dependency[] {
    const found: Dependency[] = [];
    const start = defined(this.#channelStart[later.channel], 'the channel');
    for (let index = start; index < this.#steps.length; index++) {
      const earlier = defined(this.#steps[index], 'an earlier step');
      const until = conflict(earlier, later);
      if (until !== undefined) {
        found.push({ step: index, until, bySlice: sliceAligned(earlier, later) });
      }
    }
    // What a step waits for, the later steps of its channel wait for too: a channel goes in order.
    const awaited = this.#channelDepends[later.channel] ?? [];
    awaited.push(...step.depends);
    this.#channelDepends[later.channel] = awaited;
    for (const { channel, step: position } of awaited) {
      const index = defined(this.#channelStart[channel], 'the channel') + position;
      found.push({ step: index, until: 'done', bySlice: false });
    }
    return found;
  }
}

function sortByWindow(connection: OpenConnection, windowSlices: number): void {
  const windowOf = ({ slice }: PlanMessage) => Math.floor(slice / windowSlices);
  connection.messages.sort(
    (a, b) => windowOf(a) - windowOf(b) || a.step - b.step || a.slice - b.slice,
  );
}

/**
 * What `later` must wait for in `earlier`, the step before it in its channel; `undefined` if they
 * touch no common byte, or only read it. A kernel has read its operands once its result is stored;
 * the NIC reads what it sends until the message is acknowledged.
 */
function conflict(
  earlier: PlanStep,
  later: Omit<PlanStep, 'dependsOn'>,
): 'stored' | 'done' | undefined {
  const overwritesSource =
    overlaps(earlier.src, later.dst) || (sends(earlier.kind) && overlaps(earlier.dst, later.dst));
  if (overwritesSource && sends(earlier.kind) && earlier.kind !== 'recvReduceSend') return 'done';
  if (overwritesSource) return 'stored';
  if (overlaps(earlier.dst, later.src) || overlaps(earlier.dst, later.dst)) return 'stored';
  return undefined;
}

function overlaps(a: ByteRange | undefined, b: ByteRange | undefined): boolean {
  if (a === undefined || b === undefined || a.buffer !== b.buffer) return false;
  return a.offset < b.offset + b.length && b.offset < a.offset + a.length;
}

/** True if slice s of both steps covers the same bytes wherever they meet. */
function sliceAligned(earlier: PlanStep, later: Omit<PlanStep, 'dependsOn'>): boolean {
  const ranges = [earlier.src, earlier.dst, later.src, later.dst].filter(
    (range) => range !== undefined,
  );
  return ranges.every((one) =>
    ranges.every((other) => !overlaps(one, other) || sameRange(one, other)),
  );
}

function sameRange(a: ByteRange, b: ByteRange): boolean {
  return a.buffer === b.buffer && a.offset === b.offset && a.length === b.length;
}
