import { describe, expect, it } from 'vitest';
import { chunkTable } from '../../../collectives/chunks.ts';
import type { CollectiveName } from '../../../collectives/collective.ts';
import { lower } from '../../../collectives/lower.ts';
import { ALGORITHMS, buildSchedule } from '../../../collectives/table.ts';
import { flatTopology } from '../../../collectives/topology.ts';
import { defined } from '../../../common/assert.ts';
import { Prng } from '../../../common/prng.ts';
import { Engine } from '../../../node/hccl/engine.ts';
import type { Computation, Operand, Outgoing } from '../../../node/hccl/engine-ports.ts';
import { InboundLane, OutboundLane, SLOTS_PER_LANE } from '../../../node/hccl/lanes.ts';
import { makePlan, type Plan } from '../../../node/hccl/plan.ts';

const SLICE_BYTES = 64;

/** Bytes in use: somebody reads or writes them until `release`. */
interface Lock {
  readonly buffer: string;
  readonly from: number;
  readonly to: number;
  readonly access: 'read' | 'write';
}

/** One rank's memory, as far as races go. */
class Memory {
  readonly #locks = new Set<Lock>();

  /** Throws if bytes are written that somebody uses, or used that somebody writes. */
  lock(lock: Lock): () => void {
    for (const held of this.#locks) {
      if (held.access === 'read' && lock.access === 'read') continue;
      if (held.buffer !== lock.buffer || held.from >= lock.to || lock.from >= held.to) continue;
      throw new Error(`Race: ${JSON.stringify(lock)} while ${JSON.stringify(held)}`);
    }
    this.#locks.add(lock);
    return () => this.#locks.delete(lock);
  }
}

/** Engines of all ranks over a network and devices that do what is allowed in any order. */
class World {
  readonly #prng: Prng;
  readonly #plans: readonly Plan[];
  readonly #memories: readonly Memory[];
  readonly #engines: Engine[] = [];
  readonly #inbound = new Map<string, InboundLane>();
  readonly #outbound = new Map<string, OutboundLane>();
  /** What may happen next; of each queue the first. */
  readonly #queues = new Map<string, (() => void)[]>();
  finished = 0;

  constructor(plans: readonly Plan[], seed: number) {
    this.#prng = new Prng(seed);
    this.#plans = plans;
    this.#memories = plans.map(() => new Memory());
    plans.forEach((plan, rank) => {
      const lanes = {
        inbound: (id: { peer: number; channel: number }) =>
          laneOf(this.#inbound, `${id.peer} ${rank} ${id.channel}`, () => new InboundLane()),
        outbound: (id: { peer: number; channel: number }) =>
          laneOf(this.#outbound, `${rank} ${id.peer} ${id.channel}`, () => new OutboundLane()),
      };
      this.#engines.push(
        new Engine(plan, lanes, {
          post: (message) => this.#post(rank, message),
          compute: (work, _slice, done) => this.#compute(rank, work, done),
          announce: (inbound) => this.#announce(rank, inbound),
          finished: () => {
            this.finished++;
          },
        }),
      );
    });
  }

  /** Runs everything to its end. */
  run(): void {
    this.#plans.forEach((plan, rank) => {
      this.#later(`start ${rank}`, () => {
        this.#engine(rank).start();
        for (let inbound = 0; inbound < plan.inbound.length; inbound++)
          this.#announce(rank, inbound);
      });
    });
    for (;;) {
      const ready = [...this.#queues].filter(([, queue]) => queue.length > 0);
      if (ready.length === 0) return;
      const [, queue] = defined(ready[this.#prng.uint32() % ready.length], 'an event');
      queue.shift()?.();
    }
  }

  #engine(rank: number): Engine {
    return defined(this.#engines[rank], 'an engine');
  }

  #later(queue: string, event: () => void): void {
    const events = this.#queues.get(queue) ?? [];
    events.push(event);
    this.#queues.set(queue, events);
  }

  #lock(rank: number, operand: Operand, bytes: number, access: 'read' | 'write'): () => void {
    const memory = defined(this.#memories[rank], 'a memory');
    if (operand.kind === 'buffer') {
      const { buffer, offset } = operand;
      return memory.lock({ buffer, from: offset, to: offset + bytes, access });
    }
    const { peer, channel } = defined(this.#plans[rank]?.inbound[operand.inbound], 'a connection');
    const buffer = slotName(peer, channel, operand.message);
    return memory.lock({ buffer, from: 0, to: bytes, access });
  }

  #compute(rank: number, work: Computation, done: () => void): void {
    const operands = work.kind === 'copy' ? [work.src] : [work.a, work.b];
    const isWritten = (one: Operand) => JSON.stringify(one) === JSON.stringify(work.dst);
    const releases = operands
      .filter((one) => !isWritten(one))
      .map((one) => this.#lock(rank, one, work.bytes, 'read'));
    releases.push(this.#lock(rank, work.dst, work.bytes, 'write'));
    this.#later(`device ${rank}`, () => {
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
    const { outbound, source, bytes, target, slice } = message;
    const { peer, channel } = defined(this.#plans[rank]?.outbound[outbound], 'a connection');
    const release = this.#lock(rank, source, bytes, 'read');
    this.#later(`data ${rank} ${peer} ${channel}`, () => {
      const landing =
        target.kind === 'slot'
          ? { buffer: slotName(rank, channel, target.message), from: 0, to: bytes }
          : { buffer: 'output', from: target.offset, to: target.offset + bytes };
      defined(this.#memories[peer], 'a memory').lock({ ...landing, access: 'write' })();
      const inbound = this.#plans[peer]?.inbound.findIndex(
        (one) => one.peer === rank && one.channel === channel,
      );
      expect(this.#engine(peer).arrive(defined(inbound, 'a connection'))?.bytes).toBe(bytes);
      this.#later(`ack ${rank} ${peer} ${channel}`, () => {
        release();
        this.#engine(rank).sent(slice);
      });
    });
    return 'posted';
  }

  #announce(rank: number, inbound: number): void {
    const { peer, channel } = defined(this.#plans[rank]?.inbound[inbound], 'a connection');
    const lane = defined(this.#inbound.get(`${peer} ${rank} ${channel}`), 'a lane');
    this.#later(`credit ${rank}`, () => {
      const granted = this.#engine(rank).granted(inbound);
      const { released } = lane;
      this.#later(`control ${rank} ${peer}`, () => {
        const sender = defined(this.#outbound.get(`${peer} ${rank} ${channel}`), 'a lane');
        expect(sender.credit(released)).toBe(true);
        const outbound = this.#plans[peer]?.outbound.findIndex(
          (one) => one.peer === rank && one.channel === channel,
        );
        this.#engine(peer).grant(defined(outbound, 'a connection'), granted);
      });
    });
  }
}

