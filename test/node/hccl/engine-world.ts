/**
 * Engines of all ranks over a network and devices that do what is allowed in any order: bytes are
 * really moved and added up, and bytes in use are watched for races.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  type ElementArray,
  elementArray,
  reduceElements,
} from '../../../collectives/arithmetic.ts';
import type { ChunkTable } from '../../../collectives/chunks.ts';
import { inPlaceAlias } from '../../../collectives/collective.ts';
import type { Program } from '../../../collectives/program.ts';
import type { BufferName } from '../../../collectives/schedule.ts';
import { assert, defined } from '../../../common/assert.ts';
import type { Prng } from '../../../common/prng.ts';
import { Engine } from '../../../node/hccl/engine.ts';
import type { Computation, Operand, Outgoing } from '../../../node/hccl/engine-ports.ts';
import { InboundLane, OutboundLane, SLOTS_PER_LANE } from '../../../node/hccl/lanes.ts';
import { makePlan, type Plan, type PlanConnection } from '../../../node/hccl/plan.ts';

export const ELEMENT_BYTES = 4;

export interface WorldInit {
  /** By rank. */
  readonly programs: readonly Program[];
  readonly table: ChunkTable;
  readonly inputs: readonly Float32Array[];
  readonly inPlace: boolean;
  readonly sliceBytes: number;
  readonly prng: Prng;
  /** As in `PlanRequest`. */
  readonly depth?: number;
}

/** Bytes in use: somebody reads or writes them until `release`. */
interface Lock {
  readonly bytes: Uint8Array;
  readonly access: 'read' | 'write';
}

/** Not by `expect`, which is too slow for what every slice does. */
function assertWithin(end: number, length: number): void {
  assert(end <= length, `Expected at most ${length} but found ${end}`);
}

/** One rank's memory. */
class Memory {
  readonly #buffers: Readonly<Record<BufferName, Uint8Array>>;
  readonly #slots = new Map<string, Uint8Array>();
  readonly #locks = new Set<Lock>();

  constructor(program: Program, plan: Plan, init: WorldInit) {
    const { table, inPlace, inputs } = init;
    const { rank } = program;
    const bytesOf = (buffer: BufferName) => ELEMENT_BYTES * table.bufferLength(rank, buffer);
    const input = new Uint8Array(bytesOf('input'));
    const output = new Uint8Array(bytesOf('output')).fill(0xff);
    const scratch = new Uint8Array(plan.scratchBytes).fill(0xff);
    const buffers = { input, output, scratch };
    const alias = inPlace ? inPlaceAlias(program, rank) : undefined;
    if (alias !== undefined) {
      const whole = buffers[alias.whole];
      const place = { buffer: alias.whole, chunk: alias.chunk };
      const start = ELEMENT_BYTES * table.range(rank, place, 0).offset;
      buffers[alias.part] = whole.subarray(start, start + buffers[alias.part].byteLength);
    }
    const own = defined(inputs[rank], 'an input');
    buffers.input.set(new Uint8Array(own.buffer, own.byteOffset, own.byteLength));
    this.#buffers = buffers;
  }

  get output(): Float32Array {
    return new Float32Array(this.#buffers.output.slice().buffer);
  }

  /** Bytes of a buffer; of `scratch`, with what the engine keeps there. */
  buffer(name: BufferName, offset: number, bytes: number): Uint8Array {
    const whole = this.#buffers[name];
    assertWithin(offset + bytes, whole.byteLength);
    return whole.subarray(offset, offset + bytes);
  }

  /** A slot of the communicator's pool. */
  slot(source: number, lane: number, message: number, bytes: number): Uint8Array {
    const name = `${source} ${lane} ${message % SLOTS_PER_LANE}`;
    const slot = this.#slots.get(name) ?? new Uint8Array(1 << 16);
    this.#slots.set(name, slot);
    return slot.subarray(0, bytes);
  }

  /** Throws if bytes are written that somebody uses, or used that somebody writes. */
  lock(bytes: Uint8Array, access: Lock['access']): () => void {
    const lock = { bytes, access };
    for (const held of this.#locks) {
      if (held.access === 'read' && access === 'read') continue;
      if (held.bytes.buffer !== bytes.buffer) continue;
      const isApart =
        held.bytes.byteOffset >= bytes.byteOffset + bytes.byteLength ||
        bytes.byteOffset >= held.bytes.byteOffset + held.bytes.byteLength;
      if (!isApart) throw new Error(`Race: ${access} while ${held.access}`);
    }
    this.#locks.add(lock);
    return () => this.#locks.delete(lock);
  }
}

export class World {
  readonly plans: readonly Plan[];
  readonly #prng: Prng;
  readonly #op: 'sum' | 'max';
  readonly #memories: readonly Memory[];
  readonly #engines: readonly Engine[];
  /** What may happen next: of each queue the first. */
  readonly #queues = new Map<string, (() => void)[]>();
  /** Queues that are not empty. */
  readonly #ready: (() => void)[][] = [];
  finished = 0;
  /** Copies that were made because others waited for the source of a message. */
  staged = 0;

