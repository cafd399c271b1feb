/**
 * The flush of HCL (hl_ofi_rdm_component.cpp, HCL_FABRIC_FLUSH): a completion says that the NIC has
 * sent the bytes on their way to device memory, not that they are there. A read of the device's own
 * memory through a loopback connection pushes earlier writes ahead of it; when it comes back they have
 * landed. One read serves every completion that came before it.
 *
 * Memory of this simulator is coherent, so the flush is off unless a job sets HCL_FABRIC_FLUSH=1.
 */
import type { FiEndpoint } from '../fabric/endpoint.ts';
import type { FiAddr, FiErrno, FiMr } from '../fabric/fabric.ts';
import { fi_read } from '../fabric/rma.ts';

/** Setting of a job: `1` has its communicators flush. */
export const FLUSH_VARIABLE = 'HCL_FABRIC_FLUSH';
/** Device memory that a flush works with: what it reads, and where that goes. */
export const FLUSH_BYTES = 64;
/** HCL reads 4 bytes. */
export const FLUSH_READ_BYTES = 4;

export interface FlushInit {
  readonly endpoint: FiEndpoint;
  /** This endpoint's own address, in its own vector. */
  readonly self: FiAddr;
  /** `FLUSH_BYTES` of device memory. */
  readonly memory: { readonly mr: FiMr; readonly address: number };
  failed(error: FiErrno): void;
}

/** Context of a flush read in the completion queue. */
export class FlushContext {}

export class Flush {
  readonly #init: FlushInit;
  /** Wait for a read that begins after them. */
  #waiting: (() => void)[] = [];
  /** Wait for the read under way. */
  #covered: (() => void)[] = [];
  #state: 'idle' | 'reading' = 'idle';
  #count = 0;

  constructor(init: FlushInit) {
    this.#init = init;
  }

  /** Reads that have come back. */
  get count(): number {
    return this.#count;
  }

  /** Runs `use` once everything that has completed by now is in device memory. */
  before(use: () => void): void {
    this.#waiting.push(use);
    this.resume();
  }

  /** Begins a read if one is wanted: also after FI_EAGAIN. */
  resume(): void {
    if (this.#state === 'reading' || this.#waiting.length === 0) return;
    const { endpoint, self, memory, failed } = this.#init;
    const { mr, address } = memory;
    const target = address + FLUSH_BYTES / 2;
    const local = { kind: 'mr', mr, address: target, length: FLUSH_READ_BYTES } as const;
    const error = fi_read(endpoint, local, self, address, mr.key, new FlushContext());
    if (error === 'FI_EAGAIN') return;
    if (error !== undefined) {
      failed(error);
      return;
    }
    this.#state = 'reading';
    this.#covered = this.#waiting;
    this.#waiting = [];
  }

  /** The read has come back. */
  completed(): void {
    this.#state = 'idle';
    this.#count++;
    const covered = this.#covered;
    this.#covered = [];
    for (const use of covered) use();
    this.resume();
  }
}