function slotName(source: number, channel: number, message: number): string {
  return `slot ${message % SLOTS_PER_LANE} of ${source} ${channel}`;
}

function laneOf<T>(lanes: Map<string, T>, key: string, make: () => T): T {
  const lane = lanes.get(key) ?? make();
  lanes.set(key, lane);
  return lane;
}

function plansOf(
  collective: CollectiveName,
  algorithm: string,
  nranks: number,
  count: number,
  inPlace: boolean,
): Plan[] {
  const topology = flatTopology(nranks);
  const schedule = buildSchedule({ collective, algorithm, topology, root: nranks - 1 });
  return Array.from({ length: nranks }, (_, rank) => {
    const program = lower(schedule, rank);
    return makePlan({
      program,
      table: chunkTable(program, count),
      elementBytes: 4,
      sliceBytes: SLICE_BYTES,
      placement: inPlace ? 'inPlace' : 'outOfPlace',
    });
  });
}

describe('engine', () => {
  const cases = ALGORITHMS.flatMap(({ name, collectives }) =>
    collectives.flatMap((collective) =>
      [false, true].map((inPlace) => ({ name, collective, inPlace })),
    ),
  );

  it.each(cases)(
    '$collective $name, in place: $inPlace: ends without a race, in whatever order things happen',
    ({ name, collective, inPlace }) => {
      for (const nranks of [2, 3, 4]) {
        for (const [index, count] of [1, 50, 700].entries()) {
          const plans = plansOf(collective, name, nranks, count, inPlace);
          for (let seed = 1; seed <= 3; seed++) {
            const world = new World(plans, 100 * seed + index);
            world.run();
            expect(world.finished, `${nranks} ranks, ${count} elements, seed ${seed}`).toBe(nranks);
          }
        }
      }
    },
  );

  it('a step that reads another part of what a step wrote waits for all of its slices', () => {
    const topology = flatTopology(4);
    const shape = { collective: 'allReduce', algorithm: 'ring', topology, root: 0 } as const;
    const both = {
      kind: 'copy',
      count: 2,
      src: { buffer: 'input', chunk: 0 },
      dst: { buffer: 'output', chunk: 0 },
      depends: [],
    } as const;
    const second = {
      kind: 'copy',
      count: 1,
      src: { buffer: 'output', chunk: 1 },
      dst: { buffer: 'output', chunk: 3 },
      depends: [],
    } as const;
    const program = {
      ...lower(buildSchedule(shape), 0),
      channels: [{ id: 0, steps: [both, second] }],
    };
    const plan = makePlan({
      program,
      table: chunkTable(program, 4 * 32),
      elementBytes: 4,
      sliceBytes: SLICE_BYTES,
      placement: 'outOfPlace',
    });
    expect(plan.steps.map(({ slices }) => slices)).toEqual([4, 2]);
    const launched: { readonly step: number; readonly done: () => void }[] = [];
    let finished = 0;
    const none = (): never => {
      throw new Error('Expected no message');
    };
    const engine = new Engine(
      plan,
      { inbound: none, outbound: none },
      {
        post: none,
        compute: (_work, slice, done) => void launched.push({ step: slice.step.step, done }),
        announce: none,
        finished: () => {
          finished++;
        },
      },
    );
    engine.start();
    for (let ended = 0; ended < 4; ended++) {
      expect(launched.map(({ step }) => step)).toEqual([0, 0, 0, 0]);
      launched[ended]?.done();
    }
    expect(launched.map(({ step }) => step)).toEqual([0, 0, 0, 0, 1, 1]);
    for (const { done } of launched.slice(4)) done();
    expect(finished).toBe(1);
  });
});
