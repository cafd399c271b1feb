/** The parts of a device that its contexts work with. */
import type { Scheduler } from '../../common/scheduler.ts';
import type { DmaBufList } from '../dmabuf/export.ts';
import type { DeviceExports } from './device-exports.ts';
import type { Hbm } from './hbm.ts';
import type { KernelSet } from './kernels/kernels.ts';
import type { DeviceLimits } from './limits.ts';
import type { OwnershipRules } from './ownership.ts';
import type { Asic } from './uapi.ts';

export interface DeviceHardware {
  readonly index: number;
  readonly asic: Asic;
  readonly hbm: Hbm;
  /** How much of the device's memory, from its physical start, other devices can reach over PCI. */
  readonly barBytes: number;
  readonly kernels: KernelSet;
  readonly scheduler: Scheduler;
  readonly limits: DeviceLimits;
  readonly ownership: OwnershipRules;
  readonly exports: DeviceExports;
  /** Where the host lists dma-bufs. */
  readonly dmaBufs: DmaBufList | undefined;
}
