/** Events: points in streams that others wait for (Synapse's synEvent*). */
import type { SynEvent } from './hccl.ts';
import type { Stream } from './stream.ts';

/** Events of one process. */
export const SYN_EVENTS_MAX = 4_096;

/** One event. It counts as reached until it is recorded. */
export class StreamEvent {
  #reached: Promise<void> = Promise.resolve();
  #state: 'reached' | 'pending' = 'reached';

  /** From here on the event is where the stream ends now. */
  record(stream: Stream): void {
    const reached = stream.tail;
    this.#reached = reached;
    this.#state = 'pending';
    void reached.then(() => {
      if (this.#reached === reached) this.#state = 'reached';
    });
  }

  get state(): 'reached' | 'pending' {
    return this.#state;
  }

  /** Resolves when what was queued before its last record has ended, well or not. */
  get reached(): Promise<void> {
    return this.#reached;
  }
}

/** The events of one process. */
export class EventTable {
  readonly #events = new Map<SynEvent, StreamEvent>();
  #next: SynEvent = 1;

  /** `undefined` when the process has `SYN_EVENTS_MAX`. */
  create(): SynEvent | undefined {
    if (this.#events.size >= SYN_EVENTS_MAX) return undefined;
    const event = this.#next++;
    this.#events.set(event, new StreamEvent());
    return event;
  }

  get(event: SynEvent): StreamEvent | undefined {
    return this.#events.get(event);
  }

  /** `false`: there was none. Who waits for it goes on waiting. */
  delete(event: SynEvent): boolean {
    return this.#events.delete(event);
  }
}
