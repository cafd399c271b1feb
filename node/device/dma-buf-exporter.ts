/**
 * The device as an exporter (memory.c: export_dmabuf, hl_dmabuf_ops). An export is pinned and
 * immutable; it holds the device *file*, so the device is released only after its last dma-buf
 * (commit 09524eb8824e, Linux 6.4), and nobody else can open it while anyone can reach the memory.
 */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import { roundUp } from '../../common/math.ts';
import type { DmaBufAttachment, DmaBufOperations, DmaSegment } from '../dmabuf/dma-buf.ts';
import { dma_buf_export, dma_buf_fd, dma_buf_put } from '../dmabuf/export.ts';
import type { OpenFile } from '../process/file.ts';
import type { SimProcess } from '../process/sim-process.ts';
import type { Context } from './context.ts';
import { DRAM_PAGE_BYTES, MEMORY_PAGES_MAX } from './hbm.ts';
import { type DramMapping, PAGE_SIZE } from './mmu.ts';

/** Bus address of device 0's memory, seen through its PCI BAR; each device has a BAR of its own. */
export const DRAM_BAR_BASE = 0x3000_0000_0000;
const DRAM_BAR_STRIDE = roundUp(MEMORY_PAGES_MAX * DRAM_PAGE_BYTES, 2 ** 32);

/** What to export, in the form of Gaudi 2: a device virtual address, and an offset in its mapping. */
export interface ExportRange {
  readonly address: number;
  readonly size: number;
  readonly offset: number;
}

/**
 * A dma-buf descriptor of `caller` for part of a mapping. EINVAL: address or offset not a multiple of
 * `PAGE_SIZE`, size below it, an address that is not exactly the start of a device memory mapping, or a
 * range beyond the mapping; EMFILE. A failure has no effect.
 */
export function exportDmaBuf(
  context: Context,
  deviceFile: OpenFile,
  caller: SimProcess,
  range: ExportRange,
  flags: number,
): number | Errno {
  const mapping = exportableMapping(context, range);
  if (typeof mapping === 'string') return mapping;
  deviceFile.get();
  mapping.exports++;
  context.exportCount++;
  const operations = exportOperations(context, deviceFile, mapping, range);
  const dmaBuf = dma_buf_export(operations, range.size);
  const fd = dma_buf_fd(caller, dmaBuf, flags);
  if (typeof fd !== 'number') dma_buf_put(dmaBuf);
  return fd;
}

function exportableMapping(context: Context, range: ExportRange): DramMapping | Errno {
  const { address, size, offset } = range;
  if (address % PAGE_SIZE !== 0 || offset % PAGE_SIZE !== 0 || size < PAGE_SIZE) return 'EINVAL';
  const mapping = context.mmu.mappingAt(address);
  if (mapping === undefined || mapping.kind !== 'dram') return 'EINVAL';
  return offset + size > mapping.bytes ? 'EINVAL' : mapping;
}

/** Attach, map, unmap and release, as the driver; nothing else, so no CPU access and no move. */
function exportOperations(
  context: Context,
  deviceFile: OpenFile,
  mapping: DramMapping,
  range: ExportRange,
): DmaBufOperations {
  return {
    exporter: 'habanalabs',
    map: (attachment) => segmentsOf(context, mapping.offset + range.offset, range.size, attachment),
    release() {
      assert(mapping.exports > 0, 'Expected the export to be counted');
      mapping.exports--;
      context.exportCount--;
      deviceFile.put();
    },
  };
}

/** EPERM: the importer has no peer-to-peer path; EINVAL: it takes no segment of a whole page. */
function segmentsOf(
  context: Context,
  offset: number,
  size: number,
  { peer2peer, importer }: DmaBufAttachment,
): readonly DmaSegment[] | Errno {
  if (!peer2peer) return 'EPERM';
  if (importer.maxSegmentBytes < PAGE_SIZE) return 'EINVAL';
  const { hbm, index } = context.hardware;
  const longest = importer.maxSegmentBytes - (importer.maxSegmentBytes % PAGE_SIZE);
  const bar = DRAM_BAR_BASE + index * DRAM_BAR_STRIDE;
  const segments: DmaSegment[] = [];
  for (let done = 0; done < size; done += longest) {
    const bytes = hbm.view(offset + done, Math.min(longest, size - done));
    segments.push({ dmaAddress: bar + offset + done, bytes });
  }
  return segments;
}
