/** A host with Gaudis and user processes, in one thread and in virtual time, for the device tests. */
import { MiB } from '../../../common/bytes.ts';
import { VirtualScheduler } from '../../../common/scheduler.ts';
import type { DeviceEvent } from '../../../node/device/description.ts';
import {
  createDevice,
  type GaudiDevice,
  type GaudiDeviceInit,
  registerDevice,
} from '../../../node/device/device.ts';
import * as hlthunk from '../../../node/device/hlthunk.ts';
import { DmaBufList } from '../../../node/dmabuf/export.ts';
import { registerDescriptorCalls } from '../../../node/process/descriptor-calls.ts';
import { ProcessTable } from '../../../node/process/process-table.ts';
import type { SimProcess } from '../../../node/process/sim-process.ts';
import { type SystemCallChannel, SystemCallError } from '../../../node/process/system-call.ts';
import { inlineChannel, SystemCallTable } from '../../../node/process/system-call-table.ts';

const PROCESS_MEMORY_BYTES = 1 * MiB;

export interface BenchProcess {
  readonly process: SimProcess;
  readonly channel: SystemCallChannel;
}

export class DeviceBench {
  readonly scheduler = new VirtualScheduler();
  readonly table = new SystemCallTable();
  readonly processes = new ProcessTable();
  readonly dmaBufs = new DmaBufList();
  readonly devices: readonly GaudiDevice[];
  /** What the devices logged. */
  readonly events: DeviceEvent[] = [];

  constructor(
    deviceCount = 1,
    hbmBytes: number = 4 * MiB,
    options: Omit<Partial<GaudiDeviceInit>, 'index'> = {},
  ) {
    const nodes = registerDescriptorCalls(this.table);
    const { scheduler, processes, dmaBufs } = this;
    const log = (event: DeviceEvent) => this.events.push(event);
    const common = { hbmBytes, scheduler, processes, dmaBufs, log };
    this.devices = Array.from({ length: deviceCount }, (_, index) => {
      const device = createDevice({ ...common, ...options, index });
      registerDevice(nodes, device);
      return device;
    });
  }

  start(containerId = 'c0', privileged = false): BenchProcess {
    const memory = new SharedArrayBuffer(PROCESS_MEMORY_BYTES);
    const process = this.processes.create({ containerId, privileged, memory });
    return { process, channel: inlineChannel(this.table, process) };
  }

  device(index = 0): GaudiDevice {
    const device = this.devices[index];
    if (device === undefined) throw new Error(`no device ${index}`);
    return device;
  }

  /** Runs virtual time until the promise settles. */
  run<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.run(promise);
  }

  /** Runs `ms` of virtual time. */
  async sleep(ms: number): Promise<void> {
    await this.run(new Promise<void>((resolve) => this.scheduler.after(ms, resolve)));
  }

  /** Kinds of the events logged so far. */
  get eventKinds(): readonly string[] {
    return this.events.map(({ kind }) => kind);
  }
}

/** SCM_RIGHTS: the same open file under a number of the other process. */
export function passDescriptor(from: SimProcess, fd: number, to: SimProcess): number {
  const file = from.fds.lookup(fd);
  const number = to.fds.reserve();
  if (typeof file === 'string' || typeof number === 'string') throw new Error('bad descriptor');
  to.fds.install(number, file.get());
  return number;
}

/** A device that is open, with mapped memory. */
export async function mappedMemory({ channel }: BenchProcess, bytes: number, index = 0) {
  const fd = await hlthunk.hlthunk_open(channel, index);
  const handle = await hlthunk.hlthunk_device_memory_alloc(channel, fd, bytes);
  const address = await hlthunk.hlthunk_device_memory_map(channel, fd, handle);
  const exportFd = (size = bytes, offset = 0) =>
    hlthunk.hlthunk_device_mapped_memory_export_dmabuf_fd(channel, fd, address, size, offset);
  return { fd, handle, address, exportFd };
}

/** The device when nobody holds anything of it. */
export const UNUSED = {
  state: 'free',
  allocations: 0,
  allocatedBytes: 0,
  mappings: 0,
  exports: 0,
  submissions: 0,
} as const;

/** The errno that a call failed with. */
export async function errnoOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (reason) {
    if (reason instanceof SystemCallError && reason.family === 'errno') return reason.code;
    throw reason;
  }
  return 'no error';
}