  constructor(init: WorldInit) {
    const { programs, table, sliceBytes } = init;
    this.#prng = init.prng;
    this.#op = programs[0]?.collective === 'barrier' ? 'max' : 'sum';
    const placement = init.inPlace ? 'inPlace' : 'outOfPlace';
    this.plans = programs.map((program) =>
      makePlan({
        ...{ program, table, elementBytes: ELEMENT_BYTES, sliceBytes, placement },
        ...(init.depth === undefined ? {} : { depth: init.depth }),
      }),
    );
    this.#memories = this.plans.map((plan) => new Memory(plan.program, plan, init));
    this.#engines = this.plans.map((plan, rank) => this.#engineOf(plan, rank));
  }

  /** Runs everything to its end. */
  run(): void {
    this.plans.forEach((plan, rank) => {
      this.#later(`start ${rank}`, () => {
        this.#engine(rank).start();
        plan.inbound.forEach((_, inbound) => {
          this.#announce(rank, inbound);
        });
      });
    });
    for (;;) {
      if (this.#ready.length === 0) return;
      const index = this.#prng.uint32() % this.#ready.length;
      const queue = defined(this.#ready[index], 'a queue');
      const event = defined(queue.shift(), 'an event');
      if (queue.length === 0) this.#ready.splice(index, 1);
      event();
    }
  }

  output(rank: number): Float32Array {
    return this.#memory(rank).output;
  }

  #engineOf(plan: Plan, rank: number): Engine {
    const lanes = {
      inbound: ({ slots }: PlanConnection) => new InboundLane(slots?.count),
      outbound: ({ slots }: PlanConnection) => new OutboundLane(slots?.count),
    };
    const engine: Engine = new Engine(plan, lanes, {
      post: (message) => this.#post(rank, message),
      compute: (work, slice) => this.#compute(rank, work, () => engine.computed(slice)),
      announce: (inbound) => this.#announce(rank, inbound),
      finished: () => {
        this.finished++;
      },
    });
    return engine;
  }

  #engine(rank: number): Engine {
    return defined(this.#engines[rank], 'an engine');
  }

  #memory(rank: number): Memory {
    return defined(this.#memories[rank], 'a memory');
  }

