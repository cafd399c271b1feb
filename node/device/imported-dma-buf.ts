/**
 * Memory of another process's device as a dma-buf of this host: it lies in the import aperture of one
 * device, whose DMA engine and kernels use it like memory of their own, and others reach it there.
 *
 * The other process may take it back at any time. Nobody here is told by that: what is read is zeros
 * then, and what is written goes nowhere.
 */
import type { Errno } from '../../common/errno.ts';
import type { DmaBuf } from '../dmabuf/dma-buf.ts';
import { type DmaBufList, dma_buf_export } from '../dmabuf/export.ts';
import type { SharedMemory } from '../os/operating-system.ts';
import { segmentsOf } from './dma-buf-exporter.ts';
import type { DeviceHardware } from './hardware.ts';

/** With one reference, the caller's; the release ends the import. Errors as `Hbm.importShared`. */
export function importedDmaBuf(
  device: Pick<DeviceHardware, 'hbm' | 'index'>,
  file: SharedMemory,
  list: DmaBufList | undefined,
): DmaBuf | Errno {
  const { hbm } = device;
  const range = hbm.importShared(file);
  if (typeof range === 'string') return range;
  return dma_buf_export(
    {
      exporter: 'hlsim_import',
      map: (attachment) => segmentsOf(device, range, attachment),
      release: () => hbm.dropImport(range.offset),
    },
    range.bytes,
    list,
  );
}
