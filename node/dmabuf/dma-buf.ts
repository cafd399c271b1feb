/**
 * dma_buf: memory of one device shared with others by file descriptor (Linux
 * drivers/dma-buf/dma-buf.c, include/linux/dma-buf.h). This file has the types; `export.ts`,
 * `attachment.ts`, `revoke.ts` have the calls. Names are the kernel's.
 *
 * What an importer sees of the memory is the segment list of its mapping and nothing else. When the
 * exporter invalidates the mapping the list goes dead, and the importer's next access must fail.
 */
import type { Errno } from '../../common/errno.ts';
import type { OpenFile } from '../process/file.ts';
import type { DmaReservation } from './reservation.ts';

export type DmaDirection = 'DMA_BIDIRECTIONAL' | 'DMA_TO_DEVICE' | 'DMA_FROM_DEVICE';

/**
 * A contiguous piece of the mapped memory. `bytes` is what a bus access to
 * [dmaAddress, dmaAddress + bytes.byteLength) reaches; only exporters make one.
 */
export interface DmaSegment {
  readonly dmaAddress: number;
  readonly bytes: Uint8Array;
}

/** A mapping of a whole dma-buf for one attachment (`struct sg_table`). */
export interface SgTable {
  /** In order; lengths add up to the buffer's size. Empty once the mapping is not `mapped`. */
  readonly segments: readonly DmaSegment[];
  /** `invalidated`: the exporter took the memory back; the importer must unmap. */
  readonly state: 'mapped' | 'invalidated' | 'unmapped';
}

/** Memory as a file of the operating system. The descriptor stays its exporter's, who closes it. */
export interface SharedFile {
  readonly fd: number;
  readonly bytes: number;
}

export interface ShareOptions {
  /**
   * A loan: not if the memory had to be moved for it, as somebody may be writing to it; and it ends when
   * another buffer over the same memory is shared for good.
   */
  readonly inPlace?: boolean;
}

/** The exporter's side (`struct dma_buf_ops`). */
export interface DmaBufOperations {
  /** Name shown in fdinfo. */
  readonly exporter: string;
  /** Without the reservation lock. */
  attach?(attachment: DmaBufAttachment): Errno | undefined;
  /** Without the reservation lock. */
  detach?(attachment: DmaBufAttachment): void;
  /** Under the reservation lock: the memory stays where it is until `unpin`. Both or neither. */
  pin?(attachment: DmaBufAttachment): Errno | undefined;
  unpin?(attachment: DmaBufAttachment): void;
  /**
   * Segments of the whole buffer, none longer than the importer's limit; or why not. Under the
   * reservation lock.
   */
  map(attachment: DmaBufAttachment, direction: DmaDirection): readonly DmaSegment[] | Errno;
  /** Under the reservation lock. */
  unmap?(attachment: DmaBufAttachment): void;
  /**
   * hlsim's own: the memory as a file that other processes of the machine can map; the same one until
   * `unshare`, which ends their access and keeps the content. Both or neither. Without the reservation lock
   * or under it. `recalled`: it is a loan, see `ShareOptions`; called when the exporter takes it back of itself,
   * before it does. EBUSY: it is shared through another buffer, or cannot be lent in place.
   */
  share?(recalled?: () => void): SharedFile | Errno;
  /** Nothing if it is not shared. */
  unshare?(): Promise<void> | undefined;
  /** A processor is about to touch the memory, or is done. Without the reservation lock. */
  beginCpuAccess?(direction: DmaDirection): Errno | undefined;
  endCpuAccess?(direction: DmaDirection): Errno | undefined;
  /** The last reference is gone; attachments are too. Without the reservation lock. */
  release(): void;
}

/** For whom an importer works: who to ask, or to end, when the memory is wanted back. */
export interface DmaBufHolder {
  readonly pid: number;
  readonly containerId: string;
}

/** The importing device's side (`struct dma_buf_attach_ops` and device limits). */
export interface DmaBufImporter {
  readonly name: string;
  readonly holder?: DmaBufHolder | undefined;
  readonly allowPeer2Peer: boolean;
  /** dma_get_max_seg_size(): longest segment the device takes, in bytes. */
  readonly maxSegmentBytes: number;
  /**
   * `static`: maps without the lock, and the memory stays where it is while it is mapped. `dynamic`:
   * holds the lock to pin and map, and waits for fences itself.
   */
  readonly kind: 'static' | 'dynamic';
  /**
   * The mapping has been invalidated: stop using it now, unmap soon; until work under way has ended a
   * fence of it must be in the reservation. Under the reservation lock. Dynamic importers only; one
   * that has none cannot be stopped.
   */
  invalidateMappings?(attachment: DmaBufAttachment): void;
}

/** `revoking`: refused to everybody already; work under way and mappings are still ending. */
export type DmaBufState =
  | 'live'
  | 'revoking'
  | 'temporarilyRevoked'
  | 'permanentlyRevoked'
  | 'released';

export interface DmaBuf {
  readonly size: number;
  /** Given by a user, for people who look at the list. */
  readonly name: string | undefined;
  readonly operations: DmaBufOperations;
  readonly attachments: ReadonlySet<DmaBufAttachment>;
  /** The anonymous file that carries the references. */
  readonly file: OpenFile;
  readonly state: DmaBufState;
  /** The lock, and the fences of work under way on the buffer. */
  readonly reservation: DmaReservation;
}

export interface DmaBufAttachment {
  readonly dmaBuf: DmaBuf;
  readonly importer: DmaBufImporter;
  /** Negotiated at attach; the exporter may clear it. */
  peer2peer: boolean;
  /** dma_buf_pin() calls that have not been undone. */
  readonly pins: number;
  /** The current mapping, if any. */
  readonly mapping: SgTable | undefined;
}
