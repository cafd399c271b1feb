/** Which algorithms carry a size out, and with what parameters; their schedules, each built once. */
import type { ElementCounts } from '../../collectives/chunks.ts';
import type { CollectiveName } from '../../collectives/collective.ts';
import { BLOCKS, type CollectiveShape } from '../../collectives/collective.ts';
import { countsOfProblem } from '../../collectives/problem-size.ts';
import type { Program } from '../../collectives/program.ts';
import type { Rank, Schedule } from '../../collectives/schedule.ts';
import { type BuildRequest, buildSchedule } from '../../collectives/table.ts';
import { possibleAlgorithms } from '../../collectives/tuner.ts';
import { choiceOn } from '../choice.ts';
import type { Network } from '../network.ts';

/** One way of carrying a size out. */
export interface Way {
  readonly algorithm: string;
  readonly channels: number;
  /** The algorithm's own number if absent. */
  readonly chunks?: number;
  readonly sliceBytes: number;
}

/** What carries the collective out. */
export type SweepWork =
  /** What the boxes' own library does, where it has an algorithm; else what the tuner chooses for each size. */
  | { readonly kind: 'auto' }
  /** Each that can be built for these ranks. */
  | { readonly kind: 'all' }
  | { readonly kind: 'named'; readonly algorithms: readonly string[] }
  /** Programs that were read from a file, and proved. */
  | {
      readonly kind: 'programs';
      readonly name: string;
      readonly programs: readonly Program[];
      /** Whether they work only for counts that make all chunks the same size. */
      readonly equalChunks: boolean;
    };

/** Of a sweep, what decides about the ways. */
export interface WaysRequest {
  readonly network: Network;
  readonly collective: CollectiveName;
  /** 0 for a collective without one. */
  readonly root: Rank;
  readonly work: SweepWork;
  readonly bytesPerElement: number;
  /** Absent: what the tuner says, or the default. */
  readonly sliceBytes?: number | undefined;
  /** Absent: what the tuner says, or 1. */
  readonly channels?: number | undefined;
  readonly chunks?: number | undefined;
}

/** Where every rank has a block, nccl-tests keeps it a multiple of this (src/common.cu). */
const BLOCK_ALIGNMENT_BYTES = 16;

/** All ways of carrying `bytes` out that are asked for. */
export function waysOf(request: WaysRequest, bytes: number, sliceDefault: number): readonly Way[] {
  const { work, collective, network, chunks, channels = 1 } = request;
  const { sliceBytes = sliceDefault } = request;
  const plain = { channels, sliceBytes, ...(chunks === undefined ? {} : { chunks }) };
  switch (work.kind) {
    case 'programs':
      return [{ algorithm: work.name, sliceBytes, channels: channelsOf(work.programs) }];
    case 'named':
      return work.algorithms.map((algorithm) => ({ ...plain, algorithm }));
    case 'all': {
      const names = possibleAlgorithms(collective, network.topology, chunks);
      return names.map((algorithm) => ({ ...plain, algorithm }));
    }
    case 'auto':
      return [chosenWay(request, bytes, sliceDefault)];
  }
}

/** What the caller set comes before what is chosen. */
function chosenWay(request: WaysRequest, bytes: number, sliceDefault: number): Way {
  const chosen = choiceOn({ ...request, bytes });
  const chunks = request.chunks ?? chosen.chunks;
  return {
    algorithm: chosen.algorithm,
    channels: request.channels ?? chosen.channels,
    sliceBytes: request.sliceBytes ?? chosen.sliceBytes ?? sliceDefault,
    ...(chunks === undefined ? {} : { chunks }),
  };
}

export function buildRequestOf(request: WaysRequest, way: Omit<Way, 'sliceBytes'>): BuildRequest {
  const { collective, root, network } = request;
  const { algorithm, channels, chunks } = way;
  return {
    collective,
    algorithm,
    topology: network.topology,
    root,
    channels,
    placement: 'outOfPlace',
    ...(chunks === undefined ? {} : { chunks }),
  };
}

/** Schedules of one network, each built once: readers may know one that they have seen. */
export class ScheduleCache {
  readonly #schedules = new Map<string, Schedule>();
  #network: Network | undefined;

  workOf(request: WaysRequest, way: Way): Schedule | readonly Program[] {
    const { work, network, collective, root } = request;
    if (work.kind === 'programs') return work.programs;
    if (network !== this.#network) this.#schedules.clear();
    this.#network = network;
    const key = [collective, root, way.algorithm, way.channels, way.chunks].join(' ');
    const known = this.#schedules.get(key);
    if (known !== undefined) return known;
    const schedule = buildSchedule(buildRequestOf(request, way));
    this.#schedules.set(key, schedule);
    return schedule;
  }
}

/** As nccl-tests rounds them; for programs that want equal chunks, to a multiple of those. */
export function countsOf(
  { work, bytesPerElement }: WaysRequest,
  shape: CollectiveShape,
  bytes: number,
): ElementCounts {
  const elements = shape.collective === 'barrier' ? 0 : Math.floor(bytes / bytesPerElement);
  const aligned = partsOf(shape) === 1 ? 1 : BLOCK_ALIGNMENT_BYTES / bytesPerElement;
  const wantsEqual = work.kind === 'programs' && work.equalChunks;
  return countsOfProblem(shape, elements, wantsEqual ? Math.max(1, shape.chunks) : aligned);
}

/** How many blocks make up nccl-tests' size: 1 where it is a vector. */
export function partsOf(shape: CollectiveShape): number {
  const { collective, nranks } = shape;
  const isVector = collective === 'sendRecv' || BLOCKS[collective].logicalBlocks(shape) === 1;
  return isVector ? 1 : nranks;
}

function channelsOf(programs: readonly Program[]): number {
  return programs.reduce((most, { channels }) => Math.max(most, channels.length), 1);
}
