import { describe, expect, it } from 'vitest';
import { ALGORITHMS } from '../../../collectives/algorithms.ts';
import type { CollectiveName } from '../../../collectives/collective.ts';
import { lowerAll } from '../../../collectives/lower.ts';
import { mscclDocument } from '../../../collectives/msccl/from-programs.ts';
import type { Placement } from '../../../collectives/msccl/geometry.ts';
import { readMscclXml } from '../../../collectives/msccl/read.ts';
import { writeMscclXml } from '../../../collectives/msccl/write.ts';
import { flatTopology } from '../../../collectives/topology.ts';
import { verify } from '../../../collectives/verify.ts';

const RANKS = [1, 2, 3, 4, 5, 6, 7, 8, 12, 16];
const DIFFER_IN_PLACE: readonly CollectiveName[] = ['allToAll', 'allToAllV', 'sendRecv'];
/** What a file says to be where the format has no word for it. */
const READ_AS: Readonly<Partial<Record<CollectiveName, CollectiveName>>> = {
  barrier: 'custom',
  sendRecv: 'custom',
  allGatherV: 'allGather',
  reduceScatterV: 'reduceScatter',
};

const cases = ALGORITHMS.flatMap((row) =>
  row.collectives.map((collective) => ({ row, collective, title: `${row.name} ${collective}` })),
);

describe('mscclDocument', () => {
  it.each(cases)('writes $title so that it reads back and is proved', ({ row, collective }) => {
    for (const nranks of RANKS) {
      const options = { collective, nranks, root: nranks - 1, topology: flatTopology(nranks) };
      if (!row.restrictions.every(({ holds }) => holds(options))) continue;
      const placements: Placement[] = DIFFER_IN_PLACE.includes(collective)
        ? ['outOfPlace']
        : ['outOfPlace', 'inPlace'];
      const document = mscclDocument(lowerAll(row.build(options)), { name: row.name, placements });
      const schedule = readMscclXml(writeMscclXml(document));
      expect(schedule.document).toEqual(document);
      const readAs = READ_AS[collective] ?? collective;
      expect(schedule).toMatchObject({
        name: row.name,
        collective: readAs,
        nranks,
        placements: readAs === 'custom' ? ['outOfPlace'] : placements,
        equalChunks: readAs === 'custom',
      });
      const { programs, equalChunks } = schedule;
      for (const placement of schedule.placements) {
        for (const order of ['program', 'messages'] as const) {
          const inPlace = placement === 'inPlace';
          const { findings } = verify(programs, { inPlace, equalChunks, order, depth: 2 });
          expect(findings, `${nranks} ranks ${placement} ${order}`).toEqual([]);
        }
      }
    }
  });
});