  #later(queue: string, event: () => void): void {
    const events = this.#queues.get(queue) ?? [];
    this.#queues.set(queue, events);
    if (events.push(event) === 1) this.#ready.push(events);
  }

  #at(rank: number, operand: Operand, bytes: number): Uint8Array {
    const memory = this.#memory(rank);
    if (operand.kind === 'buffer') return memory.buffer(operand.buffer, operand.offset, bytes);
    const { connection, message } = operand;
    if (operand.kind === 'slot') return this.#slot(rank, connection, message, bytes);
    const { offset, count, stride } = defined(connection.staging, 'staging');
    assertWithin(bytes, stride);
    return memory.buffer('scratch', offset + (message % count) * stride, bytes);
  }

  /** A slot of `rank` for what comes in over `connection`. */
  #slot(rank: number, connection: PlanConnection, message: number, bytes: number): Uint8Array {
    const { peer, peerIndex, lane, slots } = connection;
    const memory = this.#memory(rank);
    if (slots === undefined) return memory.slot(peer, lane, message, bytes);
    const region = defined(this.plans[rank]?.peers[peerIndex]?.slots, 'slots');
    const offset = slots.offset + (message % slots.count) * slots.stride;
    assertWithin(offset + bytes, region.length);
    return memory.buffer('scratch', region.offset + offset, bytes);
  }

  #compute(rank: number, work: Computation, done: () => void): void {
    const memory = this.#memory(rank);
    const dst = this.#at(rank, work.dst, work.bytes);
    const operands = work.kind === 'copy' ? [work.src] : [work.a, work.b];
    const sources = operands.map((operand) => this.#at(rank, operand, work.bytes));
    if (work.kind === 'copy' && work.dst.kind === 'staging') this.staged++;
    const releases = sources
      .filter((one) => one.buffer !== dst.buffer || one.byteOffset !== dst.byteOffset)
      .map((one) => memory.lock(one, 'read'));
    releases.push(memory.lock(dst, 'write'));
    this.#later(`device ${rank}`, () => {
      const [a, b] = sources;
      if (work.kind === 'copy') dst.set(defined(a, 'a source'));
      else {
        const operands = [defined(a, 'an operand'), defined(b, 'an operand')].map(floatsOf);
        const [first, second] = operands as [ElementArray, ElementArray];
        reduceElements('float32', this.#op, first, second, floatsOf(dst));
      }
      for (const release of releases) release();
      done();
    });
  }

  /** Arrives some time; is acknowledged some time after. The NIC may read the source until then. */
  #post(rank: number, message: Outgoing): 'posted' | 'blocked' {
    if (this.#prng.uint32() % 8 === 0) {
      this.#later(`retry ${rank}`, () => this.#engine(rank).resume());
      return 'blocked';
    }
    const { connection, source, slice } = message;
    const { peer, lane } = connection;
    const from = this.#at(rank, source, slice.bytes);
    const release = this.#memory(rank).lock(from, 'read');
    this.#later(`data ${rank} ${peer} ${lane}`, () => {
      const inbound = this.#indexOf(peer, 'inbound', rank, lane);
      const landing = this.#landing(rank, message, inbound);
      this.#memory(peer).lock(landing, 'write')();
      landing.set(from);
      const arrived = this.#engine(peer).arrive(inbound)?.bytes;
      assert(arrived === slice.bytes, `Expected ${slice.bytes} bytes but found ${arrived}`);
      this.#later(`ack ${rank} ${peer} ${lane}`, () => {
        release();
        this.#engine(rank).sent(slice);
      });
    });
    return 'posted';
  }

  #landing(rank: number, { connection, slice, slotMessage }: Outgoing, inbound: number) {
    const { peer } = connection;
    const plan = defined(this.plans[peer], 'a plan');
    const { landing } = slice.step;
    if (landing === 'slot' || landing === undefined) {
      const theirs = defined(plan.inbound[inbound], 'a connection');
      assert(isDeepStrictEqual(theirs.slots, connection.slots), 'Expected the same slots');
      return this.#slot(peer, theirs, slotMessage, slice.bytes);
    }
    const offers = defined(plan.peers[plan.peerOf.get(rank) ?? -1]?.offers, 'offers');
    const offer = defined(offers[landing.buffer], 'an offer');
    const offset = landing.offset + slice.offset;
    assertWithin(offset + slice.bytes, offer.length);
    return this.#memory(peer).buffer(landing.buffer, offer.offset + offset, slice.bytes);
  }

  #indexOf(rank: number, end: 'inbound' | 'outbound', peer: number, lane: number): number {
    const found = this.plans[rank]?.[end].findIndex(
      (one) => one.peer === peer && one.lane === lane,
    );
    return defined(found, 'a connection');
  }

  #announce(rank: number, inbound: number): void {
    const { peer, lane } = defined(this.plans[rank]?.inbound[inbound], 'a connection');
    this.#later(`credit ${rank}`, () => {
      const granted = this.#engine(rank).granted(inbound);
      const end = this.#engine(rank).inboundLane(inbound);
      const { released } = end;
      end.announce(granted);
      this.#later(`control ${rank} ${peer}`, () => {
        const outbound = this.#indexOf(peer, 'outbound', rank, lane);
        assert(this.#engine(peer).outboundLane(outbound).credit(released), 'Expected a credit');
        this.#engine(peer).grant(outbound, granted);
      });
    });
  }
}

function floatsOf(bytes: Uint8Array) {
  return elementArray('float32', bytes.buffer, bytes.byteOffset, bytes.byteLength / ELEMENT_BYTES);
}
