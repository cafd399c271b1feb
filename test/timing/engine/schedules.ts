/** All built-in schedules on some ranks, for tests that go over them. */

import { COLLECTIVES } from '../../../collectives/collective.ts';
import type { Schedule } from '../../../collectives/schedule.ts';
import { algorithmsFor, type BuildRequest, buildSchedule } from '../../../collectives/table.ts';
import type { Topology } from '../../../collectives/topology.ts';
import { ranksIn } from '../../../collectives/topology.ts';
import { HlsimError } from '../../../common/errors.ts';

export interface NamedSchedule {
  readonly name: string;
  readonly schedule: Schedule;
}

const TWO_LEVEL_PARTS = [
  '(ring,ring)',
  '(direct,recursiveDoubling)',
  '(recursiveDoubling,direct)',
  '(halvingDoubling,halvingDoubling)',
  '(binomialTree,binomialTree)',
];

/** Every algorithm that there is for the topology, with one chunk or one per rank, as it needs. */
export function schedulesOn(topology: Topology, more: Partial<BuildRequest> = {}): NamedSchedule[] {
  const names = (algorithm: string): string[] =>
    algorithm === 'hierarchical'
      ? [algorithm, ...TWO_LEVEL_PARTS.map((parts) => algorithm + parts)]
      : [algorithm];
  return COLLECTIVES.flatMap((collective) =>
    algorithmsFor(collective)
      .flatMap(names)
      .flatMap((algorithm) => {
        const schedule = build({ collective, algorithm, topology, ...more });
        return schedule === undefined ? [] : [{ name: `${collective} ${algorithm}`, schedule }];
      }),
  );
}

function build(request: BuildRequest): Schedule | undefined {
  for (const chunks of [1, ranksIn(request.topology), ranksIn(request.topology) * 2]) {
    try {
      return buildSchedule({ chunks, ...request });
    } catch (error) {
      if (!(error instanceof HlsimError)) throw error;
    }
  }
  return undefined;
}

/** Counts that make all chunks of a schedule as large, about so many elements each. */
export function evenCounts(
  { collective, chunks, nranks }: Schedule,
  elements: number,
): number | number[] {
  if (collective === 'allGatherV' || collective === 'reduceScatterV') {
    return Array.from({ length: nranks }, () => chunks * elements);
  }
  if (collective === 'allToAllV') {
    return Array.from({ length: nranks * nranks }, () => chunks * elements);
  }
  return collective === 'allToAll' ? chunks * elements * nranks : chunks * elements;
}
