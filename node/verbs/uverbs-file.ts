/**
 * One opening of the verbs device: a context, and the objects that user processes made in it. It
 * belongs to the open file, not to a process: whoever has a descriptor of the file may use it, and
 * all of it goes when the last descriptor does (Linux, ib_uverbs_cleanup_ufile()).
 */
import type { SimProcess } from '../process/sim-process.ts';
import type { IbvAsyncEvent } from './async-events.ts';
import { IbvContext, type IbvPd, ibv_close_device } from './context.ts';
import { type IbvMr, ibv_dereg_mr } from './mr.ts';
import type { Nic } from './nic.ts';
import type { IbvQp } from './qp.ts';
import type { UverbsCq } from './uverbs-cq.ts';
import { type IbvGid, PEERS_MAX, UNACKNOWLEDGED_EVENTS_MAX, UVERBS_LIMITS } from './uverbs-uapi.ts';

/** Objects of one kind by handle. Handles count from 1 and are never given twice. */
export class HandleTable<T> {
  readonly #objects = new Map<number, T>();
  readonly #max: number;
  #reserved = 0;
  #lastHandle = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#objects.size;
  }

  /** Keeps room for one object that is being made; false if there is none. `add` or `unreserve` it. */
  reserve(): boolean {
    if (this.#objects.size + this.#reserved >= this.#max) return false;
    this.#reserved++;
    return true;
  }

  unreserve(): void {
    this.#reserved--;
  }

  /** Puts an object where room was reserved. */
  add(object: T): number {
    this.#reserved--;
    this.#lastHandle++;
    this.#objects.set(this.#lastHandle, object);
    return this.#lastHandle;
  }

  get(handle: number): T | undefined {
    return this.#objects.get(handle);
  }

  /** The handle of the first object that `is` the one; 0, which is none, if there is no such object. */
  handleOf(is: (object: T) => boolean): number {
    for (const [handle, object] of this.#objects) if (is(object)) return handle;
    return 0;
  }

  delete(handle: number): void {
    this.#objects.delete(handle);
  }

  values(): T[] {
    return [...this.#objects.values()];
  }

  clear(): void {
    this.#objects.clear();
  }
}

/** A context that several processes may use, one after the other and at the same time. */
class FileContext extends IbvContext {
  /** Whose request is being served (the kernel's `current`): descriptors are looked up in its table. */
  override process: SimProcess;

  constructor(nic: Nic, opener: SimProcess) {
    super(nic, opener);
    this.process = opener;
  }
}

export class UverbsFile {
  readonly #context: FileContext;
  readonly pds = new HandleTable<IbvPd>(UVERBS_LIMITS.max_pd);
  readonly mrs = new HandleTable<IbvMr>(UVERBS_LIMITS.max_mr);
  readonly cqs = new HandleTable<UverbsCq>(UVERBS_LIMITS.max_cq);
  readonly qps = new HandleTable<IbvQp>(UVERBS_LIMITS.max_qp);

  /** Events that were taken and not acknowledged. */
  readonly events = new HandleTable<IbvAsyncEvent>(UNACKNOWLEDGED_EVENTS_MAX);
  /** Node ids of the hosts it has asked to connect to. */
  readonly #peers = new Set<string>();

  #settled: Promise<unknown> = Promise.resolve();

  constructor(nic: Nic, opener: SimProcess) {
    this.#context = new FileContext(nic, opener);
    nic.contexts.add(this.#context);
  }

  get context(): IbvContext {
    return this.#context;
  }

  get state(): 'open' | 'closed' {
    return this.context.nic.contexts.has(this.context) ? 'open' : 'closed';
  }

  /** Runs `call` in the name of a process that has the file open. Only what it does at once counts. */
  actingFor<T>(caller: SimProcess, call: () => T): T {
    this.#context.process = caller;
    return call();
  }

  mayReach(nodeId: string): boolean {
    return this.#peers.has(nodeId) || this.#peers.size < PEERS_MAX;
  }

  /** Has the host connect to a peer's, unless it is connected. */
  connect(peer: IbvGid): void {
    this.#peers.add(peer.nodeId);
    this.context.nic.transport.connect(peer);
  }

  /** What it holds, for fdinfo. */
  counts(): Readonly<Record<string, number>> {
    const { pds, mrs, cqs, qps } = this;
    return { pds: pds.size, mrs: mrs.size, cqs: cqs.size, qps: qps.size };
  }

  /** Ends every wait and destroys what is left. Idempotent. */
  close(): void {
    for (const cq of this.cqs.values()) cq.interrupt();
    if (this.state === 'open') {
      this.#settled = Promise.all(this.mrs.values().map((mr) => ibv_dereg_mr(mr)));
    }
    ibv_close_device(this.context);
    for (const table of [this.events, this.qps, this.mrs, this.cqs, this.pds]) table.clear();
  }

  /** After `close`: resolves when nobody reads or writes the memory of its regions any more. */
  async settled(): Promise<void> {
    await this.#settled;
  }
}
