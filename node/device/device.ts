/** One simulated Gaudi: its memory, its kernels and its driver. */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import type { DmaBuf } from '../dmabuf/dma-buf.ts';
import type { DmaBufList } from '../dmabuf/export.ts';
import type { OperatingSystem, SharedMemory } from '../os/operating-system.ts';
import type { DeviceNodes } from '../process/descriptor-calls.ts';
import type { DeviceEvent } from './description.ts';
import { DeviceExports } from './device-exports.ts';
import type { ProcessKiller } from './device-state.ts';
import { type DeviceUsage, Driver } from './driver.ts';
import { apertureBytesBeside, Hbm } from './hbm.ts';
import type { ImportedRange } from './import-aperture.ts';
import { importedDmaBuf } from './imported-dma-buf.ts';
import { loadKernels } from './kernels/kernels.ts';
import { DEVICE_LIMITS, type DeviceLimits } from './limits.ts';
import { OWNERSHIP, OWNERSHIP_DEFAULT, type OwnershipPolicy } from './ownership.ts';
import { type Asic, controlNodePath, DEVICES_PER_HOST_MAX, deviceNodePath } from './uapi.ts';

export interface GaudiDeviceInit {
  /** Index in its host, from 0. */
  readonly index: number;
  /** A multiple of 64 KiB. */
  readonly hbmBytes: number;
  readonly scheduler: Scheduler;
  /** With it, memory can be shared with devices of other processes. */
  readonly os?: OperatingSystem | undefined;
  /**
   * Room for memory of other processes' devices. By default `apertureBytesBeside` the HBM with `os`, none
   * without.
   */
  readonly apertureBytes?: number;
  /** Which form of the driver; `gaudi2` by default. HCCL needs that one. */
  readonly asic?: Asic;
  /** How much of the memory, from its physical start, the PCI BAR shows; all of it by default. */
  readonly barBytes?: number;
  /** Who owns exported memory; `owner` by default. */
  readonly ownership?: OwnershipPolicy;
  /** Ends the openers of a device that is reset. Without it nobody can be made to leave. */
  readonly processes?: ProcessKiller;
  /** Where the host lists its dma-bufs. */
  readonly dmaBufs?: DmaBufList;
  /** The kernel's log. */
  readonly log?: (event: DeviceEvent) => void;
  /** Other bounds and times than `DEVICE_LIMITS`. */
  readonly limits?: Partial<DeviceLimits>;
  /** A stuck submission brings about a hard reset; if not, the device only needs one. Yes by default. */
  readonly resetOnLockup?: boolean;
}

export interface GaudiDevice {
  readonly index: number;
  readonly hbm: Hbm;
  readonly driver: Driver;
  /** For status and for tests that all is given back. */
  usage(): DeviceUsage;
  /**
   * Maps a file of another process's device into the import aperture and says where; see
   * `ImportAperture.importShared`. EOPNOTSUPP: no operating system.
   */
  importShared(file: SharedMemory): ImportedRange | Errno;
  /** Ends an import that `importShared` made. */
  dropImport(offset: number): void;
  /**
   * The same as a dma-buf with one reference, the caller's, for the DMA engine and kernels of the device to
   * import, and for NICs. Its release ends the import.
   */
  importDmaBuf(file: SharedMemory): DmaBuf | Errno;
}

/** Throws `HLSIM_CONFIG` for impossible sizes, `HLSIM_PROGRAM_UNREADABLE` if kernels are not built. */
export function createDevice(init: GaudiDeviceInit): GaudiDevice {
  const { index, scheduler, ownership = OWNERSHIP_DEFAULT } = init;
  const isIndex = Number.isInteger(index) && index >= 0 && index < DEVICES_PER_HOST_MAX;
  assert(isIndex, `Expected a device index below ${DEVICES_PER_HOST_MAX} but found ${index}`);
  const { os, hbmBytes } = init;
  const { apertureBytes = os === undefined ? 0 : apertureBytesBeside(hbmBytes) } = init;
  const hbm = new Hbm(hbmBytes, apertureBytes, os);
  const driver = new Driver({
    hardware: {
      index,
      asic: init.asic ?? 'gaudi2',
      hbm,
      barBytes: init.barBytes ?? hbm.memory.buffer.byteLength,
      scheduler,
      kernels: loadKernels(hbm.memory),
      limits: { ...DEVICE_LIMITS, ...init.limits },
      ownership: OWNERSHIP[ownership],
      exports: new DeviceExports(),
      dmaBufs: init.dmaBufs,
    },
    policy: ownership,
    resetOnLockup: init.resetOnLockup ?? true,
    processes: init.processes,
    log: init.log,
  });
  driver.start();
  return {
    index,
    hbm,
    driver,
    usage: () => driver.usage(),
    importShared: (file) => hbm.importShared(file),
    dropImport: (offset) => hbm.dropImport(offset),
    importDmaBuf: (file) => importedDmaBuf({ hbm, index }, file, init.dmaBufs),
  };
}

/** Makes the device's two nodes: /dev/accel/accelN and /dev/accel/accel_controlDN. */
export function registerDevice(nodes: DeviceNodes, device: GaudiDevice): void {
  const { driver, index } = device;
  nodes.register(deviceNodePath(index), (caller) => driver.openCompute(caller));
  nodes.register(controlNodePath(index), () => driver.openControl());
}
