/** Operations on shared memory against the reference, with ranks that go on in any order. */
import { describe, expect, it } from 'vitest';
import {
  averageElements,
  type ElementArray,
  elementArray,
  reduceElements,
} from '../../../../collectives/arithmetic.ts';
import { chunkTable } from '../../../../collectives/chunks.ts';
import type { CollectiveName } from '../../../../collectives/collective.ts';
import { lowerAll } from '../../../../collectives/lower.ts';
import { runPrograms } from '../../../../collectives/reference.ts';
import type { Rank } from '../../../../collectives/schedule.ts';
import { algorithmsFor, buildSchedule } from '../../../../collectives/table.ts';
import { flatTopology } from '../../../../collectives/topology.ts';
import { defined } from '../../../../common/assert.ts';
import { ranksOf } from '../../../../common/math.ts';
import { Prng } from '../../../../common/prng.ts';
import { MAILBOX_OPERAND_BYTES } from '../../../../node/hccl/shared/mailbox.ts';
import { planOf } from '../../../../node/hccl/shared/shared-offer.ts';
import type { SharedOperation } from '../../../../node/hccl/shared/shared-operation.ts';
import { SharedWorld, TYPE_BYTES, type WorldCall } from './shared-world.ts';

const SMALL: readonly CollectiveName[] = ['allReduce', 'allGather', 'reduceScatter', 'broadcast'];
const PULLED: readonly CollectiveName[] = [...SMALL, 'reduce', 'gather', 'scatter'];
const TYPES = ['float32', 'uint8', 'float64', 'bfloat16'] as const;
const OPS = ['sum', 'max', 'avg'] as const;
const COUNTS = [0, 1, 2, 3, 17, 64, 255, 1000];

function pick<T>(prng: Prng, some: readonly T[]): T {
  return some[prng.below(some.length)] as T;
}

function randomCall(prng: Prng, nranks: number): WorldCall {
  const mode = pick(prng, ['small', 'pull'] as const);
  const collective = pick(prng, mode === 'small' ? SMALL : PULLED);
  const rooted = ['broadcast', 'reduce', 'gather', 'scatter'].includes(collective);
  const root = rooted ? prng.below(nranks) : 0;
  const type = pick(prng, TYPES);
  const parts = collective === 'reduceScatter' ? nranks : 1;
  const fits = (count: number) => count * parts * TYPE_BYTES[type] <= MAILBOX_OPERAND_BYTES;
  const count = pick(prng, mode === 'small' ? COUNTS.filter(fits) : COUNTS);
  const inPlace = ranksOf(nranks).map(() => prng.below(2) === 0);
  const reduces = ['allReduce', 'reduceScatter', 'reduce'].includes(collective);
  const op = reduces ? pick(prng, OPS) : 'sum';
  const common = { mode, collective, root, count, type, op, inPlace } as const;
  if (mode === 'small') return { ...common, algorithm: 'mailbox' };
  const algorithms = algorithmsFor(collective).filter((algorithm) => {
    try {
      const topology = flatTopology(nranks);
      const choice = { collective, algorithm, topology, root, count, elementBytes: 4 };
      return planOf(choice, 0) !== undefined;
    } catch {
      // Not with so many ranks.
      return false;
    }
  });
  return { ...common, algorithm: pick(prng, algorithms) };
}

/** What every rank must have, by rank. */
function expectedOf(call: WorldCall, inputs: readonly ElementArray[]): ElementArray[] {
  const { mode, collective, algorithm, root, count, type, op } = call;
  const nranks = inputs.length;
  if (mode === 'small' && (collective === 'allReduce' || collective === 'reduceScatter')) {
    // In the order of the ranks, wherever it is done.
    const sum = defined(inputs[0], 'an input').slice();
    for (const input of inputs.slice(1)) reduceElements(type, op, sum, input, sum);
    if (op === 'avg') averageElements(type, sum, nranks, sum);
    if (collective === 'allReduce') return inputs.map(() => sum);
    return inputs.map((_, rank) => sum.slice(rank * count, (rank + 1) * count) as ElementArray);
  }
  const known = mode === 'small' ? 'direct' : algorithm;
  const topology = flatTopology(nranks);
  const schedule = buildSchedule({
    collective,
    algorithm: known,
    topology,
    root,
    placement: 'inPlace',
  });
  const table = chunkTable(schedule, count);
  return runPrograms(lowerAll(schedule), table, [...inputs], { inPlace: false, type, op });
}

/** Operations of all ranks, one after the other, while ranks run ahead of each other. */
class Session {
  readonly world: SharedWorld;
  readonly #prng: Prng;
  readonly #calls: readonly WorldCall[];
  readonly #inputs: readonly (readonly ElementArray[])[];
  readonly #expected: readonly ElementArray[][];
  readonly #shifts: readonly number[][];
  /** By rank: the operation under way, and the memory as it must be but for its output. */
  readonly #next: number[];
  readonly #under: (SharedOperation | undefined)[];
  readonly #before: Buffer[] = [];

