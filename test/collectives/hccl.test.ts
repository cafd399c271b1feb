/** HCCL's algorithms on several topologies, in several slices. */
import { describe, expect, it } from 'vitest';
import { onChannels } from '../../collectives/channels.ts';
import { BLOCKS } from '../../collectives/collective.ts';
import { lowerAll } from '../../collectives/lower.ts';
import { buildSchedule } from '../../collectives/table.ts';
import { ranksIn, type Topology } from '../../collectives/topology.ts';
import { verify } from '../../collectives/verify.ts';
import { ranksOf } from '../../common/math.ts';
import { CASES, PLACEMENTS } from './support.ts';

const TOPOLOGIES: readonly Topology[] = [
  [1, 1],
  [1, 5],
  [5, 1],
  [1, 8],
  [8, 1],
  [2, 2],
  [2, 4],
  [4, 2],
  [3, 5],
  [8, 8],
].map(([boxes = 1, ranksPerBox = 1]) => ({ boxes, ranksPerBox }));

const HCCL = CASES.filter(({ algorithm }) => algorithm === 'hccl');

/** Chunks of one slice. */
function sliceChunks(collective: string, topology: Topology): number {
  if (collective === 'allReduce' || collective === 'reduce') return ranksIn(topology);
  return collective === 'broadcast' ? topology.ranksPerBox : 1;
}

describe.each(HCCL)('hccl $collective', ({ collective, algorithm }) => {
  it.each([1, 2, 3, 8])('is proved for every topology and root in %i slices', (slices) => {
    for (const topology of TOPOLOGIES) {
      const nranks = ranksIn(topology);
      if (nranks === 64 && slices > 2) continue;
      const roots = BLOCKS[collective].rooted ? ranksOf(Math.min(nranks, 16)) : [0];
      for (const root of nranks === 64 ? roots.slice(-1) : roots) {
        for (const { placement, inPlace } of PLACEMENTS) {
          const chunks = slices * sliceChunks(collective, topology);
          const request = { collective, algorithm, topology, root, chunks, placement };
          const { findings } = verify(lowerAll(buildSchedule(request)), { inPlace, depth: 2 });
          expect(findings, JSON.stringify(request)).toEqual([]);
        }
      }
    }
  });

  it('is proved on three channels', () => {
    for (const topology of TOPOLOGIES.filter((one) => ranksIn(one) < 16)) {
      for (const { placement, inPlace } of PLACEMENTS) {
        const schedule = buildSchedule({ collective, algorithm, topology, placement });
        const programs = lowerAll(onChannels(schedule, 3));
        expect(verify(programs, { inPlace }).findings).toEqual([]);
      }
    }
  });
});
