/** How each collective of the benchmark is called. */
import type * as Library from 'hlsim';
import { ELEMENT_TYPES } from '../collectives/arithmetic.ts';
import type { CollectiveWord } from '../collectives/names.ts';
import { assert } from '../common/assert.ts';
import { modulo } from '../common/math.ts';
import { DATA_TYPES } from './data-types.ts';
import type { Layout } from './layout.ts';
import type { BenchSize } from './sizes.ts';

/** The calls that are made here: the package's, or those of a test. */
export type CallLibrary = Pick<
  typeof Library,
  | 'hcclAllGather'
  | 'hcclAllGatherV'
  | 'hcclAllReduce'
  | 'hcclAlltoAll'
  | 'hcclAlltoAllV'
  | 'hcclBarrier'
  | 'hcclBroadcast'
  | 'hcclGather'
  | 'hcclGroupEnd'
  | 'hcclGroupStart'
  | 'hcclRecv'
  | 'hcclReduce'
  | 'hcclReduceScatter'
  | 'hcclReduceScatterV'
  | 'hcclScatter'
  | 'hcclSend'
>;

export interface CollectiveCall {
  readonly collective: CollectiveWord;
  readonly size: BenchSize;
  readonly layout: Layout;
  readonly input: number;
  readonly output: number;
  readonly root: number;
  readonly world: Pick<Library.World, 'rank' | 'worldSize' | 'comm'>;
}

/** Posts one call; its outcome comes with the stream's synchronisation. */
export async function postCall(library: CallLibrary, call: CollectiveCall): Promise<void> {
  const { input, output, root, world } = call;
  const { comm } = world;
  const type = ELEMENT_TYPES[DATA_TYPES[call.size.dataType]].hcclDataType as Library.HcclDataType;
  const op = OPERATIONS[call.size.reduceOp];
  switch (call.collective) {
    case 'all_reduce':
      return library.hcclAllReduce(input, output, one(call), type, op, comm);
    case 'all_gather':
      return library.hcclAllGather(input, output, one(call), type, comm);
    case 'reduce_scatter':
      return library.hcclReduceScatter(input, output, one(call), type, op, comm);
    case 'broadcast':
      return library.hcclBroadcast(input, output, one(call), type, root, comm);
    case 'reduce':
      return library.hcclReduce(input, output, one(call), type, op, root, comm);
    case 'alltoall':
      return library.hcclAlltoAll(input, output, one(call), type, comm);
    case 'gather':
      return library.hcclGather(input, output, one(call), type, root, comm);
    case 'scatter':
      return library.hcclScatter(input, output, one(call), type, root, comm);
    case 'barrier':
      return library.hcclBarrier(comm);
    case 'all_gather_v':
      return library.hcclAllGatherV(input, output, list(call), type, comm);
    case 'reduce_scatter_v':
      return library.hcclReduceScatterV(input, output, list(call), type, op, comm);
    case 'alltoall_v':
      return library.hcclAlltoAllV(input, output, ...pairCounts(call), type, comm);
    case 'sendrecv':
      return sendAndReceive(library, call, type);
    default:
      return call.collective satisfies never;
  }
}

/** `hcclRedOp_t` */
const OPERATIONS = { sum: 0, prod: 1, min: 2, max: 3, avg: 4, none: 5 } as const;

/** To the next rank, from the previous one, in one group. */
async function sendAndReceive(
  library: CallLibrary,
  call: CollectiveCall,
  type: Library.HcclDataType,
): Promise<void> {
  const { rank, worldSize, comm } = call.world;
  const group = [
    library.hcclGroupStart(),
    library.hcclSend(call.input, one(call), type, modulo(rank + 1, worldSize), comm),
    library.hcclRecv(call.output, one(call), type, modulo(rank - 1, worldSize), comm),
    library.hcclGroupEnd(),
  ];
  await Promise.all(group);
}

function one({ layout }: CollectiveCall): number {
  assert(typeof layout.counts === 'number', 'Expected one count');
  return layout.counts;
}

function list({ layout }: CollectiveCall): readonly number[] {
  assert(typeof layout.counts !== 'number', 'Expected a list of counts');
  return layout.counts;
}

/** What this rank sends to each, and takes from each. */
function pairCounts(call: CollectiveCall): [readonly number[], readonly number[]] {
  const { rank, worldSize } = call.world;
  const counts = list(call);
  const own = counts.slice(rank * worldSize, (rank + 1) * worldSize);
  return [own, counts.filter((_, pair) => pair % worldSize === rank)];
}
