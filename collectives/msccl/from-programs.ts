/**
 * Makes an MSCCL XML file of programs, those of our algorithms for example, as other tools take it: one
 * peer per thread block and direction, dependencies as `depid` and `nop`, at most 71 chunks a step.
 *
 * Thread blocks on a GPU are limited in number and length (RCCL: 64 of 64 steps); larger files are
 * written all the same, as simulators and later versions take them.
 */
import { assert } from '../../common/assert.ts';
import { type CollectiveName, chunksIn, logicalChunk } from '../collective.ts';
import { memoryMap } from '../memory.ts';
import type { Program, Step, StepKind } from '../program.ts';
import type { BufferName, Place } from '../schedule.ts';
import type {
  MscclAttributes,
  MscclBuffer,
  MscclDocument,
  MscclGpu,
  MscclStep,
  MscclStepType,
} from './document.ts';
import type { Placement } from './geometry.ts';
import { orderOf } from './step-order.ts';
import { type DealtStep, dealToThreadBlocks, type TakeScratch } from './thread-blocks.ts';
import { type BlockStep, waitsOf } from './waits.ts';

export interface MscclDocumentOptions {
  readonly name: string;
  /** `Simple` if absent. */
  readonly proto?: 'Simple' | 'LL' | 'LL128';
  /** What the programs hold for. */
  readonly placements: readonly Placement[];
}

/**
 * Names of the format for ours; those without one are `custom`: their files promise no result. Uneven
 * counts are not the file's but the call's, or nobody's: chunks of a file are all of one size.
 */
const COLL_OF: Readonly<Partial<Record<CollectiveName, string>>> = {
  allReduce: 'allreduce',
  allGather: 'allgather',
  allGatherV: 'allgather',
  reduceScatter: 'reducescatter',
  reduceScatterV: 'reducescatter',
  allToAll: 'alltoall',
  allToAllV: 'alltoallv',
  broadcast: 'broadcast',
  reduce: 'reduce',
  gather: 'gather',
  scatter: 'scatter',
};
const ROOTED: ReadonlySet<CollectiveName> = new Set(['broadcast', 'reduce', 'gather', 'scatter']);
/** Collectives of which N counts the chunks of all blocks together. */
const COUNTS_ALL_BLOCKS: ReadonlySet<CollectiveName> = new Set([
  'allGather',
  'allGatherV',
  'reduceScatter',
  'reduceScatterV',
  'allToAll',
  'allToAllV',
]);
const TYPE_OF: Readonly<Record<StepKind, MscclStepType>> = {
  send: 's',
  recv: 'r',
  copy: 'cpy',
  reduce: 're',
  recvCopySend: 'rcs',
  recvReduceCopy: 'rrc',
  recvReduceSend: 'rrs',
  recvReduceCopySend: 'rrcs',
};
const LETTER_OF: Readonly<Record<BufferName, MscclBuffer>> = {
  input: 'i',
  output: 'o',
  scratch: 's',
};

/**
 * `programs` are those of all ranks, by rank. Order between their steps must be explicit, as lowering
 * makes it: order through messages alone does not show here.
 */
export function mscclDocument(
  programs: readonly Program[],
  { name, proto = 'Simple', placements }: MscclDocumentOptions,
): MscclDocument {
  const [first] = programs;
  assert(first !== undefined, 'Expected the programs of at least 1 rank');
  const scratch = new ScratchBook(first.scratch.length);
  const inPlace = placements.includes('inPlace');
  const blocks = programs.map((program) => threadBlocksOf(program, inPlace, scratch.of(program)));
  const chans = blocks.flatMap((own) => own.map(({ chan }) => chan));
  const gpus = programs.map(
    (program, rank): MscclGpu => ({
      inputChunks: chunksIn(program, rank, 'input'),
      outputChunks: chunksIn(program, rank, 'output'),
      scratchChunks: scratch.size,
      copies: [],
      threadBlocks: blocks[rank] ?? [],
    }),
  );
  const { collective, chunks, nranks, root } = first;
  const sizes = gpus.map((gpu) => Math.max(gpu.inputChunks, gpu.outputChunks));
  const coll = COLL_OF[collective] ?? 'custom';
  const attributes: MscclAttributes = {
    name,
    proto,
    nchannels: Math.max(0, ...chans) + 1,
    nchunksperloop:
      coll === 'custom'
        ? Math.max(1, ...sizes)
        : chunks * (COUNTS_ALL_BLOCKS.has(collective) ? nranks : 1),
    coll,
    inplace: inPlace ? 1 : 0,
    outofplace: placements.includes('outOfPlace') ? 1 : 0,
    minBytes: 0n,
    maxBytes: 0n,
    ...(ROOTED.has(collective) ? { root } : {}),
  };
  return { attributes, gpus };
}

