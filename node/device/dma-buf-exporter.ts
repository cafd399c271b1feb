/**
 * The device as an exporter (memory.c: export_dmabuf, hl_dmabuf_ops). What an export holds is the
 * ownership policy's: under `owner` the device *file*, so the device is released only after its last
 * dma-buf (commit 09524eb8824e, Linux 6.4), and nobody else can open it while anyone can reach the memory.
 */
import type { Errno } from '../../common/errno.ts';
import { roundUp } from '../../common/math.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import { dma_buf_attach_revocable } from '../dmabuf/attachment.ts';
import type {
  DmaBufAttachment,
  DmaBufOperations,
  DmaSegment,
  SharedFile,
} from '../dmabuf/dma-buf.ts';
import { dma_buf_export, dma_buf_fd, dma_buf_put } from '../dmabuf/export.ts';
import type { OpenFile } from '../process/file.ts';
import type { SimProcess } from '../process/sim-process.ts';
import type { Context } from './context.ts';
import { MEMORY_ERRORS } from './errno-tables.ts';
import type { DeviceHardware } from './hardware.ts';
import { DRAM_PAGE_BYTES, MEMORY_PAGES_MAX } from './hbm.ts';
import { type DramMapping, PAGE_SIZE } from './mmu.ts';

/** Bus address of device 0's memory, seen through its PCI BAR; each device has a BAR of its own. */
export const DRAM_BAR_BASE = 0x3000_0000_0000;
const DRAM_BAR_STRIDE = roundUp(MEMORY_PAGES_MAX * DRAM_PAGE_BYTES, 2 ** 32);

/**
 * What to export. Gaudi 2: a device virtual address, and an offset in its mapping. Gaudi 1: a physical
 * address, and offset 0.
 */
export interface ExportRange {
  readonly address: number;
  readonly size: number;
  readonly offset: number;
}

/** Part of a mapping, with its place in the device's memory. */
interface ExportedMemory {
  readonly mapping: DramMapping;
  readonly offset: number;
  readonly bytes: number;
}

/**
 * A dma-buf descriptor of `caller` for part of the device's memory: the EXPORT rows of `MEMORY_ERRORS`. A
 * failure has no effect.
 */
export function exportDmaBuf(
  context: Context,
  deviceFile: OpenFile,
  caller: SimProcess,
  range: ExportRange,
  flags: number,
): number | Errno {
  const memory = exportableMemory(context, range);
  if (typeof memory === 'string') return memory;
  const { exports, limits, dmaBufs } = context.hardware;
  if (context.exportCount >= limits.exportsMax) return MEMORY_ERRORS.exportCount.errno;
  // The export is complete before its descriptor shows: another thread may close a number it guessed.
  let released: () => void = () => undefined;
  const operations = exportOperations(context, memory, () => released());
  const dmaBuf = dma_buf_export(operations, memory.bytes, dmaBufs);
  const own = { dmaBuf, context, mapping: memory.mapping };
  const { exportHolds } = context.hardware.ownership;
  if (exportHolds === 'file') deviceFile.get();
  exports.add(own);
  released = () => {
    exports.remove(own);
    context.exportReleased();
    if (exportHolds === 'file') deviceFile.put();
  };
  const fd = dma_buf_fd(caller, dmaBuf, flags);
  if (typeof fd !== 'number') dma_buf_put(dmaBuf);
  return fd;
}

/** The range's memory, if the user may export it and other devices can reach it. */
function exportableMemory(context: Context, range: ExportRange): ExportedMemory | Errno {
  const { address, size, offset } = range;
  const { exportAlignment, exportSize, exportBar } = MEMORY_ERRORS;
  if (address % PAGE_SIZE !== 0 || offset % PAGE_SIZE !== 0) return exportAlignment.errno;
  if (size < PAGE_SIZE) return exportSize.errno;
  const { physical } = context.mmu;
  const memory =
    physical === undefined ? mappedMemory(context, range) : physicalMemory(physical, range);
  if (typeof memory === 'string') return memory;
  return memory.offset + size > context.hardware.barBytes ? exportBar.errno : memory;
}

/** Gaudi 2 */
function mappedMemory(context: Context, { address, size, offset }: ExportRange) {
  const mapping = context.mmu.mappingAt(address);
  if (mapping?.kind !== 'dram') return MEMORY_ERRORS.exportNotMapped.errno;
  if (offset + size > mapping.bytes) return MEMORY_ERRORS.exportBeyond.errno;
  return { mapping, offset: mapping.offset + offset, bytes: size };
}