  constructor(world: SharedWorld, calls: readonly WorldCall[], prng: Prng) {
    this.world = world;
    this.#prng = prng;
    this.#calls = calls;
    this.#inputs = calls.map((call) =>
      ranksOf(world.nranks).map((rank) => randomInput(call, world.sizes(call, rank).input, prng)),
    );
    this.#expected = calls.map((call, index) => expectedOf(call, this.#inputs[index] ?? []));
    this.#shifts = calls.map(({ type }) =>
      ranksOf(world.nranks).map(() => TYPE_BYTES[type] * prng.below(100)),
    );
    this.#next = ranksOf(world.nranks).map(() => 0);
    this.#under = ranksOf(world.nranks).map(() => undefined);
  }

  run(): void {
    const { nranks } = this.world;
    let idle = 0;
    while (this.#next.some((next) => next < this.#calls.length)) {
      const left = ranksOf(nranks).filter(
        (rank) => (this.#next[rank] as number) < this.#calls.length,
      );
      idle = this.#step(pick(this.#prng, left)) ? 0 : idle + 1;
      expect(idle, 'turns in which nobody got on').toBeLessThan(10_000);
    }
  }

  #step(rank: Rank): boolean {
    this.#under[rank] ??= this.#begin(rank);
    if (!this.#under[rank]?.advance()) return false;
    this.#end(rank);
    this.#under[rank] = undefined;
    (this.#next[rank] as number)++;
    return true;
  }

  #begin(rank: Rank): SharedOperation {
    const index = this.#next[rank] as number;
    const call = defined(this.#calls[index], 'a call');
    const { input, output } = this.#buffers(rank);
    const bytes = bytesOf(defined(this.#inputs[index]?.[rank], 'an input'));
    const windows = this.#windowsOf(rank);
    windows.fill(0xa5);
    this.world.bytes.set(bytes, input.offset);
    this.#before[rank] = Buffer.from(windows);
    return this.world.operation(call, rank, { input, output, sequence: index + 1 });
  }

  #end(rank: Rank): void {
    const index = this.#next[rank] as number;
    const call = defined(this.#calls[index], 'a call');
    const { output } = this.#buffers(rank);
    const expected = bytesOf(defined(this.#expected[index]?.[rank], 'an output'));
    const size = this.world.sizes(call, rank).output;
    const found = Buffer.from(this.world.bytes.slice(output.offset, output.offset + size));
    const what = `operation ${index + 1}, rank ${rank}: ${JSON.stringify(call)}`;
    if (!found.equals(expected.subarray(0, size))) expect.fail(`wrong output of ${what}`);
    const before = defined(this.#before[rank], 'the memory before');
    const [start] = this.world.rank(rank).windows;
    if (size > 0) before.set(found, output.offset - start);
    if (!before.equals(this.#windowsOf(rank))) expect.fail(`a byte outside the output of ${what}`);
  }

  #buffers(rank: Rank) {
    const index = this.#next[rank] as number;
    const shift = defined(this.#shifts[index]?.[rank], 'a shift');
    return this.world.buffers(defined(this.#calls[index], 'a call'), rank, shift);
  }

  /** Both windows of a rank, which lie side by side. */
  #windowsOf(rank: Rank): Buffer {
    const [first, second] = this.world.rank(rank).windows;
    return Buffer.from(this.world.memory.buffer, first, 2 * (second - first));
  }
}

function randomInput({ type }: WorldCall, bytes: number, prng: Prng): ElementArray {
  const count = bytes / TYPE_BYTES[type];
  if (type === 'uint8') return Uint8Array.from({ length: count }, () => prng.below(256));
  if (type === 'float64') return Float64Array.from({ length: count }, () => prng.normal());
  if (type === 'float32') return Float32Array.from({ length: count }, () => prng.normal());
  // The upper half of a float32.
  const upper = Uint32Array.from({ length: count }, () => {
    return (new Uint32Array(Float32Array.of(prng.normal()).buffer)[0] as number) >>> 16;
  });
  return elementArray('bfloat16', Uint16Array.from(upper).buffer, 0, count);
}

function bytesOf({ buffer, byteOffset, byteLength }: ElementArray): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}

describe('operations on shared memory', () => {
  it.each([2, 3, 4, 5])('of %i ranks have the bits of the reference, in any order', (nranks) => {
    const prng = new Prng(nranks);
    for (let round = 0; round < 2; round++) {
      const calls = Array.from({ length: 30 }, () => randomCall(prng, nranks));
      new Session(new SharedWorld(nranks), calls, prng).run();
    }
  });

  it('of long messages are cut into slices', () => {
    const prng = new Prng(77);
    const common = { mode: 'pull', root: 0, type: 'float32', op: 'sum' } as const;
    const call = { ...common, inPlace: [true, false], count: 200_003 };
    const calls: WorldCall[] = [
      { ...call, collective: 'allReduce', algorithm: 'direct' },
      { ...call, collective: 'allReduce', algorithm: 'ring' },
      { ...call, collective: 'broadcast', algorithm: 'chain', root: 1 },
      { ...call, collective: 'allGather', algorithm: 'direct', count: 100_001 },
    ];
    new Session(new SharedWorld(2), calls, prng).run();
  });

  it('go on when the count of cells wraps around', () => {
    const prng = new Prng(3);
    const world = new SharedWorld(3);
    for (const { place, mailbox } of world.ranks) {
      place.advance(2 ** 32 - 7);
      mailbox.progress = 2 ** 32 - 7;
    }
    const calls = Array.from({ length: 20 }, () => randomCall(prng, 3));
    new Session(world, calls, prng).run();
    for (const { mailbox } of world.ranks) expect(mailbox.progress).toBeLessThan(2 ** 31);
  });

  it('count their bytes and themselves', () => {
    const world = new SharedWorld(4);
    const call: WorldCall = {
      ...{ mode: 'pull', collective: 'allReduce', algorithm: 'direct', root: 0 },
      ...{ count: 400, type: 'float32', op: 'sum', inPlace: [true, true, true, true] },
    };
    new Session(world, [call, { ...call, mode: 'small', algorithm: 'mailbox' }], new Prng(1)).run();
    for (const { control } of world.ranks) {
      expect(control.traffic).toEqual({
        bytesRead: 2 * 1200 + 3 * 1600,
        bytesServed: 2 * 1200 + 3 * 1600,
        operations: 2,
      });
    }
  });
});
