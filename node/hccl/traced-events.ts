/** Events as text for the way to whoever wants to know: short, since there are many, and checked on arrival. */
import { z } from 'zod';
import { HlsimError, messageOf } from '../../common/errors.ts';
import type { TracedEvent } from './host-tracing.ts';

const count = z.int().nonnegative();
const rank = z.int();
const ms = z.number().finite();

/** World rank, communicator, its rank, call, time. */
const place = [rank, z.string(), rank, count, ms] as const;
/** Channel, step, slice, bytes. */
const slice = [count, count, count, count] as const;

const row = z.union([
  z.tuple([z.literal('collectiveBegin'), ...place, z.string(), z.string(), count]),
  z.tuple([z.literal('collectiveEnd'), ...place, z.string()]),
  z.tuple([z.enum(['sendBegin', 'sendEnd', 'arrived']), ...place, ...slice, rank]),
  z.tuple([z.enum(['computeBegin', 'computeEnd']), ...place, ...slice]),
  z.tuple([z.literal('read'), ...place, ...slice, rank, ms, z.boolean()]),
  z.tuple([z.literal('waited'), ...place, rank, ms]),
]);
type Row = z.infer<typeof row>;

/** What a row tells, by the name of the event. */
export interface ReadEvent {
  readonly kind: Row[0];
  readonly worldRank: number;
  readonly uniqueId: string;
  readonly rank: number;
  readonly sequence: number;
  readonly atMs: number;
  readonly endMs?: number;
  readonly channel?: number;
  readonly step?: number;
  readonly slice?: number;
  readonly bytes?: number;
  readonly peer?: number;
  readonly isReduced?: boolean;
  readonly collective?: string;
  readonly algorithm?: string;
  readonly result?: string;
}

export function writeEvents(events: readonly TracedEvent[]): string {
  return JSON.stringify(events.map(rowOf));
}

function rowOf({ worldRank, event }: TracedEvent): Row {
  const { uniqueId, rank: own, sequence, atMs } = event;
  const at = [worldRank, uniqueId, own, sequence, atMs] as const;
  switch (event.kind) {
    case 'collectiveBegin':
      return [event.kind, ...at, event.collective, event.algorithm, event.bytes];
    case 'collectiveEnd':
      return [event.kind, ...at, event.result];
    case 'waited':
      return [event.kind, ...at, event.peer, event.endMs];
    default: {
      const part = [event.channel, event.step, event.slice, event.bytes] as const;
      if (event.kind === 'read')
        return [event.kind, ...at, ...part, event.peer, event.endMs, event.isReduced];
      if (event.kind === 'computeBegin' || event.kind === 'computeEnd')
        return [event.kind, ...at, ...part];
      return [event.kind, ...at, ...part, event.peer];
    }
  }
}

/** @throws HlsimError `HLSIM_PROTOCOL_ERROR` for anything but what `writeEvents` writes */
export function readEvents(text: string): ReadEvent[] {
  let rows: Row[];
  try {
    rows = z.array(row).parse(JSON.parse(text));
  } catch (cause) {
    throw new HlsimError(
      'HLSIM_PROTOCOL_ERROR',
      `Expected events of a trace but found something else: ${messageOf(cause).slice(0, 200)}`,
      { cause },
    );
  }
  return rows.map(eventOf);
}

function eventOf(read: Row): ReadEvent {
  const [kind, worldRank, uniqueId, own, sequence, atMs] = read;
  const base = { kind, worldRank, uniqueId, rank: own, sequence, atMs };
  switch (read[0]) {
    case 'collectiveBegin':
      return { ...base, collective: read[6], algorithm: read[7], bytes: read[8] };
    case 'collectiveEnd':
      return { ...base, result: read[6] };
    case 'waited':
      return { ...base, peer: read[6], endMs: read[7] };
    case 'computeBegin':
    case 'computeEnd':
      return { ...base, ...sliceOf(read[6], read[7], read[8], read[9]) };
    case 'read': {
      const more = { peer: read[10], endMs: read[11], isReduced: read[12] };
      return { ...base, ...sliceOf(read[6], read[7], read[8], read[9]), ...more };
    }
    default:
      return { ...base, ...sliceOf(read[6], read[7], read[8], read[9]), peer: read[10] };
  }
}

function sliceOf(channel: number, step: number, sliceNumber: number, bytes: number) {
  return { channel, step, slice: sliceNumber, bytes };
}