/** Gaudi 1: no allocation is asked for; the user's part of DRAM is one mapping. */
function physicalMemory(mapping: DramMapping, { address, size, offset }: ExportRange) {
  if (offset !== 0) return MEMORY_ERRORS.exportOffset.errno;
  const start = address - mapping.virtualAddress;
  const isInside = start >= 0 && start + size <= mapping.bytes;
  if (!isInside) return MEMORY_ERRORS.exportRange.errno;
  return { mapping, offset: mapping.offset + start, bytes: size };
}

/**
 * Attach, map, unmap and release, as the driver: no CPU access. The memory never moves, so there is
 * nothing to pin, but under policy `revoke` it can be taken back, and only importers that can be stopped
 * may attach (as vfio-pci: vfio_pci_dma_buf_attach).
 */
function exportOperations(
  context: Context,
  memory: ExportedMemory,
  released: () => void,
): DmaBufOperations {
  const { hardware } = context;
  const common = {
    exporter: 'habanalabs',
    map: (attachment: DmaBufAttachment) => segmentsOf(hardware, memory, attachment),
    release: released,
    ...(hardware.hbm.canShare && sharing(context, memory)),
  };
  if (hardware.ownership.importers === 'any') return common;
  return {
    ...common,
    attach: (attachment) =>
      dma_buf_attach_revocable(attachment) ? undefined : MEMORY_ERRORS.attachNotRevocable.errno,
    pin: () => undefined,
    unpin: () => undefined,
  };
}

/**
 * Memory for other processes, as `SharedRanges.share`. The end of the context ends it as well (`Hbm.free`),
 * and what a dma-buf still reaches after that is not this user's to give away (ENODEV).
 */
function sharing(
  context: Context,
  { offset, bytes }: ExportedMemory,
): Pick<Required<DmaBufOperations>, 'share' | 'unshare'> {
  const { hbm, scheduler } = context.hardware;
  let file: SharedFile | undefined;
  return {
    share(recalled) {
      if (context.isDestroyed) return 'ENODEV';
      if (file !== undefined) return file;
      const forget =
        recalled &&
        (() => {
          recalled();
          file = undefined;
        });
      const shared = hbm.share(offset, bytes, forget);
      if (typeof shared !== 'string') file = shared;
      return shared;
    },
    unshare() {
      if (file === undefined) return undefined;
      const parts = hbm.unsharing(file);
      file = undefined;
      return inTurns(parts, scheduler);
    },
  };
}

/** A part now, and of the rest one a turn of the event loop: a heartbeat has to go out meanwhile. */
function inTurns(
  parts: Generator<undefined, void>,
  scheduler: Scheduler,
): Promise<void> | undefined {
  if (parts.next().done === true) return undefined;
  return new Promise((resolve, reject) => {
    const goOn = (): void => {
      try {
        if (parts.next().done === true) resolve();
        else scheduler.after(0, goOn);
      } catch (reason) {
        reject(reason);
      }
    };
    scheduler.after(0, goOn);
  });
}

/** EPERM: the importer has no peer-to-peer path; EINVAL: it takes no segment of a whole page. */
export function segmentsOf(
  { hbm, index }: Pick<DeviceHardware, 'hbm' | 'index'>,
  { offset, bytes: size }: Pick<ExportedMemory, 'offset' | 'bytes'>,
  { peer2peer, importer }: DmaBufAttachment,
): readonly DmaSegment[] | Errno {
  if (!peer2peer) return MEMORY_ERRORS.mapPeerToPeer.errno;
  if (importer.maxSegmentBytes < PAGE_SIZE) return MEMORY_ERRORS.mapSegment.errno;
  const longest = importer.maxSegmentBytes - (importer.maxSegmentBytes % PAGE_SIZE);
  const bar = DRAM_BAR_BASE + index * DRAM_BAR_STRIDE;
  const segments: DmaSegment[] = [];
  for (let done = 0; done < size; done += longest) {
    const bytes = hbm.view(offset + done, Math.min(longest, size - done));
    segments.push({ dmaAddress: bar + offset + done, bytes });
  }
  return segments;
}
