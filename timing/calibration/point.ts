/** A measured point: what was run, and how long it took. */
import type { CollectiveName } from '../../collectives/collective.ts';
import type { Program } from '../../collectives/program.ts';

/** What carried the collective out. */
export type PointWork =
  | { readonly kind: 'algorithm'; readonly name: string }
  /** Programs that were read from a file, and proved. */
  | {
      readonly kind: 'programs';
      /** As the point names the file. */
      readonly name: string;
      readonly programs: readonly Program[];
      /** Whether they work only for counts that make all chunks the same size. */
      readonly equalChunks: boolean;
    };

/**
 * How the time was taken.
 * - `latency`: of one call, from its beginning on all ranks to its end on the last.
 * - `bandwidth`: of each of many calls that are queued back to back: the next begins before the last has
 *   ended everywhere, and start-up times hide behind it (hccl_demo's `--measure bw`).
 */
export const MEASURES = ['latency', 'bandwidth'] as const;
export type Measure = (typeof MEASURES)[number];

export interface MeasuredPoint {
  /** Where it stands in its file, from 1. */
  readonly line: number;
  readonly work: PointWork;
  readonly collective: CollectiveName;
  readonly nranks: number;
  /** Absent: as many as the ranks need. */
  readonly boxes?: number | undefined;
  /** nccl-tests' size. */
  readonly bytes: number;
  readonly bytesPerElement: number;
  /** More than 0. */
  readonly seconds: number;
  readonly measure: Measure;
  readonly channels?: number | undefined;
  readonly chunks?: number | undefined;
  readonly sliceBytes?: number | undefined;
}

/** For messages and tables: `ring all-reduce`'s algorithm, or the file. */
export function nameOfPoint({ work }: MeasuredPoint): string {
  return work.name;
}
