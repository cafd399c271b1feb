/**
 * What a file's buffers mean: which collective it does, into how many chunks a block is cut, and which
 * place of ours a place of the file is.
 *
 * `nchunksperloop` N cuts the vector of `allreduce`, `broadcast` and `reduce`, and all blocks together of
 * `allgather`, `reducescatter` and `alltoall` (RCCL `msccl_parser.cc`, `sizeMultiplier`). A block of
 * `gather` and `scatter` has N chunks for RCCL, but N / ranks from writers that count those of the root.
 */
import {
  BLOCKS,
  type CollectiveName,
  type CollectiveShape,
  chunksIn,
  inPlaceAlias,
} from '../collective.ts';
import type { BufferName, Place, Rank } from '../schedule.ts';
import {
  type MscclBuffer,
  type MscclDocument,
  type MscclGpu,
  namesDestination,
} from './document.ts';
import type { ReadDocument } from './read-document.ts';
import { quoted, unreadable } from './unreadable.ts';

export type Placement = 'inPlace' | 'outOfPlace';

/**
 * Names in the attribute `coll`, which writers spell with capitals, `_` and `-` as they like. Of those that
 * are custom nothing is known but their steps.
 */
const COLLECTIVE_OF: ReadonlyMap<string, CollectiveName> = new Map([
  ['allreduce', 'allReduce'],
  ['allgather', 'allGather'],
  ['reducescatter', 'reduceScatter'],
  ['alltoall', 'allToAll'],
  ['alltoallv', 'allToAllV'],
  ['broadcast', 'broadcast'],
  ['reduce', 'reduce'],
  ['gather', 'gather'],
  ['scatter', 'scatter'],
  ['send', 'custom'],
  ['recv', 'custom'],
  ['alltonext', 'custom'],
  ['custom', 'custom'],
]);

export const BUFFER_OF: Readonly<Record<MscclBuffer, BufferName>> = {
  i: 'input',
  o: 'output',
  s: 'scratch',
};

/** Bounds of what readers of programs make for them, in numbers kept at a time. */
const CELLS_MAX = 1 << 22;
const CLOCKS_MAX = 1 << 23;

/** The shape but for the sizes of scratch chunks, of which there are `scratchChunks`. */
export interface Geometry {
  readonly shape: CollectiveShape;
  readonly scratchChunks: number;
  readonly placements: readonly Placement[];
  /** Why the file cannot do what its collective promises, whatever its steps are: it is `custom` then. */
  readonly objection?: string;
  /** @throws HlsimError `HLSIM_PROGRAM_UNREADABLE` if `count` chunks from there on are not all there */
  place(rank: Rank, buffer: MscclBuffer, offset: number, count: number, line: number): Place;
}

/** @throws HlsimError `HLSIM_PROGRAM_UNREADABLE` */
export function geometryOf({ document, lineOf }: ReadDocument): Geometry {
  const { shape, objection } = shapeOf(document, lineOf(document));
  const placements = placementsOf(document, shape);
  const scratchChunks = Math.max(...document.gpus.map((gpu) => gpu.scratchChunks));
  expectModest(document, shape, lineOf(document));
  const place: Geometry['place'] = (rank, buffer, offset, count, line) => {
    const { inputChunks, outputChunks, scratchChunks: scratch } = document.gpus[rank] as MscclGpu;
    const declared = { i: inputChunks, o: outputChunks, s: scratch }[buffer];
    const found = { buffer: BUFFER_OF[buffer], chunk: offset };
    const isLeftOut = declared === 0 && buffer !== 's' && placements.includes('inPlace');
    if (!isLeftOut && offset + count > declared) {
      throw outside(buffer, offset, count, `of the ${declared} that gpu ${rank} has`, line);
    }
    if (buffer === 's' || fits(shape, rank, found, count)) return found;
    const other = placements.includes('outOfPlace') ? undefined : otherName(shape, rank, found);
    if (other !== undefined && fits(shape, rank, other, count)) return other;
    const { collective } = shape;
    const chunks = chunksIn(shape, rank, found.buffer);
    throw outside(buffer, offset, count, `of the ${chunks} of ${collective} on gpu ${rank}`, line);
  };
  return {
    shape,
    scratchChunks,
    placements,
    place,
    ...(objection === undefined ? {} : { objection }),
  };
}

function outside(buffer: MscclBuffer, offset: number, count: number, of: string, line: number) {
  const chunks = count === 1 ? `${offset}` : `${offset} to ${offset + count - 1}`;
  return unreadable(
    line,
    `Expected a step to touch only chunks ${of} in ${buffer} but found ${chunks}`,
  );
}

function fits(
  shape: CollectiveShape,
  rank: Rank,
  { buffer, chunk }: Place,
  count: number,
): boolean {
  return chunk >= 0 && chunk + count <= chunksIn(shape, rank, buffer);
}

/** In place the file may name either buffer for the same memory: `place` in the other buffer. */
function otherName(shape: CollectiveShape, rank: Rank, { buffer, chunk }: Place): Place {
  const alias = inPlaceAlias(shape, rank);
  if (alias !== undefined) {
    const isPart = buffer === alias.part;
    return isPart
      ? { buffer: alias.whole, chunk: alias.chunk + chunk }
      : { buffer: alias.part, chunk: chunk - alias.chunk };
  }
  // A rank with one buffer only, where the root has both.
  const other = buffer === 'input' ? 'output' : 'input';
  const isSame = BLOCKS[shape.collective].inPlace === 'same';
  return { buffer: other, chunk: isSame ? chunk : chunk - rank * shape.chunks };
}

