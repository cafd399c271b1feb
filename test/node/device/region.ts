/**
 * A NIC's memory region on a dma-buf, as verbs would make one, for tests of the driver alone: it reaches
 * the memory through the segments of its mapping and nothing else.
 */
import type { Errno } from '../../../common/errno.ts';
import {
  dma_buf_attach,
  dma_buf_map_attachment,
  dma_buf_pin,
  dma_buf_teardown,
  dma_buf_unmap_attachment,
  dma_buf_unpin,
} from '../../../node/dmabuf/attachment.ts';
import type { DmaBufAttachment, DmaBufImporter, SgTable } from '../../../node/dmabuf/dma-buf.ts';
import { dma_buf_get, dma_buf_put } from '../../../node/dmabuf/export.ts';
import { dma_resv_locked } from '../../../node/dmabuf/reservation.ts';
import type { SimProcess } from '../../../node/process/sim-process.ts';

/**
 * `pinned`: cannot be stopped, as RDMA NICs of 2021. `revocable`: stops and lets go when told. `liar`: says
 * that it can be stopped, stops, and never lets go.
 */
export type RegionKind = 'pinned' | 'revocable' | 'liar';

export class Region {
  readonly #attachment: DmaBufAttachment;
  readonly #table: SgTable;
  /** Whether the exporter has taken the memory back. */
  state: 'valid' | 'revoked' | 'closed' = 'valid';

  private constructor(attachment: DmaBufAttachment, table: SgTable) {
    this.#attachment = attachment;
    this.#table = table;
  }

  /** `ibv_reg_dmabuf_mr` of the whole buffer, in the name of `process`. */
  static async register(
    process: SimProcess,
    fd: number,
    kind: RegionKind = 'pinned',
    reach: Partial<Pick<DmaBufImporter, 'allowPeer2Peer' | 'maxSegmentBytes'>> = {},
  ): Promise<Region | Errno> {
    const dmaBuf = dma_buf_get(process, fd);
    if (typeof dmaBuf === 'string') return dmaBuf;
    let region: Region | undefined;
    const attachment = dma_buf_attach(dmaBuf, {
      name: 'nic0',
      holder: { pid: process.pid, containerId: process.containerId },
      allowPeer2Peer: true,
      maxSegmentBytes: 2 ** 31,
      ...reach,
      kind: 'dynamic',
      ...(kind !== 'pinned' && {
        invalidateMappings: (own: DmaBufAttachment) => {
          if (region !== undefined) region.state = 'revoked';
          if (kind === 'liar') return;
          dma_buf_unmap_attachment(own);
          dma_buf_unpin(own);
        },
      }),
    });
    if (typeof attachment === 'string') {
      dma_buf_put(dmaBuf);
      return attachment;
    }
    const table = await dma_resv_locked(dmaBuf.reservation, () => {
      const errno = dma_buf_pin(attachment);
      return errno ?? dma_buf_map_attachment(attachment, 'DMA_BIDIRECTIONAL');
    });
    if (typeof table === 'string') {
      await dma_buf_teardown(attachment);
      return table;
    }
    region = new Region(attachment, table);
    return region;
  }

  /** The first byte, as an RDMA read gets it; `undefined`: remote access error. */
  read(): number | undefined {
    return this.#table.segments[0]?.bytes[0];
  }

  /** Overwrites all of it; `false`: remote access error. */
  write(value: number): boolean {
    for (const { bytes } of this.#table.segments) bytes.fill(value);
    return this.#table.segments.length > 0;
  }

  /** `ibv_dereg_mr` */
  async close(): Promise<void> {
    if (this.state === 'closed') return;
    this.state = 'closed';
    await dma_buf_teardown(this.#attachment);
  }
}

/** A region that must come about; it goes when its process does, as the NIC driver would see to. */
export async function region(
  process: SimProcess,
  fd: number,
  kind: RegionKind = 'pinned',
): Promise<Region> {
  const result = await Region.register(process, fd, kind);
  if (typeof result === 'string') throw new Error(`expected a region but found ${result}`);
  process.onExit(() => void result.close());
  return result;
}
