/** Everything that was measured and how, as JSON. */
import type { PeerFailure, PeerRow } from './comparison.ts';
import { CONTESTANT_TITLES, type Contestant } from './contestants.ts';
import type { Missing } from './discovery.ts';
import { FLOORS } from './floors.ts';
import type { Machine } from './machine.ts';
import type { PeerOptions } from './options.ts';

export interface PeerRecordInit {
  readonly machine: Machine;
  readonly options: PeerOptions;
  readonly contestants: readonly Contestant[];
  readonly missing: readonly Missing[];
  readonly rows: readonly PeerRow[];
  readonly failures: readonly PeerFailure[];
  /** Unix milliseconds. */
  readonly startMs: number;
  readonly endMs: number;
}

/** Of the file's layout. */
const RECORD_VERSION = 1;

/** Said in the file, so that it can be read without this project at hand. */
const METHOD = {
  clock: 'wall',
  time: 'Of one call, in microseconds: the mean over the iterations of a loop whose calls are complete on the calling rank before the next begins; the maximum over the ranks.',
  ratio: "The peer's time through hlsim's, of the same round: above 1 where hlsim is faster.",
  bytes:
    'Of the whole array: of the vector for all_reduce, of everything that is gathered for all_gather.',
  busBw: 'GB/s of 1e9 bytes: bytes / time x 2(n-1)/n for all_reduce, x (n-1)/n for all_gather.',
  dataType: 'float32',
  place: 'In place.',
  check: 'All elements on all ranks, of one more call after the loop.',
} as const;

export function peerRecord(init: PeerRecordInit): Readonly<Record<string, unknown>> {
  const { machine, options, contestants, missing, rows, failures, startMs, endMs } = init;
  const { json: _, svg: __, help: ___, ...asked } = options;
  return {
    version: RECORD_VERSION,
    benchmark: 'peers',
    startTime: new Date(startMs).toISOString(),
    endTime: new Date(endMs).toISOString(),
    machine,
    options: asked,
    method: METHOD,
    contestants: contestants.map(({ id, version, note = null }) => ({
      ...{ id, title: CONTESTANT_TITLES[id], version, note },
    })),
    missing,
    floors: FLOORS,
    failures,
    rows,
  };
}