/**
 * Neither attribute, or no to both, means what files without `outofplace` mean. Of a custom collective
 * nobody says which places coincide in place: its buffers are taken for two, as its writers do, who set
 * `inplace` all the same.
 */
function placementsOf({ attributes }: MscclDocument, shape: CollectiveShape): Placement[] {
  const { inplace = 0, outofplace = 1 - inplace } = attributes;
  if (shape.collective === 'custom' || inplace === 0) return ['outOfPlace'];
  return outofplace === 0 ? ['inPlace'] : ['outOfPlace', 'inPlace'];
}

interface FoundShape {
  readonly shape: CollectiveShape;
  readonly objection?: string;
}

function shapeOf(document: MscclDocument, line: number): FoundShape {
  const { attributes, gpus } = document;
  const { coll = 'custom', nchunksperloop } = attributes;
  const collective = COLLECTIVE_OF.get(coll.toLowerCase().replace(/[\s_-]/g, ''));
  if (collective === undefined) {
    const names = [...COLLECTIVE_OF.keys()].join(', ');
    throw unreadable(
      line,
      `Expected coll of <algo> to be one of ${names} but found ${quoted(coll)}`,
    );
  }
  const nranks = gpus.length;
  const root =
    attributes.root ?? (BLOCKS[collective].rooted ? likelyRoot(document, collective) : 0);
  if (root >= nranks) {
    throw unreadable(line, `Expected root of <algo> to be a rank but found ${root}`);
  }
  if (collective === 'custom') return { shape: customShape(gpus) };
  const chunks = chunksOf(document, collective);
  if (Number.isInteger(chunks)) {
    return { shape: { collective, nranks, root, scratch: [], chunks } };
  }
  const objection = `The ${nchunksperloop} chunks of ${coll} cannot be shared out among ${nranks} ranks`;
  return { shape: customShape(gpus), objection };
}

function customShape(gpus: readonly MscclGpu[]): CollectiveShape {
  const input = Math.max(1, ...gpus.map(({ inputChunks }) => inputChunks));
  const output = Math.max(1, ...gpus.map(({ outputChunks }) => outputChunks));
  const custom = { input, output };
  return { collective: 'custom', nranks: gpus.length, root: 0, scratch: [], chunks: 1, custom };
}

/** Chunks of one block; no whole number if N does not fit the ranks. */
function chunksOf({ attributes, gpus }: MscclDocument, collective: CollectiveName): number {
  const { nchunksperloop } = attributes;
  const perBlock = nchunksperloop / gpus.length;
  switch (collective) {
    case 'allGather':
    case 'reduceScatter':
    case 'allToAll':
    case 'allToAllV':
      return perBlock;
    case 'gather': {
      const most = Math.max(...gpus.map((gpu) => gpu.inputChunks));
      return most === perBlock ? perBlock : nchunksperloop;
    }
    case 'scatter': {
      const most = Math.max(...gpus.map((gpu) => gpu.outputChunks));
      return most === perBlock ? perBlock : nchunksperloop;
    }
    default:
      return nchunksperloop;
  }
}

/**
 * The format does not say which rank is the root: the only one that has the buffer of the root, else the
 * only one that all data comes from, or goes to, else the only one that uses that buffer.
 */
function likelyRoot({ gpus }: MscclDocument, collective: CollectiveName): Rank {
  const isSource = collective === 'broadcast' || collective === 'scatter';
  const atEnd = ranksWhere(gpus, ({ threadBlocks }) =>
    threadBlocks.every(({ recv, send }) => (isSource ? recv : send) === -1),
  );
  const signs = [
    ranksWhere(gpus, (gpu) => (isSource ? gpu.inputChunks : gpu.outputChunks) > 0),
    atEnd,
    ranksWhere(gpus, (gpu) => (isSource ? sendsAtOnce(gpu) : storesOutput(gpu))),
  ];
  return (signs.find(({ length }) => length === 1) ?? atEnd)[0] ?? 0;
}

/** Nobody but the root has anything to send before it has received something. */
const sendsAtOnce = ({ threadBlocks }: MscclGpu): boolean =>
  threadBlocks.some(({ steps: [first] }) => first?.type === 's' && (first.depid ?? -1) < 0);

const storesOutput = ({ threadBlocks }: MscclGpu): boolean =>
  threadBlocks.some(({ steps }) =>
    steps.some(({ type, dstbuf }) => namesDestination(type) && dstbuf === 'o'),
  );

function ranksWhere(gpus: readonly MscclGpu[], holds: (gpu: MscclGpu) => boolean): Rank[] {
  return gpus.flatMap((gpu, rank) => (holds(gpu) ? [rank] : []));
}

/** Refuses numbers, harmless one by one, that only a file with bad intent has all together. */
function expectModest({ gpus }: MscclDocument, shape: CollectiveShape, line: number): void {
  const scratch = Math.max(...gpus.map((gpu) => gpu.scratchChunks));
  let cells = 0;
  let clocks = 0;
  for (const [rank, { threadBlocks }] of gpus.entries()) {
    const own = chunksIn(shape, rank, 'input') + chunksIn(shape, rank, 'output') + scratch;
    cells += own;
    clocks = Math.max(clocks, own * threadBlocks.length);
  }
  if (cells > CELLS_MAX) {
    throw unreadable(line, `Expected at most ${CELLS_MAX} chunks on all gpus but found ${cells}`);
  }
  if (clocks > CLOCKS_MAX) {
    const sentence = `Expected at most ${CLOCKS_MAX} chunks times thread blocks on a gpu`;
    throw unreadable(line, `${sentence} but found ${clocks}`);
  }
}
