/**
 * The memory behind a region. For a dma-buf (Linux drivers/infiniband/core/umem_dmabuf.c): a reference
 * to the buffer, an attachment, a mapping, and what happens when the exporter takes the memory back:
 *
 *   revocable   pinned, and stopped for good by a callback (`ib_umem_dmabuf_get_pinned_revocable_and_lock`)
 *   pinned      pinned, and cannot be stopped (`ib_umem_dmabuf_get_pinned`): the NICs of 2021
 *   dynamic     not pinned: mapped at the next access after the exporter has moved it (on-demand paging)
 *
 * Frames that a link was handed are read until the link has taken them. As long as that may be so, a
 * fence in the buffer's reservation says it, and the mapping stays.
 */
import { assert } from '../../common/assert.ts';
import { type Errno, isErrno } from '../../common/errno.ts';
import {
  dma_buf_attach,
  dma_buf_map_attachment,
  dma_buf_pin,
  dma_buf_teardown,
  dma_buf_unmap_attachment,
  dma_buf_unpin,
} from '../dmabuf/attachment.ts';
import type {
  DmaBuf,
  DmaBufAttachment,
  SgTable,
  SharedFile,
  ShareOptions,
} from '../dmabuf/dma-buf.ts';
import { dma_buf_get, dma_buf_put } from '../dmabuf/export.ts';
import { dma_fence_init, dma_fence_signal } from '../dmabuf/fence.ts';
import { asWorker } from '../dmabuf/lock-order.ts';
import {
  dma_resv_add_fence,
  dma_resv_locked,
  dma_resv_reserve_fences,
  dma_resv_test_signaled,
} from '../dmabuf/reservation.ts';
import { dma_resv_wait_timeout } from '../dmabuf/reservation-wait.ts';
import { dma_buf_share, dma_buf_unshare, dma_buf_when_unshared } from '../dmabuf/share.ts';
import type { OpenFile } from '../process/file.ts';
import type { SimProcess } from '../process/sim-process.ts';
import type { Nic } from './nic.ts';
import { SegmentList } from './segments.ts';

export type DmaBufMode = 'revocable' | 'pinned' | 'dynamic';

export interface RegionMemory {
  /**
   * Whether it may be accessed now. `fault`: not yet, it is being mapped; ask again. `revoked`: the
   * exporter has taken it back.
   */
  ready(): 'live' | 'fault' | 'revoked';
  /** It will never be accessed again. */
  readonly isRevoked: boolean;
  /** Of a dma-buf: its file, which the region holds. */
  readonly file?: OpenFile;
  /** Of a whole dma-buf: its memory as a file; see `dma_buf_share`. EINVAL: the region is a part of it. */
  share?(options?: ShareOptions): SharedFile | Errno;
  /** As `dma_buf_unshare`. */
  unshare?(): Promise<void> | undefined;
  /** Called, once, when the exporter or another region takes the shared memory back, before it is gone. */
  whenTakenBack?(listener: () => void): void;
  /** Views of a range, by offset in the region. Only while `live`. */
  slice(offset: number, length: number): Uint8Array[];
  /**
   * Gives everything back, once no link reads from it any more; within the call if that is so and nobody
   * holds the buffer's lock. Called once, after the last access.
   */
  release(): Promise<void>;
}

/** Longest segment the NIC takes, in bytes (dma_get_max_seg_size()). */
const SEGMENT_BYTES_MAX = 2 ** 31;
/** How long a fault waits for the exporter to finish moving the memory. */
const PAGE_FAULT_MS = 1_000;

/** What is mapped, for whom, and how. */
export interface DmaBufRequest {
  readonly nic: Nic;
  readonly process: SimProcess;
  readonly fd: number;
  readonly offset: number;
  readonly length: number;
  readonly mode: DmaBufMode;
}

class DmaBufMemory implements RegionMemory {
  readonly #nic: Nic;
  readonly #mode: DmaBufMode;
  readonly #offset: number;
  readonly #length: number;
  readonly #attachment: DmaBufAttachment;
  #table: SgTable | undefined;
  #segments = new SegmentList([]);
  /** Revocable: the callback has run. It runs at most once. */
  #stopped = false;
  #listeners: (() => void)[] = [];
  #stopListening: () => void = () => undefined;
  #released = false;
  #faulting = false;
  /** The end of a mapping that frames under way still need. */
  #unmapping: Promise<void> | undefined;

  constructor({ nic, mode, offset, length }: DmaBufRequest, attachment: DmaBufAttachment) {
    this.#nic = nic;
    this.#mode = mode;
    this.#offset = offset;
    this.#length = length;
    this.#attachment = attachment;
  }

  get isRevoked(): boolean {
    return this.#stopped || this.#attachment.dmaBuf.state === 'permanentlyRevoked';
  }

