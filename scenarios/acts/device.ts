/** Acts on a device and its memory. */
import * as hlsim from 'hlsim';
import { wallClock } from '../../common/clock.ts';
import { nameOf, sleep } from './pause.ts';
import { printable } from './text.ts';

/** Longest wait for a submission, in microseconds. */
export const SUBMISSION_TIMEOUT_US = 10_000_000;

export const DEVICE_ACTS = {
  ready: async () => undefined,

  open: (device: number) => hlsim.hlthunk_open(device),

  openControl: (device: number) => hlsim.hlthunk_open_control(device),

  async status(device: number) {
    const fd = await hlsim.hlthunk_open_control(device);
    try {
      return (await hlsim.hlthunk_get_device_status_info(fd)).status;
    } finally {
      await hlsim.hlthunk_close(fd);
    }
  },

  close: (fd: number) => hlsim.hlthunk_close(fd),

  dup: (fd: number) => hlsim.dup(fd),

  /** Device memory, mapped: its device address. */
  allocate: (fd: number, bytes: number) => hlsim.allocateDevice(fd, bytes),

  free: (fd: number, address: number) => hlsim.freeDevice(fd, address),

  /** Puts `text` into device memory, through the DMA engine. */
  async write(fd: number, address: number, text: string) {
    const staging = hlsim.hostMemoryAlloc(text.length);
    staging.bytes.set(new TextEncoder().encode(text));
    await dma(fd, staging.address, address, text.length, 'toDevice');
  },

  /** Text of `length` bytes of device memory; bytes that are no text show as dots. */
  async read(fd: number, address: number, length: number) {
    const staging = hlsim.hostMemoryAlloc(length);
    await dma(fd, staging.address, address, length, 'fromDevice');
    return printable(staging.bytes);
  },

  /** How a copy inside the device ends: `COMPLETED`, `ABORTED`, ... */
  async copy(fd: number, source: number, destination: number, bytes: number) {
    const sequence = await hlsim.hlthunk_command_submission(fd, [
      { kind: 'dma', source, destination, bytes },
    ]);
    return hlsim.hlthunk_wait_for_cs(fd, sequence, SUBMISSION_TIMEOUT_US);
  },

  exportDmaBuf: (fd: number, address: number, bytes: number) =>
    hlsim.hlthunk_device_mapped_memory_export_dmabuf_fd(fd, address, bytes),

  /** References of the file, as /proc/PID/fdinfo shows them for a dma-buf. */
  references: async (fd: number) => Number((await hlsim.fdinfo(fd))['count']),

  /** Opens a device, again and again while the answer is EAGAIN or EBUSY, for ten seconds. */
  async openPatiently(device: number) {
    for (let trial = 0; trial < 200; trial++) {
      const code = await nameOf(hlsim.hlthunk_open(device).then((fd) => hlsim.hlthunk_close(fd)));
      if (code === 'ok') return 'opened, and closed again';
      if (code !== 'EAGAIN' && code !== 'EBUSY') break;
      await sleep(50);
    }
    return hlsim.hlthunk_open(device);
  },

  /** Closes, and opens again until it is let in: the errors until then. */
  async closeAndReopen(fd: number) {
    const closing = hlsim.hlthunk_close(fd);
    const codes: string[] = [];
    for (let trial = 0; trial < 100_000; trial++) {
      const code = await nameOf(hlsim.hlthunk_open(0));
      if (code === 'ok') break;
      codes.push(code);
    }
    await closing;
    return codes;
  },

  /** Milliseconds that the close took. */
  async timedClose(fd: number) {
    const start = wallClock.now();
    await hlsim.hlthunk_close(fd);
    return Math.round(wallClock.now() - start);
  },

  /** Gives the device a dma-buf: its device address. */
  importDmaBuf: (fd: number, dmabufFd: number, bytes: number) =>
    hlsim.hlthunk_import_dmabuf_fd(fd, dmabufFd, bytes),

  sleep: (milliseconds: number) => sleep(milliseconds),
} as const;

async function dma(
  fd: number,
  host: number,
  device: number,
  bytes: number,
  direction: 'toDevice' | 'fromDevice',
): Promise<void> {
  const mapped = await hlsim.hlthunk_host_memory_map(fd, host, bytes);
  try {
    const [source, destination] = direction === 'toDevice' ? [mapped, device] : [device, mapped];
    const sequence = await hlsim.hlthunk_command_submission(fd, [
      { kind: 'dma', source, destination, bytes },
    ]);
    const status = await hlsim.hlthunk_wait_for_cs(fd, sequence, SUBMISSION_TIMEOUT_US);
    if (status !== 'COMPLETED')
      throw new Error(`Expected the copy to complete but found ${status}`);
  } finally {
    await hlsim.hlthunk_memory_unmap(fd, mapped);
  }
}
