/** The host's side of a trace of what the program's thread runs: gives that thread room, and takes its notes. */
import type { CollectiveName } from '../../../collectives/collective.ts';
import type { CallWindow, EngineObserver, EventSource } from '../events.ts';
import type { ControlPage } from './control-page.ts';
import { TRACE_RING_BYTES, type TraceRecord, TraceRing } from './trace-ring.ts';

export interface ProgramTraceInit {
  /** Of the device. */
  readonly memory: SharedArrayBuffer;
  readonly control: ControlPage;
  readonly rank: number;
  readonly uniqueId: string;
  /** Device memory of HCCL's own, and the way to give it back. */
  allocate(bytes: number): Promise<{ readonly address: number; readonly offset: number }>;
  release(address: number): Promise<void>;
  /** Resolves when the program's thread has left what it was in the middle of. */
  idle(): Promise<void>;
}

interface OpenRing {
  readonly address: number;
  readonly ring: TraceRing;
}

export class ProgramTrace implements EventSource {
  readonly #init: ProgramTraceInit;
  #ring: OpenRing | undefined;
  #begun: Promise<void> = Promise.resolve();
  /** The process has ended, and its memory goes with it. */
  #isGone = false;

  constructor(init: ProgramTraceInit) {
    this.#init = init;
  }

  begin(window: CallWindow): Promise<void> {
    this.#begun = this.#open(window);
    return this.#begun;
  }

  drain(observe: EngineObserver): void {
    const ring = this.#ring?.ring;
    if (ring === undefined) return;
    for (let record = ring.take(); record !== undefined; record = ring.take())
      this.#tell(record, observe);
  }

  /** What is there is handed over at once, before anything is awaited: the process may be about to end. */
  async end(observe: EngineObserver): Promise<number> {
    this.#init.control.traceOffset = 0;
    this.drain(observe);
    // Why it did not begin has been said.
    await this.#begun.catch(() => undefined);
    this.#init.control.traceOffset = 0;
    const open = this.#ring;
    if (open === undefined) return 0;
    if (!this.#isGone) {
      await this.#init.idle();
      this.drain(observe);
    }
    this.#ring = undefined;
    const { dropped } = open.ring;
    // A process that ends meanwhile gives back all that it has.
    if (!this.#isGone) await this.#init.release(open.address).catch(() => undefined);
    return dropped;
  }

  /** The process has ended: nothing can be given back. */
  abandon(): void {
    this.#isGone = true;
  }

  async #open(window: CallWindow): Promise<void> {
    const { memory, control, allocate } = this.#init;
    const { address, offset } = await allocate(TRACE_RING_BYTES);
    const ring = new TraceRing(memory, offset);
    ring.prepare(window);
    this.#ring = { address, ring };
    if (!this.#isGone) control.traceOffset = offset;
  }

  #tell(record: TraceRecord, observe: EngineObserver): void {
    const { rank, uniqueId } = this.#init;
    const base = { rank, uniqueId, sequence: record.call, atMs: record.beginMs };
    const { endMs } = record;
    switch (record.kind) {
      case 'read': {
        const { cell: step, peer, bytes, isReduced } = record;
        const part = { channel: 0, step, slice: 0, bytes };
        observe({ kind: 'read', ...base, ...part, peer, endMs, isReduced });
        return;
      }
      case 'wait':
        observe({ kind: 'waited', ...base, peer: record.peer, endMs });
        return;
      case 'call': {
        const { name, bytes } = record;
        const [collective = '', algorithm = ''] = name.split(' ');
        const words = { collective: collective as CollectiveName, algorithm, bytes };
        observe({ kind: 'collectiveBegin', ...base, ...words });
        observe({ kind: 'collectiveEnd', ...base, atMs: endMs, result: 'hcclSuccess' });
      }
    }
  }
}
