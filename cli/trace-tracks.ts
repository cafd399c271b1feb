/** What the hosts of a cluster noted down, as the tracks that a predicted run has too. */
import { formatBytes } from '../common/bytes.ts';
import type { ReadEvent } from '../node/hccl/traced-events.ts';
import type { TrackEvent, TrackName } from '../timing/export/tracks.ts';
import { alignmentOf } from './trace-clock.ts';
import type { ClusterTrace } from './trace-questions.ts';

const MICROS_PER_MS = 1_000;

/** An event on the coordinator's clock. */
interface AlignedEvent extends ReadEvent {
  readonly endMs?: number;
}

export interface RealTracks {
  readonly events: readonly TrackEvent[];
  /** The coordinator's time at 0 of the tracks. */
  readonly startMs: number;
  /** Events whose other half is missing: it came before or after the trace, or found no room. */
  readonly unpaired: number;
}

export function tracksOfTrace(trace: ClusterTrace): RealTracks {
  const aligned = trace.hosts.flatMap(({ clock, events }) => {
    const align = alignmentOf(clock);
    return events.map(
      (event): AlignedEvent => ({
        ...event,
        atMs: align(event.atMs),
        ...(event.endMs === undefined ? {} : { endMs: align(event.endMs) }),
      }),
    );
  });
  const startMs = aligned.reduce((least, { atMs }) => Math.min(least, atMs), Infinity);
  const writer = new TrackWriter(aligned, Number.isFinite(startMs) ? startMs : 0);
  return writer.tracks();
}

/**
 * Which arrival is which message's: those of one connection in one call come in the order in which they were
 * sent. Where one of them was not noted down, nothing is said of the others either.
 */
class Messages {
  readonly #sent = new Map<string, AlignedEvent[]>();
  readonly #arrived = new Map<string, AlignedEvent[]>();
  readonly #arrivals = new Map<AlignedEvent, number>();

  constructor(events: readonly AlignedEvent[]) {
    for (const event of events) {
      const { kind, rank, peer } = event;
      if (kind === 'sendBegin') this.#keep(this.#sent, event, `${rank} ${peer}`);
      if (kind === 'arrived') this.#keep(this.#arrived, event, `${peer} ${rank}`);
    }
    for (const [connection, sent] of this.#sent) {
      const arrived = this.#arrived.get(connection) ?? [];
      if (arrived.length !== sent.length) continue;
      for (const [index, message] of sent.entries())
        this.#arrivals.set(message, arrived[index]?.atMs ?? message.atMs);
    }
  }

  arrivalOf(sent: AlignedEvent): number | undefined {
    return this.#arrivals.get(sent);
  }

  #keep(map: Map<string, AlignedEvent[]>, event: AlignedEvent, ends: string): void {
    const connection = `${event.uniqueId} ${event.sequence} ${ends} ${event.channel}`;
    const known = map.get(connection);
    if (known === undefined) map.set(connection, [event]);
    else known.push(event);
  }
}

const OPENING = { collectiveBegin: true, sendBegin: true, computeBegin: true } as const;
/** Which event ends which. */
const CLOSED_BY: Readonly<Record<string, keyof typeof OPENING>> = {
  collectiveEnd: 'collectiveBegin',
  sendEnd: 'sendBegin',
  computeEnd: 'computeBegin',
};

class TrackWriter {
  readonly #events: readonly AlignedEvent[];
  readonly #startMs: number;
  /** World rank of a communicator's rank: `uniqueId rank`. */
  readonly #worldRanks = new Map<string, number>();
  readonly #open = new Map<string, AlignedEvent>();
  readonly #messages: Messages;
  readonly #tracks: TrackEvent[] = [];
  #unpaired = 0;

  constructor(events: readonly AlignedEvent[], startMs: number) {
    this.#events = events;
    this.#startMs = startMs;
    this.#messages = new Messages(events);
    for (const { uniqueId, rank, worldRank } of events)
      this.#worldRanks.set(`${uniqueId} ${rank}`, worldRank);
  }

