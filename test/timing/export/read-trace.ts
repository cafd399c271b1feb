/** Reads a trace as a viewer does, and finds what a viewer would show wrong. */

export interface TraceEvent {
  readonly ph: string;
  readonly name: string;
  readonly cat?: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  readonly args: Readonly<Record<string, string | number>>;
}

export interface ReadTrace {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly events: readonly TraceEvent[];
  /** `rank 0 / channel 1`, by `pid tid`. */
  readonly tracks: ReadonlyMap<string, string>;
}

export function readTrace(text: string): ReadTrace {
  const { otherData, traceEvents } = JSON.parse(text) as {
    readonly otherData: Record<string, unknown>;
    readonly traceEvents: readonly TraceEvent[];
  };
  const processes = new Map<number, string>();
  const tracks = new Map<string, string>();
  for (const { ph, name, pid, tid, args } of traceEvents) {
    if (ph !== 'M') continue;
    if (name === 'process_name') processes.set(pid, String(args['name']));
    if (name === 'thread_name')
      tracks.set(`${pid} ${tid}`, `${processes.get(pid)} / ${args['name']}`);
  }
  return { metadata: otherData, events: traceEvents.filter(({ ph }) => ph === 'X'), tracks };
}

export function trackOf({ tracks }: ReadTrace, { pid, tid }: TraceEvent): string | undefined {
  return tracks.get(`${pid} ${tid}`);
}

/** Pairs of events of one track of which neither is over when the other begins, nor inside it. */
export function overlaps({ events }: ReadTrace): string[] {
  const found: string[] = [];
  const byTrack = new Map<string, TraceEvent[]>();
  for (const event of events) {
    const key = `${event.pid} ${event.tid}`;
    byTrack.set(key, [...(byTrack.get(key) ?? []), event]);
  }
  for (const own of byTrack.values()) {
    const open: TraceEvent[] = [];
    for (const event of own.toSorted((a, b) => a.ts - b.ts || b.dur - a.dur)) {
      while (open.length > 0 && endOf(open.at(-1)) <= event.ts) open.pop();
      const outer = open.at(-1);
      if (outer !== undefined && endOf(event) > endOf(outer))
        found.push(`${outer.name} and ${event.name}`);
      open.push(event);
    }
  }
  return found;
}

function endOf(event: TraceEvent | undefined): number {
  return event === undefined ? Number.NEGATIVE_INFINITY : event.ts + event.dur;
}
