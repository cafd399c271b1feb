/**
 * The one place of a host where what its ranks do is noted down, while somebody wants to know: of the engine
 * at once, of ranks on shared memory whenever their notes are taken. While nobody does, no event is made.
 */
import { messageOf } from '../../common/errors.ts';
import type { CancelTimer, Scheduler } from '../../common/scheduler.ts';
import {
  type CallWindow,
  type EngineEvent,
  type EngineObserver,
  type EngineTap,
  type EventSource,
  isWanted,
} from './events.ts';

/** How often notes on shared memory are taken: they are full after some thousand events. */
const DRAIN_INTERVAL_MS = 10;

/** An event, and the rank of the job that it is about. */
export interface TracedEvent {
  readonly worldRank: number;
  readonly event: EngineEvent;
}

export interface TraceRequest extends CallWindow {
  readonly eventsMax: number;
}

export interface HostTrace {
  readonly events: readonly TracedEvent[];
  /** Events that found no room. */
  readonly dropped: number;
  /** What else is missing, in words. */
  readonly remarks: readonly string[];
}

interface Source {
  readonly source: EventSource;
  readonly worldRank: number;
  /** It has been told to begin. */
  isOn: boolean;
}

interface RunningTrace {
  readonly request: TraceRequest;
  readonly events: TracedEvent[];
  readonly remarks: string[];
  dropped: number;
  cancelDrain: CancelTimer;
}

/** The rank of a process that belongs to no job. */
const NO_RANK = -1;

export class HostTracing {
  readonly #scheduler: Scheduler;
  /** Who always wants to know. */
  readonly #always: EngineObserver | undefined;
  readonly #sources = new Set<Source>();
  #trace: RunningTrace | undefined;

  constructor(scheduler: Scheduler, always?: EngineObserver) {
    this.#scheduler = scheduler;
    this.#always = always;
  }

  /** Where the engine of a rank finds its observer. */
  tapOf(worldRank: number = NO_RANK): EngineTap {
    const observe = (event: EngineEvent): void => this.#note({ worldRank, event });
    const isNeeded = () => this.#trace !== undefined || this.#always !== undefined;
    return {
      get observer() {
        return isNeeded() ? observe : undefined;
      },
      addSource: (source) => this.#addSource({ source, worldRank, isOn: false }),
    };
  }

  /** Notes down from here on; one trace at a time. */
  async begin(request: TraceRequest): Promise<void> {
    if (this.#trace !== undefined) throw new Error('Expected one trace at a time');
    const trace: RunningTrace = {
      ...{ request, events: [], remarks: [], dropped: 0 },
      cancelDrain: () => undefined,
    };
    this.#trace = trace;
    this.#armDrain(trace);
    await Promise.all([...this.#sources].map((source) => this.#beginSource(trace, source)));
  }

  /** Notes down no more, and hands over what there is. */
  async end(): Promise<HostTrace> {
    const trace = this.#trace;
    if (trace === undefined) throw new Error('Expected a trace to end');
    trace.cancelDrain();
    await Promise.all([...this.#sources].map((source) => this.#endSource(trace, source)));
    this.#trace = undefined;
    const { events, dropped, remarks } = trace;
    return { events, dropped, remarks };
  }

  #note(traced: TracedEvent): void {
    this.#always?.(traced.event);
    const trace = this.#trace;
    if (trace === undefined || !isWanted(trace.request, traced.event.sequence)) return;
    if (trace.events.length < trace.request.eventsMax) trace.events.push(traced);
    else trace.dropped++;
  }

  #addSource(source: Source): () => Promise<void> {
    this.#sources.add(source);
    if (this.#trace !== undefined) void this.#beginSource(this.#trace, source);
    return async () => {
      this.#sources.delete(source);
      if (this.#trace !== undefined) await this.#endSource(this.#trace, source);
    };
  }

  async #beginSource(trace: RunningTrace, source: Source): Promise<void> {
    source.isOn = true;
    try {
      await source.source.begin(trace.request);
    } catch (reason) {
      trace.remarks.push(`Rank ${source.worldRank} is missing: ${messageOf(reason)}`);
    }
  }

  async #endSource(trace: RunningTrace, source: Source): Promise<void> {
    if (!source.isOn) return;
    source.isOn = false;
    const dropped = await source.source.end(this.#observerOf(source));
    trace.dropped += dropped;
  }

  #observerOf({ worldRank }: Source): EngineObserver {
    return (event) => this.#note({ worldRank, event });
  }

  #armDrain(trace: RunningTrace): void {
    trace.cancelDrain = this.#scheduler.after(DRAIN_INTERVAL_MS, () => {
      for (const source of this.#sources) {
        if (source.isOn) source.source.drain(this.#observerOf(source));
      }
      this.#armDrain(trace);
    });
  }
}
