/**
 * The plan of one call: a rank's `Program` with sizes put in. The engine then only follows it.
 *
 * Windows. Every chunk is cut into windows of `WINDOW_SLICES` slices, and the program runs through once
 * for each: all steps on window 0 of their chunks, all steps on window 1, and so on. So slices lie on
 * the same grid in every step, whatever runs of chunks the steps name, and what must come before a slice
 * is known to the slice. A step whose chunks all fit in a window is cut as a whole, and if all of it
 * fits in a slice it is one message.
 *
 * Order. A connection's messages go by window, in it by step, in it by slice. What a step `depends` on
 * must have come through the same window.
 *
 * Why nobody waits for ever. The verifier proves a program with `depth` messages per connection, every
 * step at its turn. The same holds for the program repeated once per window. In the order of that
 * proof each step of each window can be carried out here: its operands are there, and what it sends
 * needs room for `depth` messages, the last that may be under way. Where a step's successors
 * wait until it has sent, that room is on the sender's side: its slices are *staged*, copied to memory
 * that nobody else waits for. (Where they do not wait, the message may as well stay until the receiver
 * is ready for it.) `lane-layout.ts` has the sizes.
 */
import type { ChunkTable } from '../../collectives/chunks.ts';
import type { Program, StepKind, StepRef } from '../../collectives/program.ts';
import type { BufferName, Rank } from '../../collectives/schedule.ts';
import { assert } from '../../common/assert.ts';
import { firstLane, LANES_MAX, PROGRAM_CHANNELS_MAX, WINDOW_SLICES } from './lanes.ts';
import { PlanBuilder } from './plan-builder.ts';

/** Bytes [offset, offset + length) of one of a rank's buffers. */
export interface ByteRange {
  readonly buffer: BufferName;
  readonly offset: number;
  readonly length: number;
}

export interface PlanStep {
  readonly index: number;
  /** Where it stands in the program, for people. */
  readonly channel: number;
  readonly step: number;
  readonly kind: StepKind;
  readonly bytes: number;
  /** By window, then by offset. None if the chunks are empty. */
  readonly slices: readonly PlanSlice[];
  readonly src?: ByteRange;
  readonly dst?: ByteRange;
  /** A copy of bytes to where they are. */
  readonly isOntoItself: boolean;
  /** Index in `Plan.inbound`. */
  readonly inbound?: number;
  /** Index in `Plan.outbound`. */
  readonly outbound?: number;
  /** Where the peer takes what is sent: one of its slots, or bytes of what it offers. */
  readonly landing?: 'slot' | ByteRange;
  /** Whether it waits for steps of other channels, itself or as a successor of one that does. */
  readonly isGated: boolean;
}

/** A part of a step, and what it sends or receives: one message. */
export interface PlanSlice {
  /** Index in `Plan.slices`. */
  readonly id: number;
  readonly step: PlanStep;
  /** Number in its step. */
  readonly slice: number;
  readonly window: number;
  /** From the start of the step's ranges. */
  readonly offset: number;
  readonly bytes: number;
  /** What must have happened first: slices, and one for the gate of a gated step. */
  readonly needs: number;
  /** Slices that need its result to be in memory. */
  readonly onStored: readonly number[];
  /** Slices that need its source to be free: what it sends has left, or was staged. */
  readonly onFree: readonly number[];
  /** Number among its connection's messages that may be staged; -1 if it may not. */
  readonly staged: number;
}

/** Memory of a lane: `count` entries, used in turn. */
export interface Entries {
  /** From the start of where they lie. */
  readonly offset: number;
  readonly count: number;
  readonly stride: number;
}

/** The messages of one connection: one direction between two ranks on one lane. */
export interface PlanConnection {
  readonly peer: Rank;
  /** Index in `Plan.peers`. */
  readonly peerIndex: number;
  readonly lane: number;
  /** In their order. */
  readonly messages: readonly PlanSlice[];
  /** Slots in the receiver's scratch, from the start of what it offers; absent: the communicator's. */
  readonly slots?: Entries;
  /** Of an outbound connection: where messages are staged in this rank's scratch. */
  readonly staging?: Entries;
  /** Those that may be staged, in their order. */
  readonly stagedMessages: readonly PlanSlice[];
}

/** A rank with which messages are exchanged; empty messages count too. */
export interface PlanPeer {
  readonly rank: Rank;
  /** Indices in `Plan.inbound` and `Plan.outbound`, by lane. */
  readonly inbound: readonly number[];
  readonly outbound: readonly number[];
  /** What this rank offers it: the bytes it may write, by buffer; absent: none. */
  readonly offers: Readonly<Record<BufferName, ByteRange | undefined>>;
  /** Slots for it in this rank's scratch; absent: none. */
  readonly slots: ByteRange | undefined;
}

/** A channel, as far as steps of other channels are concerned. */
export interface PlanChannel {
  readonly steps: readonly PlanStep[];
  /** By step. */
  readonly depends: readonly (readonly StepRef[])[];
  /** Channels with steps that depend on this one's. */
  readonly successors: readonly number[];
}

export interface Plan {
  readonly program: Program;
  readonly sliceBytes: number;
  readonly steps: readonly PlanStep[];
  readonly slices: readonly PlanSlice[];
  readonly windows: number;
  readonly channels: readonly PlanChannel[];
  /** Whether any step depends on another channel's. */
  readonly isGated: boolean;
  readonly inbound: readonly PlanConnection[];
  readonly outbound: readonly PlanConnection[];
  /** Ascending. */
  readonly peers: readonly PlanPeer[];
  /** Index in `peers`, by rank. */
  readonly peerOf: ReadonlyMap<Rank, number>;
  /** Whether messages other than of recvReduceSend may be staged. */
  readonly mayStage: boolean;
  /** Scratch memory that the operation needs: chunks, slots, staging. */
  readonly scratchBytes: number;
}

export interface PlanRequest {
  readonly program: Program;
  readonly table: ChunkTable;
  readonly elementBytes: number;
  /** Longest slice; the same on all ranks, a multiple of the element. */
  readonly sliceBytes: number;
  readonly placement: 'inPlace' | 'outOfPlace';
  /** Messages per connection with which the program is proved to end; `PROVED_DEPTH` if absent. */
  readonly depth?: number;
}

/** Throws hcclInvalidArgument for slices so short that there are more than `SLICES_MAX`. */
export function makePlan(request: PlanRequest): Plan {
  const { program, sliceBytes, elementBytes } = request;
  assert(
    sliceBytes > 0 && sliceBytes % elementBytes === 0,
    'Expected a slice to be a whole number of elements',
  );
  assert(
    program.channels.length <= PROGRAM_CHANNELS_MAX,
    `Expected at most ${PROGRAM_CHANNELS_MAX} channels but found ${program.channels.length}`,
  );
  const first = firstLane(program.nranks, sliceBytes);
  for (const { id, lane } of program.channels) {
    assert(
      lane >= 0 && first + lane < LANES_MAX,
      `Expected lanes below ${LANES_MAX - first} but found ${lane} on channel ${id}`,
    );
  }
  const builder = new PlanBuilder(request, WINDOW_SLICES * sliceBytes);
  for (const channel of program.channels) builder.addChannel(channel);
  return builder.finish();
}
