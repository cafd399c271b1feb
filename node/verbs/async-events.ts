/**
 * Asynchronous events of an opened device (`struct ibv_async_event`; ibv_get_async_event(3)): what
 * happened to an object outside of any completion. Whoever takes an event acknowledges it; a library
 * returns from destroying an object only after its events have been acknowledged.
 */
import { assert } from '../../common/assert.ts';
import { type Deferred, deferred } from '../../common/deferred.ts';
import type { Errno } from '../../common/errno.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import type { IbvContext } from './context.ts';
import type { IbvCq } from './cq.ts';
import type { IbvQp } from './qp.ts';

/** Events that nobody has taken, per context. Further ones are dropped and counted. */
export const ASYNC_EVENTS_MAX = 4_096;

/** What an event is about: a queue pair, a completion queue, a port, or the whole device. */
export type IbvAsyncEvent =
  | {
      readonly event_type:
        | 'IBV_EVENT_QP_FATAL'
        | 'IBV_EVENT_QP_REQ_ERR'
        | 'IBV_EVENT_QP_ACCESS_ERR'
        | 'IBV_EVENT_SQ_DRAINED';
      readonly element: IbvQp;
    }
  | { readonly event_type: 'IBV_EVENT_CQ_ERR'; readonly element: IbvCq }
  | {
      readonly event_type: 'IBV_EVENT_PORT_ACTIVE' | 'IBV_EVENT_PORT_ERR';
      readonly element: { readonly port_num: number };
    }
  | { readonly event_type: 'IBV_EVENT_DEVICE_FATAL'; readonly element: IbvContext };

/** Objects whose end waits for acknowledgements. */
export type IbvEventElement = IbvAsyncEvent['element'];

export class AsyncEventQueue {
  readonly #scheduler: Scheduler;
  #events: IbvAsyncEvent[] = [];
  /** Taken and not acknowledged. */
  readonly #taken = new Set<IbvAsyncEvent>();
  #readers: Deferred<'event' | 'closed'>[] = [];
  #acknowledgers: { readonly element: IbvEventElement; readonly done: Deferred<void> }[] = [];
  #lost = 0;
  #closed = false;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Events that were dropped because nobody took those before them. */
  get lost(): number {
    return this.#lost;
  }

  push(event: IbvAsyncEvent): void {
    if (this.#closed) return;
    if (this.#events.length >= ASYNC_EVENTS_MAX) {
      this.#lost++;
      return;
    }
    this.#events.push(event);
    this.#readers.shift()?.resolve('event');
  }

  take(): IbvAsyncEvent | undefined {
    const event = this.#events.shift();
    if (event !== undefined) this.#taken.add(event);
    return event;
  }

  /** EAGAIN: none within `timeoutMs`. EIO: the device has been closed. */
  async wait(timeoutMs: number): Promise<IbvAsyncEvent | Errno> {
    const first = this.take();
    if (first !== undefined) return first;
    if (this.#closed) return 'EIO';
    const reader = deferred<'event' | 'closed'>();
    let late = timeoutMs <= 0;
    if (late) return 'EAGAIN';
    this.#readers.push(reader);
    const cancel = this.#scheduler.after(timeoutMs, () => {
      late = true;
      reader.resolve('event');
    });
    const outcome = await reader.promise;
    cancel();
    this.#readers = this.#readers.filter((other) => other !== reader);
    return this.take() ?? (outcome === 'closed' ? 'EIO' : 'EAGAIN');
  }

  acknowledge(event: IbvAsyncEvent): void {
    assert(this.#taken.delete(event), 'Expected an event that was taken and not acknowledged yet');
    const waiting = this.#acknowledgers;
    this.#acknowledgers = waiting.filter(({ element }) => this.#isTaken(element));
    for (const { element, done } of waiting) if (!this.#isTaken(element)) done.resolve();
  }

  /** The object is gone: events about it that nobody has taken go with it. */
  purge(element: IbvEventElement): void {
    this.#events = this.#events.filter((event) => event.element !== element);
  }

  /** Resolves when every event about `element` that was taken has been acknowledged. */
  acknowledged(element: IbvEventElement): Promise<void> {
    if (this.#closed || !this.#isTaken(element)) return Promise.resolve();
    const done = deferred<void>();
    this.#acknowledgers.push({ element, done });
    return done.promise;
  }

  /** The device is closed: nobody waits any longer. */
  close(): void {
    this.#closed = true;
    this.#events = [];
    for (const reader of this.#readers) reader.resolve('closed');
    for (const { done } of this.#acknowledgers) done.resolve();
    this.#readers = [];
    this.#acknowledgers = [];
  }

  #isTaken(element: IbvEventElement): boolean {
    for (const event of this.#taken) if (event.element === element) return true;
    return false;
  }
}

/**
 * The next event, oldest first. EAGAIN: none within `timeoutMs` (0: a descriptor with O_NONBLOCK).
 * EIO: the device was closed.
 */
export function ibv_get_async_event(
  context: IbvContext,
  timeoutMs: number,
): Promise<IbvAsyncEvent | Errno> {
  return context.asyncEvents.wait(timeoutMs);
}

/** Acknowledges an event of `ibv_get_async_event`. Once per event. */
export function ibv_ack_async_event(context: IbvContext, event: IbvAsyncEvent): void {
  context.asyncEvents.acknowledge(event);
}

/**
 * What a library waits for after ibv_destroy_qp or ibv_destroy_cq, before it returns: that nobody
 * still works on an event about the object.
 */
export function ibv_events_acknowledged(
  context: IbvContext,
  element: IbvEventElement,
): Promise<void> {
  return context.asyncEvents.acknowledged(element);
}
