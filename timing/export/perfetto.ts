/** A predicted run as a trace: the same tracks as of a real run, so that one can be laid beside the other. */
import { formatBytes } from '../../common/bytes.ts';
import type { Network } from '../network.ts';
import type { Activity, LinkModel, Span } from '../prediction.ts';
import { type TraceMetadata, type TrackEvent, type TrackName, traceJson } from './tracks.ts';

export interface PredictedTrace {
  readonly network: Pick<Network, 'name' | 'nranks' | 'parameters'>;
  readonly model: LinkModel;
  /** What was run: `ring all_reduce of 1 MiB`. */
  readonly title: string;
  /** Spans that were left out to bound the file (`SpanWindow.omitted`). */
  readonly omitted?: number;
}

/** Spans of a file unless it is asked for more: some 100 MB of JSON, which a browser still opens. */
export const TRACE_SPANS_MAX = 500_000;

const MICROS = 1e6;

/** What a rank or a message does, in the words of a real run's trace. */
const ACTIVITY_WORDS: Readonly<Record<Activity, string>> = {
  issue: 'issue',
  link: 'send',
  latency: 'latency',
  reduction: 'reduce',
  copy: 'copy',
  waiting: 'wait',
};

/** The trace as JSON, in pieces of text. */
export function perfettoTrace(spans: Iterable<Span>, trace: PredictedTrace): Iterable<string> {
  return traceJson(trackEvents(spans, trace), metadataOf(trace));
}

/** Keeps the first spans of a prediction, up to a bound, and counts the rest. Give `record` to `predict`. */
export class SpanWindow {
  readonly spans: Span[] = [];
  readonly #max: number;
  #omitted = 0;

  constructor(max: number = TRACE_SPANS_MAX) {
    this.#max = max;
  }

  get omitted(): number {
    return this.#omitted;
  }

  readonly record = (span: Span): void => {
    if (this.spans.length < this.#max) this.spans.push(span);
    else this.#omitted++;
  };
}

function metadataOf({ network, model, title, omitted = 0 }: PredictedTrace): TraceMetadata {
  const assumed = network.parameters.filter(({ status }) => status === 'assumed');
  return {
    time: 'virtual',
    title,
    model,
    network: network.name,
    ranks: network.nranks,
    assumedParameters: assumed.map(({ name, text }) => `${name} = ${text}`),
    eventsOmitted: omitted,
  };
}

/** Every span, and for each rank what it all was for. */
function* trackEvents(spans: Iterable<Span>, { title }: PredictedTrace): Iterable<TrackEvent> {
  const ends = new Map<number, number>();
  for (const span of spans) {
    ends.set(span.rank, Math.max(ends.get(span.rank) ?? 0, span.endSeconds));
    yield eventOf(span);
  }
  for (const [rank, endSeconds] of ends) {
    const track = { kind: 'collectives' } as const;
    const times = { beginMicros: 0, endMicros: endSeconds * MICROS };
    yield { rank, track, name: title, category: 'collective', ...times, details: {} };
  }
}

function eventOf(span: Span): TrackEvent {
  const { activity, rank, channel, step, slice, bytes, peer, linkKind, link } = span;
  return {
    rank,
    track: trackOf(span),
    name: `${ACTIVITY_WORDS[activity]} ${channel}.${step}.${slice}`,
    category: activity,
    beginMicros: span.beginSeconds * MICROS,
    endMicros: span.endSeconds * MICROS,
    details: {
      ...{ channel, step, slice, bytes, size: formatBytes(bytes) },
      ...(peer === undefined ? {} : { peer }),
      ...(linkKind === undefined ? {} : { linkKind }),
      ...(link === undefined ? {} : { link }),
    },
  };
}

/** What a message does is on the track of its way, everything else on its channel's. */
function trackOf({ activity, channel, peer }: Span): TrackName {
  const isMessage = activity === 'link' || activity === 'latency';
  if (isMessage && peer !== undefined) return { kind: 'link', to: peer };
  return { kind: 'channel', channel };
}
