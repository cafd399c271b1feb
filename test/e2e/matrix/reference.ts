/**
 * What the ranks of a case must end with: the very schedule that HCCL runs (made as
 * `node/hccl/planner.ts` makes it), carried out on plain arrays in its own order.
 */
import { createHash } from 'node:crypto';
import { DATA_TYPES } from '../../../bench/data-types.ts';
import { elementArray } from '../../../collectives/arithmetic.ts';
import { chunkTable } from '../../../collectives/chunks.ts';
import { lowerAll } from '../../../collectives/lower.ts';
import { COLLECTIVE_WORDS } from '../../../collectives/names.ts';
import { runPrograms } from '../../../collectives/reference.ts';
import { buildSchedule } from '../../../collectives/table.ts';
import { defined } from '../../../common/assert.ts';
import { countsOf, inputOf, ranksOfCase, rootOf } from './call.ts';
import type { MatrixCase } from './cases.ts';
import { topologyOf } from './ways.ts';

/** SHA-256 of each rank's output. */
export function expectedDigests(one: MatrixCase): string[] {
  const { collective, algorithm, cluster, place, channels, dataType, reduceOp } = one;
  const programs = lowerAll(
    buildSchedule({
      collective: COLLECTIVE_WORDS[collective],
      algorithm,
      topology: topologyOf(cluster),
      root: rootOf(one),
      channels,
      placement: place,
    }),
  );
  const table = chunkTable(defined(programs[0], 'a program'), countsOf(one));
  const type = DATA_TYPES[dataType];
  const inputs = Array.from({ length: ranksOfCase(one) }, (_, rank) => {
    const length = table.bufferLength(rank, 'input');
    return elementArray(type, inputOf(one, rank, length).buffer, 0, length);
  });
  const outputs = runPrograms(programs, table, inputs, {
    inPlace: place === 'inPlace',
    type,
    ...(reduceOp === 'none' ? {} : { op: reduceOp }),
  });
  if (collective === 'barrier') return outputs.map(() => digestOf([]));
  return outputs.map(({ buffer, byteOffset, byteLength }) =>
    digestOf([new Uint8Array(buffer, byteOffset, byteLength)]),
  );
}

export function digestOf(parts: Iterable<Uint8Array>): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}
