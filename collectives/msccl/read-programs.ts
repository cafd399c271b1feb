/** The programs that a file means: one channel per thread block, in the same order. */
import {
  type Program,
  receives,
  reduces,
  type Step,
  type StepKind,
  type StepRef,
  sends,
} from '../program.ts';
import type { Place, Rank } from '../schedule.ts';
import {
  type MscclBuffer,
  type MscclGpu,
  type MscclStep,
  type MscclStepType,
  type MscclThreadBlock,
  namesDestination,
  namesSource,
} from './document.ts';
import type { Geometry } from './geometry.ts';
import { StepNumbers, type WaitBudget, waitBudget } from './nops.ts';
import type { ReadDocument } from './read-document.ts';

const KIND_OF: Readonly<Record<Exclude<MscclStepType, 'nop'>, StepKind>> = {
  s: 'send',
  r: 'recv',
  rcs: 'recvCopySend',
  rrs: 'recvReduceSend',
  rrc: 'recvReduceCopy',
  rrcs: 'recvReduceCopySend',
  cpy: 'copy',
  re: 'reduce',
};

/**
 * A step before the landing of its message is known. Several `re` steps with one destination, which
 * readers on a GPU run as one, stay several: that is all the same.
 */
type Unlanded = Omit<Step, 'landing'>;

interface ReadChannel {
  readonly lane: number;
  readonly steps: readonly Unlanded[];
}

/** Without the sizes of scratch chunks. @throws HlsimError `HLSIM_PROGRAM_UNREADABLE` */
export function readPrograms(read: ReadDocument, geometry: Geometry): Program[] {
  const { gpus, attributes } = read.document;
  const budget = waitBudget();
  const channels = gpus.map((gpu, rank) =>
    new GpuReader(read, geometry, gpu, rank).channels(budget),
  );
  const landings = new Landings(channels);
  return gpus.map((_, rank) => {
    const own = channels[rank] ?? [];
    const writesInput = own.some(({ steps }) => steps.some(({ dst }) => dst?.buffer === 'input'));
    return {
      algorithm: attributes.name ?? 'msccl',
      ...geometry.shape,
      rank,
      ...(writesInput ? { overwritesInput: true } : {}),
      channels: own.map(({ lane, steps }, id) => {
        return { id, lane, steps: landings.land(rank, lane, steps) };
      }),
    };
  });
}

class GpuReader {
  readonly #lineOf: ReadDocument['lineOf'];
  readonly #geometry: Geometry;
  readonly #gpu: MscclGpu;
  readonly #rank: Rank;

  constructor({ lineOf }: ReadDocument, geometry: Geometry, gpu: MscclGpu, rank: Rank) {
    this.#lineOf = lineOf;
    this.#geometry = geometry;
    this.#gpu = gpu;
    this.#rank = rank;
  }

  channels(budget: WaitBudget): ReadChannel[] {
    const { threadBlocks, copies } = this.#gpu;
    const numbers = new StepNumbers(this.#gpu, budget);
    const channels = threadBlocks.map((threadBlock, id) => {
      const steps = threadBlock.steps.flatMap((step, index) => {
        if (step.type === 'nop') return [];
        const depends = numbers.dependsOf(id, index, this.#lineOf(step));
        return [this.#step(threadBlock, step, step.type, depends)];
      });
      return { lane: Math.max(0, threadBlock.chan), steps };
    });
    if (copies.length === 0) return channels;
    // Behind the thread blocks, so that these keep their numbers, but before all of them in time.
    const last: StepRef = { channel: channels.length, step: copies.length - 1 };
    const after = channels.map(({ lane, steps }) => {
      const [first, ...rest] = steps;
      if (first === undefined) return { lane, steps };
      return { lane, steps: [{ ...first, depends: [...first.depends, last] }, ...rest] };
    });
    return [...after, { lane: 0, steps: this.#copies() }];
  }

  #copies(): Unlanded[] {
    return this.#gpu.copies.map((copy) => {
      const { inputOffset, outputOffset, cnt: count = 1 } = copy;
      const line = this.#lineOf(copy);
      return {
        kind: 'copy',
        count,
        src: this.#place('i', inputOffset, count, line),
        dst: this.#place('o', outputOffset, count, line),
        depends: [],
      };
    });
  }

  #step(
    { send, recv }: MscclThreadBlock,
    step: MscclStep,
    type: keyof typeof KIND_OF,
    depends: readonly StepRef[],
  ): Unlanded {
    const kind = KIND_OF[type];
    const { srcbuf = 'i', srcoff = -1, dstbuf = 'o', dstoff = -1, cnt: count = 1 } = step;
    const line = this.#lineOf(step);
    return {
      kind,
      count,
      ...(receives(kind) ? { recvFrom: recv } : {}),
      ...(sends(kind) ? { sendTo: send } : {}),
      ...(namesSource(type) ? { src: this.#place(srcbuf, srcoff, count, line) } : {}),
      ...(namesDestination(type) ? { dst: this.#place(dstbuf, dstoff, count, line) } : {}),
      depends,
    };
  }

  #place(buffer: MscclBuffer, offset: number, count: number, line: number): Place {
    return this.#geometry.place(this.#rank, buffer, offset, count, line);
  }
}

/**
 * Tells senders how their messages are taken, which in the format the receiver alone says: the n-th
 * message of a connection by its n-th receive. One that nobody takes counts as an operand.
 */
class Landings {
  /** Per connection, what its receives do, in turn. */
  readonly #receives = new Map<string, Unlanded[]>();

  constructor(channels: readonly (readonly ReadChannel[])[]) {
    for (const [rank, own] of channels.entries()) {
      for (const { lane, steps } of own) {
        for (const step of steps) {
          if (step.recvFrom === undefined) continue;
          const key = `${step.recvFrom} ${rank} ${lane}`;
          const known = this.#receives.get(key);
          if (known === undefined) this.#receives.set(key, [step]);
          else known.push(step);
        }
      }
    }
  }

  /** `steps` are those of the one channel of `rank` that sends to its peer on `lane`. */
  land(rank: Rank, lane: number, steps: readonly Unlanded[]): Step[] {
    let sent = 0;
    return steps.map((step) => {
      const { sendTo } = step;
      if (sendTo === undefined) return step;
      const taken = this.#receives.get(`${rank} ${sendTo} ${lane}`)?.[sent++];
      if (taken?.dst === undefined || reduces(taken.kind))
        return { ...step, landing: { kind: 'slot' } };
      return { ...step, landing: { kind: 'place', place: taken.dst } };
    });
  }
}
