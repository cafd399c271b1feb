/** Open devices and jobs for the device suites. */
import { MiB } from '../../common/bytes.ts';
import * as hlthunk from '../../node/device/hlthunk.ts';
import type { Job } from '../../node/device/job.ts';
import type { SystemCallValue } from '../../node/process/system-call.ts';
import { DeviceBench, mappedMemory } from '../node/device/device-bench.ts';

export async function opened(bytes: number = 4 * MiB, deviceCount = 1) {
  const bench = new DeviceBench(deviceCount, bytes);
  const user = bench.start();
  const { process, channel } = user;
  const fd = await hlthunk.hlthunk_open(channel, 0);
  const alloc = async (size: number, contiguous = true) => {
    const { hlthunk_device_memory_alloc } = hlthunk;
    return hlthunk_device_memory_alloc(channel, fd, size, 0, contiguous);
  };
  const map = (handle: number, hint = 0) =>
    hlthunk.hlthunk_device_memory_map(channel, fd, handle, hint);
  const submit = (...jobs: Job[]) => hlthunk.hlthunk_command_submission(channel, fd, jobs);
  const wait = (sequence: number, timeoutUs = 1_000_000) =>
    bench.run(hlthunk.hlthunk_wait_for_cs(channel, fd, sequence, timeoutUs));
  return { bench, user, process, channel, fd, alloc, map, submit, wait };
}

export function dma(source: number, destination: number, bytes: number): Job {
  return { kind: 'dma', source, destination, bytes };
}

export function fill(address: number, value: number, bytes = 64): Job {
  return { kind: 'kernel', kernel: 'fill_f32', tensors: [{ address, bytes }], scalars: [value] };
}

const PAGE = 65536;
const EXPORT = 'HL_MEM_OP_EXPORT_DMABUF_FD';

type BenchOptions = ConstructorParameters<typeof DeviceBench>[2];

/** A user with four pages of mapped memory on a device of sixteen. */
export async function mappedWorld(options: BenchOptions = {}) {
  const bench = new DeviceBench(1, 16 * PAGE, options);
  const user = bench.start();
  const { process, channel } = user;
  const { fd, handle, address } =
    options.asic === 'gaudi1'
      ? { fd: await hlthunk.hlthunk_open(channel, 0), handle: 0, address: 0 }
      : await mappedMemory(user, 4 * PAGE);
  const ioctl = (request: string, argument: SystemCallValue) =>
    channel.call('ioctl', { fd, request, argument });
  const memory = (argument: SystemCallValue) => ioctl('HL_IOCTL_MEMORY', argument);
  const exported = (at: number, size: number, offset = 0, flags = 0o2000002) =>
    memory({ op: EXPORT, address: at, size, offset, flags });
  const alloc = (size: number, pageSize = 0) =>
    hlthunk.hlthunk_device_memory_alloc(channel, fd, size, pageSize);
  const map = (of: number) => hlthunk.hlthunk_device_memory_map(channel, fd, of);
  const submit = (...jobs: Job[]) => hlthunk.hlthunk_command_submission(channel, fd, jobs);
  const wait = (sequence: number, timeoutUs = 1000) =>
    hlthunk.hlthunk_wait_for_cs(channel, fd, sequence, timeoutUs);
  return {
    ...{ bench, user, process, channel, fd, handle, address, ioctl, memory, exported },
    ...{ alloc, map, submit, wait },
  };
}

/** The administrator writes to the device's hard_reset. */
export async function resetDevice(bench: DeviceBench, privileged = true): Promise<void> {
  const { channel } = bench.start('admin', privileged);
  const control = await hlthunk.hlthunk_open_control(channel, 0);
  await hlthunk.hlthunk_device_reset(channel, control);
}

/** From now on the device takes an hour for every job. */
export function stall(bench: DeviceBench): void {
  bench.scheduler.soon = (task) => void bench.scheduler.after(3_600_000, task);
}
