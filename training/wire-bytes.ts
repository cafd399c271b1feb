/**
 * How many payload bytes a training must put on the wire, from nothing but its sizes: the collectives
 * that it calls, and for each the programs of the algorithm that is picked for it.
 */
import { chunkTable } from '../collectives/chunks.ts';
import type { CollectiveName } from '../collectives/collective.ts';
import { totalWireElements } from '../collectives/cost.ts';
import { lowerAll } from '../collectives/lower.ts';
import { buildSchedule } from '../collectives/table.ts';
import { flatTopology } from '../collectives/topology.ts';
import { selectAlgorithm } from '../collectives/tuner.ts';
import { defined } from '../common/assert.ts';
import { sharedAlgorithm } from '../node/hccl/shared/shared-offer.ts';
import { FLOAT_BYTES, gradientBuckets } from './buckets.ts';
import { METRIC_COUNT, modelOf } from './model.ts';
import type { TrainOptions } from './options.ts';
import { batchCount } from './shard.ts';

/** The same call, `times` times. */
export interface CollectiveCalls {
  readonly collective: CollectiveName;
  /** float32 elements of the vector. */
  readonly count: number;
  readonly times: number;
}

/** What `Trainer` calls, on every rank. */
export function trainingCalls(
  { epochs, batch, hidden, bucketBytes }: TrainOptions,
  trainingRows: number,
): readonly CollectiveCalls[] {
  const model = modelOf(hidden);
  const steps = epochs * batchCount(trainingRows, batch);
  return [
    { collective: 'broadcast', count: model.parameterCount, times: 1 },
    ...gradientBuckets(model, bucketBytes).map(
      ({ count }) => ({ collective: 'allReduce', count, times: steps }) as const,
    ),
    { collective: 'allReduce', count: METRIC_COUNT, times: epochs },
  ];
}

/** Payload bytes that all ranks together send, or let others read, for these calls. */
export function wireBytes(
  calls: readonly CollectiveCalls[],
  nranks: number,
  path: 'p2p' | 'ws',
): number {
  return calls.reduce((sum, call) => sum + call.times * wireBytesOfCall(call, nranks, path), 0);
}

function wireBytesOfCall(
  { collective, count }: CollectiveCalls,
  nranks: number,
  path: 'p2p' | 'ws',
): number {
  const bytes = count * FLOAT_BYTES;
  const overLinks = selectAlgorithm({ collective, bytes, nranks });
  const shared = path === 'p2p' ? sharedAlgorithm(collective, bytes) : undefined;
  const algorithm = shared?.algorithm ?? overLinks;
  const topology = flatTopology(nranks);
  const programs = lowerAll(buildSchedule({ collective, algorithm, topology }));
  const table = chunkTable(defined(programs[0], 'the program of rank 0'), count);
  return totalWireElements(programs, table) * FLOAT_BYTES;
}
