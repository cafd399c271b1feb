/** Calls of all ranks of a world, one after the other, against the reference, in any order. */
import { expect } from 'vitest';
import {
  averageElements,
  type ElementArray,
  elementArray,
  reduceElements,
} from '../../../../collectives/arithmetic.ts';
import { chunkTable } from '../../../../collectives/chunks.ts';
import { lowerAll } from '../../../../collectives/lower.ts';
import { runPrograms } from '../../../../collectives/reference.ts';
import type { Rank } from '../../../../collectives/schedule.ts';
import { buildSchedule } from '../../../../collectives/table.ts';
import { flatTopology } from '../../../../collectives/topology.ts';
import { defined } from '../../../../common/assert.ts';
import { ranksOf } from '../../../../common/math.ts';
import type { Prng } from '../../../../common/prng.ts';
import type { ProgramOperation } from '../../../../node/hccl/program/program-operation.ts';
import type { SharedBuffer } from '../../../../node/hccl/shared/shared-operation.ts';
import {
  type CallPlace,
  callBuffers,
  callSizes,
  TYPE_BYTES,
  type WorldCall,
} from './world-call.ts';

/** Ranks that can make calls. */
export interface CallWorld {
  readonly nranks: number;
  place(rank: Rank): CallPlace;
  /** The memory of a rank's device. */
  bytesOf(rank: Rank): Uint8Array;
  operation(
    call: WorldCall,
    rank: Rank,
    how: {
      readonly input: SharedBuffer;
      readonly output: SharedBuffer;
      readonly sequence: number;
    },
  ): ProgramOperation;
  /** False: the rank sleeps. */
  isAwake?(rank: Rank): boolean;
  /** The rank has gone on as far as it could, and has not come to the end. */
  stopped?(rank: Rank): void;
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
export class CallSession {
  readonly world: CallWorld;
  readonly #prng: Prng;
  readonly #calls: readonly WorldCall[];
  readonly #inputs: readonly (readonly ElementArray[])[];
  readonly #expected: readonly ElementArray[][];
  readonly #shifts: readonly number[][];
  /** By rank: the operation under way, and the memory as it must be but for its output. */
  readonly #next: number[];
  readonly #under: (ProgramOperation | undefined)[];
  readonly #before: Buffer[] = [];
  readonly #patience: number;

  /** `patience`: turns after which somebody must have come to the end of a call. */
  constructor(world: CallWorld, calls: readonly WorldCall[], prng: Prng, patience = 10_000) {
    this.world = world;
    this.#patience = patience;
    this.#prng = prng;
    this.#calls = calls;
    this.#inputs = calls.map((call) =>
      ranksOf(world.nranks).map((rank) => {
        return randomInput(call, callSizes(call, world.place(rank)).input, prng);
      }),
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
      const awake = left.filter((rank) => this.world.isAwake?.(rank) ?? true);
      if (awake.length === 0) expect.fail('everybody sleeps');
      idle = this.#step(awake[this.#prng.below(awake.length)] as Rank) ? 0 : idle + 1;
      expect(idle, 'turns in which nobody got to an end').toBeLessThan(this.#patience);
    }
  }

  #step(rank: Rank): boolean {
    this.#under[rank] ??= this.#begin(rank);
    if (!this.#under[rank]?.advance()) {
      this.world.stopped?.(rank);
      return false;
    }
    this.#end(rank);
    this.#under[rank] = undefined;
    (this.#next[rank] as number)++;
    return true;
  }

  #begin(rank: Rank): ProgramOperation {
    const index = this.#next[rank] as number;
    const call = defined(this.#calls[index], 'a call');
    const { input, output } = this.#buffers(rank);
    const bytes = bytesOf(defined(this.#inputs[index]?.[rank], 'an input'));
    const windows = this.#windowsOf(rank);
    windows.fill(0xa5);
    this.world.bytesOf(rank).set(bytes, input.offset);
    this.#before[rank] = Buffer.from(windows);
    return this.world.operation(call, rank, { input, output, sequence: index + 1 });
  }

  #end(rank: Rank): void {
    const index = this.#next[rank] as number;
    const call = defined(this.#calls[index], 'a call');
    const { output } = this.#buffers(rank);
    const expected = bytesOf(defined(this.#expected[index]?.[rank], 'an output'));
    const place = this.world.place(rank);
    const size = callSizes(call, place).output;
    const memory = this.world.bytesOf(rank);
    const found = Buffer.from(memory.slice(output.offset, output.offset + size));
    const what = `operation ${index + 1}, rank ${rank}: ${JSON.stringify(call)}`;
    if (!found.equals(expected.subarray(0, size))) expect.fail(`wrong output of ${what}`);
    const before = defined(this.#before[rank], 'the memory before');
    const [start] = place.windows;
    if (size > 0) before.set(found, output.offset - start);
    if (!before.equals(this.#windowsOf(rank))) expect.fail(`a byte outside the output of ${what}`);
  }

  #buffers(rank: Rank) {
    const index = this.#next[rank] as number;
    const shift = defined(this.#shifts[index]?.[rank], 'a shift');
    return callBuffers(defined(this.#calls[index], 'a call'), this.world.place(rank), shift);
  }

  /** Both windows of a rank, which lie side by side. */
  #windowsOf(rank: Rank): Buffer {
    const [first, second] = this.world.place(rank).windows;
    return Buffer.from(this.world.bytesOf(rank).buffer, first, 2 * (second - first));
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
