/**
 * What a device tells those who have it open: event bits (HL_NOTIFIER_EVENT_*), collected per file, and
 * the first error of each kind since the last open.
 */
import type { Errno } from '../../common/errno.ts';
import type { CancelTimer, Scheduler } from '../../common/scheduler.ts';
import type { EventRecord } from './uapi.ts';

/** HL_NOTIFIER_EVENT_*: bit numbers. */
export const NOTIFIER_EVENTS = {
  TPC_ASSERT: 0,
  UNDEFINED_OPCODE: 1,
  DEVICE_RESET: 2,
  CS_TIMEOUT: 3,
  DEVICE_UNAVAILABLE: 4,
  USER_ENGINE_ERR: 5,
  GENERAL_HW_ERR: 6,
  RAZWI: 7,
  PAGE_FAULT: 8,
} as const;
export type NotifierEvent = keyof typeof NOTIFIER_EVENTS;

/** Waits of one file for events that may be pending at a time; one more fails with EAGAIN. */
export const EVENT_WAITS_MAX = 64;

/** One file's events (`struct hl_notifier_event`): a mask that fills up until somebody looks. */
export class EventNotifier {
  readonly #scheduler: Scheduler;
  readonly #waiting = new Set<() => void>();
  #state: 'unregistered' | 'registered' | 'closed' = 'unregistered';
  #mask = 0;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** EINVAL: there is one already. */
  register(): Errno | undefined {
    if (this.#state !== 'unregistered') return 'EINVAL';
    this.#state = 'registered';
    return undefined;
  }

  /** EINVAL: there is none. */
  unregister(): Errno | undefined {
    if (this.#state !== 'registered') return 'EINVAL';
    this.#state = 'unregistered';
    this.#mask = 0;
    this.#wake();
    return undefined;
  }

  /** The device tells. Lost unless registered. */
  notify(event: NotifierEvent): void {
    if (this.#state !== 'registered') return;
    this.#mask = addBit(this.#mask, NOTIFIER_EVENTS[event]);
    this.#wake();
  }

  /**
   * The mask, which is empty afterwards; 0 if nothing happened within `timeoutUs` microseconds. EINVAL:
   * not registered; EAGAIN: `EVENT_WAITS_MAX` wait already.
   */
  async receive(timeoutUs: number): Promise<number | Errno> {
    if (this.#state !== 'registered') return 'EINVAL';
    if (this.#mask === 0 && timeoutUs > 0) {
      if (this.#waiting.size >= EVENT_WAITS_MAX) return 'EAGAIN';
      await this.#something(timeoutUs / 1000);
    }
    const mask = this.#mask;
    this.#mask = 0;
    return mask;
  }

  /** The file has no descriptor any more: nobody waits on. */
  close(): void {
    this.#state = 'closed';
    this.#wake();
  }

  #something(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      let cancel: CancelTimer = () => undefined;
      const wake = () => {
        cancel();
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
      cancel = this.#scheduler.after(timeoutMs, wake);
    });
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}

/** Errors of which the first one since the open is kept. */
export type RecordedError = 'csTimeout' | 'pageFault';

const NOTHING: EventRecord = { timestampMs: 0, sequence: 0 };

/** `struct hl_error_info`: kept until the next open, so that it can be read after the crash. */
export class ErrorRecords {
  #openedAtMs = 0;
  readonly #first = new Map<RecordedError, EventRecord>();

  opened(atMs: number): void {
    this.#openedAtMs = atMs;
    this.#first.clear();
  }

  record(error: RecordedError, timestampMs: number, sequence: number): void {
    if (!this.#first.has(error)) this.#first.set(error, { timestampMs, sequence });
  }

  get openTime(): EventRecord {
    return { timestampMs: this.#openedAtMs, sequence: 0 };
  }

  of(error: RecordedError): EventRecord {
    return this.#first.get(error) ?? NOTHING;
  }
}

function addBit(mask: number, bit: number): number {
  return mask | (1 << bit);
}
