/**
 * A trace in the JSON that Chrome and ui.perfetto.dev read ("Trace Event Format", and Perfetto's page on
 * it): a process per rank, and in it tracks. On one track events may nest but not overlap otherwise, so
 * whatever happens at the same time on one track is spread over several of that name.
 */

/** Something that took some time. */
export interface TrackEvent {
  readonly rank: number;
  readonly track: TrackName;
  readonly name: string;
  /** Colours and filters go by it: `link`, `reduction`, ... */
  readonly category: string;
  readonly beginMicros: number;
  readonly endMicros: number;
  readonly details: Readonly<Record<string, string | number>>;
}

/** In this order under a rank. */
export type TrackName =
  | { readonly kind: 'collectives' }
  | { readonly kind: 'channel'; readonly channel: number }
  /** What goes to another rank. */
  | { readonly kind: 'link'; readonly to: number };

/** What is written beside the events. */
export type TraceMetadata = Readonly<Record<string, unknown>>;

/**
 * Times are cut to 1/1024 microsecond, just under a nanosecond. Being powers of two, they and their sums are
 * exact, so no reader finds an overlap that is not there.
 */
const TICKS = 1024;
/** Events in a piece of the text. */
const EVENTS_PER_PIECE = 512;

interface PlacedEvent {
  readonly event: TrackEvent;
  readonly beginTicks: number;
  readonly endTicks: number;
}

/** One after the other, or one inside the other. */
interface Lane {
  readonly events: PlacedEvent[];
  endTicks: number;
}

/** The trace in pieces of text. `events` come in any order. */
export function* traceJson(
  events: Iterable<TrackEvent>,
  metadata: TraceMetadata,
): Iterable<string> {
  yield `{"displayTimeUnit":"ns","otherData":${JSON.stringify(metadata)},"traceEvents":[\n`;
  let isFirst = true;
  for (const piece of pieces(events)) {
    yield isFirst ? piece : `,\n${piece}`;
    isFirst = false;
  }
  yield '\n]}\n';
}

function* pieces(events: Iterable<TrackEvent>): Iterable<string> {
  let lines: string[] = [];
  for (const line of eventLines(events)) {
    lines.push(JSON.stringify(line));
    if (lines.length < EVENTS_PER_PIECE) continue;
    yield lines.join(',\n');
    lines = [];
  }
  if (lines.length > 0) yield lines.join(',\n');
}

function* eventLines(events: Iterable<TrackEvent>): Iterable<object> {
  for (const [rank, tracks] of tracksOf(events)) {
    yield named('process_name', rank, 0, { name: `rank ${rank}` });
    yield named('process_sort_index', rank, 0, { sort_index: rank });
    let tid = 0;
    for (const { name, events: own } of tracks) {
      for (const [index, lane] of lanesOf(own).entries()) {
        tid++;
        const words = index === 0 ? wordsOf(name) : `${wordsOf(name)} (${index + 1})`;
        yield named('thread_name', rank, tid, { name: words });
        yield named('thread_sort_index', rank, tid, { sort_index: tid });
        for (const placed of lane.events) yield lineOf(placed, tid);
      }
    }
  }
}

function named(name: string, pid: number, tid: number, args: object): object {
  return { ph: 'M', name, pid, tid, args };
}

function lineOf({ event, beginTicks, endTicks }: PlacedEvent, tid: number): object {
  const { name, category: cat, rank: pid, details: args } = event;
  const times = { ts: beginTicks / TICKS, dur: (endTicks - beginTicks) / TICKS };
  return { ph: 'X', name, cat, pid, tid, ...times, args };
}

interface Track {
  readonly name: TrackName;
  readonly events: PlacedEvent[];
}

/** Ranks in order, and of each its tracks in order. */
function tracksOf(events: Iterable<TrackEvent>): [rank: number, tracks: readonly Track[]][] {
  const ranks = new Map<number, Map<string, Track>>();
  for (const event of events) {
    const tracks = ranks.get(event.rank) ?? new Map<string, Track>();
    ranks.set(event.rank, tracks);
    const words = wordsOf(event.track);
    const track = tracks.get(words) ?? { name: event.track, events: [] };
    tracks.set(words, track);
    track.events.push(placed(event));
  }
  return [...ranks.entries()]
    .sort(([a], [b]) => a - b)
    .map(([rank, tracks]) => [
      rank,
      [...tracks.values()].sort((a, b) => orderOf(a.name) - orderOf(b.name)),
    ]);
}

function placed(event: TrackEvent): PlacedEvent {
  const beginTicks = Math.round(event.beginMicros * TICKS);
  return { event, beginTicks, endTicks: Math.max(beginTicks, Math.round(event.endMicros * TICKS)) };
}

function wordsOf(track: TrackName): string {
  switch (track.kind) {
    case 'collectives':
      return 'collectives';
    case 'channel':
      return `channel ${track.channel}`;
    case 'link':
      return `to rank ${track.to}`;
  }
}

/** More channels than any program has. */
const CHANNELS = 1e6;

function orderOf(track: TrackName): number {
  if (track.kind === 'collectives') return -1;
  return track.kind === 'channel' ? track.channel : CHANNELS + track.to;
}

/** Each event goes to the first lane that is free when it begins. */
function lanesOf(events: readonly PlacedEvent[]): Lane[] {
  const lanes: Lane[] = [];
  const sorted = [...events].sort((a, b) => a.beginTicks - b.beginTicks || a.endTicks - b.endTicks);
  for (const event of sorted) {
    let lane = lanes.find(({ endTicks }) => endTicks <= event.beginTicks);
    if (lane === undefined) {
      lane = { events: [], endTicks: 0 };
      lanes.push(lane);
    }
    lane.events.push(event);
    lane.endTicks = event.endTicks;
  }
  return lanes;
}
