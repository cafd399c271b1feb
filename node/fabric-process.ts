/** The fabric objects of one user process, by number, and what calls of it wait for. */
import type { Scheduler } from '../common/scheduler.ts';
import type { FiAv } from './fabric/av.ts';
import type { FiCntr } from './fabric/cntr.ts';
import type { FiCq } from './fabric/cq.ts';
import type { FiDomain, FiFabric } from './fabric/domain.ts';
import type { FiEndpoint } from './fabric/endpoint.ts';
import type { FiEq } from './fabric/eq.ts';
import type { Fid, FiErrno, FiMr } from './fabric/fabric.ts';
import type { SimProcess } from './process/sim-process.ts';
import { errnoFailure } from './process/system-call.ts';
import { WaitQueue } from './verbs/uverbs-wait.ts';

/** Objects that one process may have; one more answers FI_ENOMEM. */
export const FABRIC_OBJECTS_MAX = 4_096;

/** Something happened that a call may wait for: a chance to try again. */
export class Signal {
  readonly #waiting = new WaitQueue();
  #raised = false;

  raise(): void {
    this.#raised = true;
    this.#waiting.wake();
  }

  /** What has happened so far does not count any more. */
  lower(): void {
    this.#raised = false;
  }

  /** At once if it is raised. EAGAIN: too many wait. EINTR: the caller has ended. */
  async wait(
    caller: SimProcess,
    scheduler: Scheduler,
    timeoutMs: number,
  ): Promise<'woken' | 'timedOut'> {
    if (this.#raised) return 'woken';
    if (this.#waiting.isFull) throw errnoFailure('EAGAIN', 'too many calls wait for this object');
    const end = await this.#waiting.wait(caller, scheduler, timeoutMs);
    if (end === 'interrupted') throw errnoFailure('EINTR', 'the process has ended, or the object');
    return end;
  }

  /** The object is gone: nobody waits for it any longer. */
  close(): void {
    this.#waiting.close();
  }
}

/** Thrown by what serves a call: libfabric's answer is this error. */
export class FabricRefusal extends Error {
  readonly errno: FiErrno;

  constructor(errno: FiErrno) {
    super(errno);
    this.errno = errno;
  }
}

/** Which class of object has which type. */
interface Classes {
  readonly FI_CLASS_FABRIC: FiFabric;
  readonly FI_CLASS_DOMAIN: FiDomain;
  readonly FI_CLASS_AV: FiAv;
  readonly FI_CLASS_MR: FiMr;
  readonly FI_CLASS_CQ: FiCq;
  readonly FI_CLASS_CNTR: FiCntr;
  readonly FI_CLASS_EQ: FiEq;
  readonly FI_CLASS_EP: FiEndpoint;
}

interface Entry {
  readonly object: Fid;
  readonly signal: Signal;
  /** Number of the domain it is of; 0 for fabrics and domains themselves. */
  readonly domain: number;
}

export class FabricProcess {
  readonly process: SimProcess;
  readonly #entries = new Map<number, Entry>();
  #reserved = 0;
  #lastFid = 0;

  constructor(process: SimProcess) {
    this.process = process;
  }

  /**
   * Makes an object and gives it a number, never given before. `make` gets what to raise for it, and
   * may answer an error. FI_ENOMEM: the process has too many.
   */
  async add<T extends Fid>(
    domain: number,
    make: (signal: Signal) => T | FiErrno | Promise<T | FiErrno>,
  ): Promise<{ readonly fid: number; readonly object: T }> {
    if (this.#entries.size + this.#reserved >= FABRIC_OBJECTS_MAX) {
      throw new FabricRefusal('FI_ENOMEM');
    }
    const signal = new Signal();
    this.#reserved++;
    try {
      const object = await make(signal);
      if (typeof object === 'string') throw new FabricRefusal(object);
      this.#lastFid++;
      this.#entries.set(this.#lastFid, { object, signal, domain });
      return { fid: this.#lastFid, object };
    } finally {
      this.#reserved--;
    }
  }

  /** The object with this number. FI_EINVAL: there is none, or it is of another class. */
  get<Class extends keyof Classes>(fid: number, fclass: Class): Classes[Class] {
    const object = this.any(fid);
    if (object.fclass !== fclass) throw new FabricRefusal('FI_EINVAL');
    return object as Fid as Classes[Class];
  }

  any(fid: number): Fid {
    return this.#entry(fid).object;
  }

  /** The number of an object; 0 if it has gone. */
  numberOf(object: Fid): number {
    for (const [fid, entry] of this.#entries) if (entry.object === object) return fid;
    return 0;
  }

  signal(fid: number): Signal {
    return this.#entry(fid).signal;
  }

  /** Whether two objects are of one domain, as those that are bound to each other must be. */
  areOfOneDomain(one: number, other: number): boolean {
    return this.#entry(one).domain === this.#entry(other).domain;
  }

  remove(fid: number): void {
    this.#entry(fid).signal.close();
    this.#entries.delete(fid);
  }

  /** EFAULT: not all of it is memory of the process. */
  userBytes({
    address,
    length,
  }: {
    readonly address: number;
    readonly length: number;
  }): Uint8Array {
    const bytes = this.process.userBytes(address, length);
    if (bytes !== undefined) return bytes;
    throw errnoFailure('EFAULT', `${length} bytes at ${address} are not memory of the process`);
  }

  #entry(fid: number): Entry {
    const entry = this.#entries.get(fid);
    if (entry === undefined) throw new FabricRefusal('FI_EINVAL');
    return entry;
  }
}
