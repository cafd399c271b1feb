/** Every algorithm in small, and what its programs send, counted from the steps themselves. */
import { chunkTable } from '../../../collectives/chunks.ts';
import type { CollectiveName } from '../../../collectives/collective.ts';
import { COLLECTIVE_WORDS } from '../../../collectives/names.ts';
import { type Program, placeOf, sends } from '../../../collectives/program.ts';
import { algorithmsFor, buildSchedule } from '../../../collectives/table.ts';
import { HlsimError } from '../../../common/errors.ts';
import { type ExportRequest, programsOf } from '../../../timing/export/operations.ts';

export const MEMORY_BYTES_PER_SECOND = 3e9;

export interface ExportCase {
  readonly name: string;
  readonly request: ExportRequest;
}

/** Both numbers of ranks divide it; their chunks are of uneven sizes. */
const COUNT = 20 * 21;

export function exportCases(): ExportCase[] {
  return Object.values(COLLECTIVE_WORDS).flatMap((collective) =>
    algorithmsFor(collective).flatMap((algorithm) => [
      ...exportCase(collective, algorithm, 4, 2),
      ...exportCase(collective, algorithm, 5, 5),
    ]),
  );
}

function exportCase(
  collective: CollectiveName,
  algorithm: string,
  nranks: number,
  boxes: number,
): ExportCase[] {
  try {
    const topology = { boxes, ranksPerBox: nranks / boxes };
    const work = buildSchedule({ collective, algorithm, topology });
    const name = `${algorithm} ${collective} on ${nranks} ranks`;
    const request = {
      work,
      counts: COUNT,
      bytesPerElement: 4,
      memoryBytesPerSecond: MEMORY_BYTES_PER_SECOND,
    };
    return [{ name, request }];
  } catch (reason) {
    // Some algorithms are for certain numbers of ranks alone.
    if (reason instanceof HlsimError && reason.code === 'HLSIM_USAGE') return [];
    throw reason;
  }
}

/** `0>1`: bytes that the programs send from rank 0 to rank 1. */
export function trafficOf({ work, counts, bytesPerElement }: ExportRequest) {
  const traffic: Record<string, number> = {};
  for (const program of programsOf(work)) addTraffic(traffic, program, counts, bytesPerElement);
  return traffic;
}

function addTraffic(
  traffic: Record<string, number>,
  program: Program,
  counts: ExportRequest['counts'],
  bytesPerElement: number,
): void {
  const table = chunkTable(program, counts);
  for (const step of program.channels.flatMap(({ steps }) => steps)) {
    if (!sends(step.kind)) continue;
    const { length } = table.range(program.rank, placeOf(step), step.count);
    const link = `${program.rank}>${step.sendTo}`;
    traffic[link] = (traffic[link] ?? 0) + length * bytesPerElement;
  }
}