  tracks(): RealTracks {
    for (const event of this.#events) this.#add(event);
    const unpaired = this.#unpaired + this.#open.size;
    return { events: this.#tracks, startMs: this.#startMs, unpaired };
  }

  #add(event: AlignedEvent): void {
    switch (event.kind) {
      case 'arrived':
        return;
      case 'read':
        this.#addRead(event);
        return;
      case 'waited':
        this.#addSpan(event, event.endMs ?? event.atMs, channel(0), {
          name: `wait for rank ${this.#worldRank(event, event.peer)}`,
          category: 'waiting',
        });
        return;
      default:
        this.#pair(event);
    }
  }

  #pair(event: AlignedEvent): void {
    const opening = CLOSED_BY[event.kind];
    if (opening === undefined) {
      this.#open.set(keyOf(event, event.kind), event);
      return;
    }
    const key = keyOf(event, opening);
    const begin = this.#open.get(key);
    if (begin === undefined) {
      this.#unpaired++;
      return;
    }
    this.#open.delete(key);
    this.#addPair(begin, event);
  }

  #addPair(begin: AlignedEvent, end: AlignedEvent): void {
    const part = partOf(begin);
    switch (begin.kind) {
      case 'collectiveBegin': {
        const { collective = '', algorithm = '', bytes = 0 } = begin;
        const name = `${algorithm} ${collective} of ${formatBytes(bytes)}`;
        const more = { result: end.result ?? '', algorithm };
        const words = { name, category: 'collective' };
        this.#addSpan(begin, end.atMs, { kind: 'collectives' }, words, more);
        return;
      }
      case 'sendBegin': {
        const peer = this.#worldRank(begin, begin.peer);
        const arrivedMs = this.#messages.arrivalOf(begin);
        const arrived = arrivedMs === undefined ? {} : { arrivedMicros: this.#micros(arrivedMs) };
        const words = { name: `send ${part}`, category: 'link' };
        this.#addSpan(begin, end.atMs, { kind: 'link', to: peer }, words, { peer, ...arrived });
        return;
      }
      default:
        this.#addSpan(begin, end.atMs, channel(begin.channel ?? 0), {
          name: `compute ${part}`,
          category: 'reduction',
        });
    }
  }

  /** Whoever reads moves the bytes: it is on the way from the peer, and is what the reader does meanwhile. */
  #addRead(event: AlignedEvent): void {
    const peer = this.#worldRank(event, event.peer);
    const { endMs = event.atMs, isReduced = false } = event;
    const part = partOf(event);
    const [verb, category] = isReduced ? ['reduce', 'reduction'] : ['copy', 'copy'];
    this.#addSpan(event, endMs, channel(0), { name: `${verb} ${part}`, category }, { peer });
    if (peer === event.worldRank) return;
    const track: TrackName = { kind: 'link', to: event.worldRank };
    const words = { name: `read ${part}`, category: 'link' };
    const reader = { peer: event.worldRank };
    this.#addSpan({ ...event, worldRank: peer }, endMs, track, words, reader);
  }

  #addSpan(
    event: AlignedEvent,
    endMs: number,
    track: TrackName,
    words: { readonly name: string; readonly category: string },
    more: Readonly<Record<string, string | number>> = {},
  ): void {
    const { channel: number, step, slice, bytes } = event;
    const place = step === undefined ? {} : { channel: number ?? 0, step, slice: slice ?? 0 };
    const size = bytes === undefined ? {} : { bytes, size: formatBytes(bytes) };
    const call = { call: event.sequence, communicator: event.uniqueId };
    this.#tracks.push({
      ...{ rank: event.worldRank, track, ...words },
      beginMicros: this.#micros(event.atMs),
      endMicros: this.#micros(endMs),
      details: { ...place, ...size, ...more, ...call },
    });
  }

  #micros(ms: number): number {
    return (ms - this.#startMs) * MICROS_PER_MS;
  }

  /** A rank that nothing was noted of is called by its number in the communicator. */
  #worldRank({ uniqueId }: AlignedEvent, peer = 0): number {
    return this.#worldRanks.get(`${uniqueId} ${peer}`) ?? peer;
  }
}

function channel(number: number): TrackName {
  return { kind: 'channel', channel: number };
}

function partOf({ channel: number = 0, step = 0, slice = 0 }: AlignedEvent): string {
  return `${number}.${step}.${slice}`;
}

function keyOf(event: AlignedEvent, opening: string): string {
  const { uniqueId, rank, sequence, channel: number, step, slice, peer } = event;
  return `${opening} ${uniqueId} ${rank} ${sequence} ${number} ${step} ${slice} ${peer}`;
}
