/** A host with Gaudis and user processes, in one thread and in virtual time, for the device tests. */
import { MiB } from '../../../common/bytes.ts';
import { VirtualScheduler } from '../../../common/scheduler.ts';
import { createDevice, type GaudiDevice, registerDevice } from '../../../node/device/device.ts';
import { registerDescriptorCalls } from '../../../node/process/descriptor-calls.ts';
import { SimProcess } from '../../../node/process/sim-process.ts';
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
  readonly devices: readonly GaudiDevice[];
  #lastPid = 0;

  constructor(deviceCount = 1, hbmBytes: number = 4 * MiB) {
    const nodes = registerDescriptorCalls(this.table);
    this.devices = Array.from({ length: deviceCount }, (_, index) => {
      const device = createDevice({ index, hbmBytes, scheduler: this.scheduler });
      registerDevice(nodes, device);
      return device;
    });
  }

  start(): BenchProcess {
    const process = new SimProcess({
      pid: ++this.#lastPid,
      containerId: 'c0',
      memory: new SharedArrayBuffer(PROCESS_MEMORY_BYTES),
    });
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
