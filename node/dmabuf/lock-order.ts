/**
 * The order in which locks are taken (Linux lockdep, in small). Code that takes a lock, or waits for
 * something, while it holds another says "mine comes before yours"; a cycle of such sentences is a deadlock
 * that some schedule will find. Classes: `dma_resv`, the locks of drivers, and things that are waited
 * for: `dma_fence` (held by code on the way to signalling one) and `dma_buf_unmap`.
 *
 * Nothing is recorded, and nothing is paid, unless a test has called `recordLockOrder()`.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { assert } from '../../common/assert.ts';
import { LockGraph } from './lock-graph.ts';

/** Which acquire context a lock is taken under: such locks of one class may nest in any order. */
type Ticket = object | undefined;

/** A lock that is held, or code on the way to something that others wait for. */
class Section {
  readonly name: string;
  readonly ticket: Ticket;
  readonly parent: Section | undefined;
  active = true;

  constructor(name: string, ticket: Ticket, parent: Section | undefined) {
    this.name = name;
    this.ticket = ticket;
    this.parent = parent;
  }
}

export class LockOrderRecorder {
  readonly #graph = new LockGraph();
  readonly #sections = new AsyncLocalStorage<Section | undefined>();

  /** `before -> after`, each once, in the order they were seen. */
  get edges(): readonly string[] {
    return this.#graph.edges;
  }

  /** Class names along a cycle, the first one again at the end; `undefined` if there is none. */
  findCycle(): readonly string[] | undefined {
    return this.#graph.findCycle();
  }

  /** The running code is about to take, or wait for, `name`. */
  acquiring(name: string, ticket?: Ticket): void {
    for (let held = this.#held(); held !== undefined; held = active(held.parent)) {
      const nests = held.name === name && ticket !== undefined && held.ticket === ticket;
      if (!nests) this.#graph.add(held.name, name);
    }
  }

  /** Runs `body` holding `name`: until it returns or, if that is a promise, until that settles. */
  within<T>(name: string, body: () => T): T {
    const section = new Section(name, undefined, this.#held());
    const leave = () => {
      section.active = false;
    };
    let result: T | undefined;
    try {
      result = this.#sections.run(section, body);
    } finally {
      if (result instanceof Promise) result.then(leave, leave);
      else leave();
    }
    return result;
  }

  /** The running code has taken `name`, until it calls what this returns. */
  taken(name: string, ticket?: Ticket): () => void {
    const section = new Section(name, ticket, this.#held());
    this.#sections.enterWith(section);
    return () => {
      section.active = false;
    };
  }

  /** Runs `body` as a flow of its own: what it takes and keeps beyond its return, the caller does not hold. */
  flow<T>(body: () => T): T {
    return this.#sections.run(this.#held(), body);
  }

  /** Runs `body` as a worker of its own, which holds nothing of what its starter holds. */
  detached<T>(body: () => T): T {
    return this.#sections.run(undefined, body);
  }

  /** Ends what the recorder keeps for running code. */
  close(): void {
    this.#sections.disable();
  }

  #held(): Section | undefined {
    return active(this.#sections.getStore());
  }
}

/** The nearest section that has not been left: code that was started within one may outlive it. */
function active(section: Section | undefined): Section | undefined {
  let found = section;
  while (found?.active === false) found = found.parent;
  return found;
}

let recorder: LockOrderRecorder | undefined;

/** What records at the moment, if anything does. */
export function lockOrder(): LockOrderRecorder | undefined {
  return recorder;
}

/** For tests: records from now on, until `stopRecordingLockOrder()`. */
export function recordLockOrder(): LockOrderRecorder {
  assert(recorder === undefined, 'Expected one recording of the lock order at a time');
  recorder = new LockOrderRecorder();
  return recorder;
}

export function stopRecordingLockOrder(): void {
  recorder?.close();
  recorder = undefined;
}

/** Marks a function that may hold locks while its caller goes on: see `LockOrderRecorder.flow`. */
export function asOwnFlow<T>(body: () => T): T {
  return recorder === undefined ? body() : recorder.flow(body);
}

/**
 * Marks work that is handed to a worker: it may begin while its starter holds locks, and must not take
 * them before the starter has let them go.
 */
export function asWorker<T>(body: () => T): T {
  return recorder === undefined ? body() : recorder.detached(body);
}

/** Runs `body` with a driver's lock of class `name` held, which the caller takes and lets go itself. */
export function withDriverLock<T>(name: string, body: () => T): T {
  if (recorder === undefined) return body();
  recorder.acquiring(name);
  return recorder.within(name, body);
}
