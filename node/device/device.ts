/** One simulated Gaudi: its memory, its kernels and its driver. */
import { assert } from '../../common/assert.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import type { DeviceNodes } from '../process/descriptor-calls.ts';
import { type DeviceUsage, Driver } from './driver.ts';
import { Hbm } from './hbm.ts';
import { loadKernels } from './kernels/kernels.ts';
import { controlNodePath, deviceNodePath } from './uapi.ts';

/** HL_MAX_MINORS */
export const DEVICES_PER_HOST_MAX = 256;

export interface GaudiDeviceInit {
  /** Index in its host, from 0. */
  readonly index: number;
  /** A multiple of 64 KiB. */
  readonly hbmBytes: number;
  readonly scheduler: Scheduler;
  /** Room for other devices' dma-bufs in this device's memory; 0 by default. */
  readonly apertureBytes?: number;
}

export interface GaudiDevice {
  readonly index: number;
  readonly hbm: Hbm;
  readonly driver: Driver;
  /** For status and for tests that all is given back. */
  usage(): DeviceUsage;
}

/** Throws `HLSIM_CONFIG` for impossible sizes, `HLSIM_PROGRAM_UNREADABLE` if kernels are not built. */
export function createDevice(init: GaudiDeviceInit): GaudiDevice {
  const { index, scheduler } = init;
  const isIndex = Number.isInteger(index) && index >= 0 && index < DEVICES_PER_HOST_MAX;
  assert(isIndex, `Expected a device index below ${DEVICES_PER_HOST_MAX} but found ${index}`);
  const hbm = new Hbm(init.hbmBytes, init.apertureBytes ?? 0);
  const driver = new Driver({ index, hbm, scheduler, kernels: loadKernels(hbm.memory) });
  return { index, hbm, driver, usage: () => driver.usage() };
}

/** Makes the device's two nodes: /dev/accel/accelN and /dev/accel/accel_controlN. */
export function registerDevice(nodes: DeviceNodes, device: GaudiDevice): void {
  nodes.register(deviceNodePath(device.index), () => device.driver.openCompute());
  nodes.register(controlNodePath(device.index), () => device.driver.openControl());
}
