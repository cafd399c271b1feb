/**
 * dma_buf: memory of one device shared with others by file descriptor (Linux
 * drivers/dma-buf/dma-buf.c, include/linux/dma-buf.h). This file has the types; `export.ts`,
 * `attachment.ts` have the calls. Names are the kernel's.
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

/** The exporter's side (`struct dma_buf_ops`). */
export interface DmaBufOperations {
  /** Name shown in fdinfo. */
  readonly exporter: string;
  attach?(attachment: DmaBufAttachment): Errno | undefined;
  detach?(attachment: DmaBufAttachment): void;
  /** Segments of the whole buffer, none longer than the importer's limit; or why not. */
  map(attachment: DmaBufAttachment, direction: DmaDirection): readonly DmaSegment[] | Errno;
  unmap?(attachment: DmaBufAttachment): void;
  /** The last reference is gone; attachments are too. */
  release(): void;
}

/** The importing device's side (`struct dma_buf_attach_ops` and device limits). */
export interface DmaBufImporter {
  readonly name: string;
  readonly allowPeer2Peer: boolean;
  /** dma_get_max_seg_size(): longest segment the device takes, in bytes. */
  readonly maxSegmentBytes: number;
  /** The mapping has been invalidated: stop using it now, unmap soon. Absent: static importer. */
  invalidateMappings?(attachment: DmaBufAttachment): void;
}

export interface DmaBuf {
  readonly size: number;
  readonly operations: DmaBufOperations;
  readonly attachments: ReadonlySet<DmaBufAttachment>;
  /** The anonymous file that carries the references. */
  readonly file: OpenFile;
  /** `revoked`: for good; nobody maps it any more. */
  readonly state: 'live' | 'revoked';
  /** Fences of work under way on the buffer. */
  readonly reservation: DmaReservation;
}

export interface DmaBufAttachment {
  readonly dmaBuf: DmaBuf;
  readonly importer: DmaBufImporter;
  /** Negotiated at attach; the exporter may clear it. */
  peer2peer: boolean;
  /** The current mapping, if any. */
  readonly mapping: SgTable | undefined;
}