/**
 * Scratch beyond that of the programs. Where ranks need chunks of one size they share the place, so that
 * every chunk has one size on all of them.
 */
class ScratchBook {
  size: number;
  readonly #starts = new Map<string, number[]>();

  constructor(size: number) {
    this.size = size;
  }

  of(program: Program): TakeScratch {
    const taken = new Map<string, number>();
    return ({ buffer, chunk }, count) => {
      const key = `${logicalChunk(program, program.rank, buffer, chunk)} ${count}`;
      const use = taken.get(key) ?? 0;
      taken.set(key, use + 1);
      const starts = this.#starts.get(key) ?? [];
      this.#starts.set(key, starts);
      if (starts[use] === undefined) {
        starts.push(this.size);
        this.size += count;
      }
      return { buffer: 'scratch', chunk: starts[use] as number };
    };
  }
}

function threadBlocksOf(program: Program, inPlace: boolean, takeScratch: TakeScratch) {
  const { blocks, steps } = dealToThreadBlocks(orderOf(program), takeScratch);
  const memory = memoryMap(program, program.rank, inPlace);
  const waits = waitsOf(steps, blocks.length, memory);
  const written = writeSteps(steps, waits, blocks.length);
  return blocks.map(({ send, recv, lane }, id) => {
    return { send, recv, chan: lane, steps: written[id] ?? [] };
  });
}

/** The steps of each thread block, with a `nop` for every wait of a step but the last. */
function writeSteps(
  steps: readonly DealtStep[],
  waits: readonly (readonly BlockStep[])[],
  nblocks: number,
): MscclStep[][] {
  const written: MscclStep[][] = Array.from({ length: nblocks }, () => []);
  /** Per thread block, the number in the file of each step that is no `nop`. */
  const numbers: number[][] = Array.from({ length: nblocks }, () => []);
  const awaited = new Set<MscclStep>();
  for (const [index, { block, step }] of steps.entries()) {
    const own = written[block] as MscclStep[];
    const targets = (waits[index] ?? []).map((wait) => {
      const deps = numbers[wait.block]?.[wait.step] ?? 0;
      awaited.add(written[wait.block]?.[deps] as MscclStep);
      return { depid: wait.block, deps };
    });
    for (const target of targets.slice(0, -1)) own.push({ ...NOP, ...target, hasdep: 0 });
    numbers[block]?.push(own.length);
    own.push({ ...stepOf(step), ...(targets.at(-1) ?? NO_TARGET), hasdep: 0 });
  }
  return written.map((own) =>
    own.map((step) => (awaited.has(step) ? { ...step, hasdep: 1 } : step)),
  );
}

const NO_TARGET = { depid: -1, deps: -1 };
const NOP = { type: 'nop', srcbuf: 'i', srcoff: -1, dstbuf: 'o', dstoff: -1, cnt: 0 } as const;

function stepOf({ kind, count, src, dst, landing }: Step): MscclStep {
  const stored = dst ?? (landing?.kind === 'place' ? landing.place : src);
  const [from, to] = [src ?? stored, stored].map(writtenPlace);
  return {
    type: TYPE_OF[kind],
    srcbuf: from?.buffer ?? 'i',
    srcoff: from?.offset ?? -1,
    dstbuf: to?.buffer ?? 'o',
    dstoff: to?.offset ?? -1,
    cnt: count,
  };
}

function writtenPlace(place: Place | undefined) {
  return place && { buffer: LETTER_OF[place.buffer], offset: place.chunk };
}