  ready(): 'live' | 'fault' | 'revoked' {
    if (this.#table?.state === 'mapped') return 'live';
    if (this.#mode !== 'dynamic' || this.#released || this.isRevoked) return 'revoked';
    if (!this.#faulting && this.#unmapping === undefined) void this.#fault();
    // The fault is served within the call unless somebody holds the lock.
    if (this.#isMapped()) return 'live';
    return this.#faulting || this.#unmapping !== undefined ? 'fault' : 'revoked';
  }

  get file(): OpenFile {
    return this.#attachment.dmaBuf.file;
  }

  share(options?: ShareOptions): SharedFile | Errno {
    const { dmaBuf } = this.#attachment;
    if (this.#offset !== 0 || this.#length !== dmaBuf.size) return 'EINVAL';
    const file = dma_buf_share(dmaBuf, options);
    if (isErrno(file)) return file;
    this.#stopListening();
    this.#stopListening = dma_buf_when_unshared(dmaBuf, () => this.#takenBack());
    return file;
  }

  unshare(): Promise<void> | undefined {
    this.#stopListening();
    return dma_buf_unshare(this.#attachment.dmaBuf);
  }

  slice(offset: number, length: number): Uint8Array[] {
    return this.#segments.slice(this.#offset + offset, length);
  }

  /** Pins, unless dynamic, and maps. */
  map(): Promise<Errno | undefined> {
    return dma_resv_locked(this.#attachment.dmaBuf.reservation, () => this.#mapLocked());
  }

  async release(): Promise<void> {
    this.#released = true;
    this.#stopListening();
    if (!this.#nic.isQuiet) await this.#nic.quiesce();
    if (this.#unmapping !== undefined) await this.#unmapping;
    await dma_buf_teardown(this.#attachment);
  }

  #isMapped(): boolean {
    return this.#table?.state === 'mapped';
  }

  #mapLocked(): Errno | undefined {
    const pins = this.#mode !== 'dynamic';
    const errno = pins ? dma_buf_pin(this.#attachment) : undefined;
    if (errno !== undefined) return errno;
    const table = dma_buf_map_attachment(this.#attachment, 'DMA_BIDIRECTIONAL');
    if (isErrno(table)) {
      if (pins) dma_buf_unpin(this.#attachment);
      return table;
    }
    this.#table = table;
    this.#segments = new SegmentList(table.segments);
    return undefined;
  }

  async #fault(): Promise<void> {
    this.#faulting = true;
    const { reservation } = this.#attachment.dmaBuf;
    await dma_resv_locked(reservation, () => {
      if (this.#released || this.#isMapped()) {
        this.#faulting = false;
        return undefined;
      }
      return this.#faultLocked();
    });
  }

  /** A dynamic importer waits itself for the exporter to have moved the memory. */
  #faultLocked(): Promise<void> | undefined {
    const { reservation } = this.#attachment.dmaBuf;
    if (dma_resv_test_signaled(reservation, 'KERNEL')) {
      this.#mapLocked();
      this.#faulting = false;
      return undefined;
    }
    const { scheduler } = this.#nic;
    return dma_resv_wait_timeout(reservation, 'KERNEL', scheduler, PAGE_FAULT_MS).then(
      (settled) => {
        if (settled === true && !this.#released) this.#mapLocked();
        this.#faulting = false;
      },
    );
  }

  whenTakenBack(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** The exporter takes the memory back, under its lock. */
  invalidate(): void {
    this.#takenBack();
    if (this.#mode === 'revocable') {
      assert(!this.#stopped, 'Expected the memory of a region to be revoked once');
      this.#stopped = true;
    }
    this.#table = undefined;
    if (this.#nic.isQuiet) {
      this.#unmapLocked();
      return;
    }
    const { reservation } = this.#attachment.dmaBuf;
    const fence = dma_fence_init();
    dma_resv_reserve_fences(reservation, 1);
    dma_resv_add_fence(reservation, fence, 'BOOKKEEP');
    // It signals first and takes the lock then: the revoker holds the lock while it waits for the fence.
    this.#unmapping = asWorker(() =>
      this.#nic.quiesce().then(() => {
        dma_fence_signal(fence);
        return dma_resv_locked(reservation, () => {
          this.#unmapLocked();
          this.#unmapping = undefined;
        });
      }),
    );
  }

  #takenBack(): void {
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }

  #unmapLocked(): void {
    dma_buf_unmap_attachment(this.#attachment);
    if (this.#mode !== 'dynamic') dma_buf_unpin(this.#attachment);
  }
}

/** Attaches and maps the buffer behind a descriptor. On failure nothing is held. */
export async function importDmaBuf(request: DmaBufRequest): Promise<RegionMemory | Errno> {
  const { process, fd, offset, length } = request;
  const dmaBuf = dma_buf_get(process, fd);
  if (isErrno(dmaBuf)) return dmaBuf;
  const memory = offset + length > dmaBuf.size ? 'EINVAL' : attach(request, dmaBuf);
  if (isErrno(memory)) {
    dma_buf_put(dmaBuf);
    return memory;
  }
  const errno = await memory.map();
  if (errno === undefined) return memory;
  await memory.release();
  return errno;
}

function attach(request: DmaBufRequest, dmaBuf: DmaBuf): DmaBufMemory | Errno {
  const { pid, containerId } = request.process;
  let memory: DmaBufMemory | undefined;
  const attachment = dma_buf_attach(dmaBuf, {
    name: 'hlsim_nic',
    holder: { pid, containerId },
    allowPeer2Peer: true,
    maxSegmentBytes: SEGMENT_BYTES_MAX,
    kind: 'dynamic',
    // The one of 2021 has no callback: it cannot be stopped.
    ...(request.mode === 'pinned' ? {} : { invalidateMappings: () => memory?.invalidate() }),
  });
  if (isErrno(attachment)) return attachment;
  memory = new DmaBufMemory(request, attachment);
  return memory;
}
