/** What `containers.js` spawns; the first argument says which part it plays. Descriptor 0: its socket. */
import process from 'node:process';
import {
  allocateDevice,
  closeDescriptor,
  hlthunk_device_mapped_memory_export_dmabuf_fd,
  hlthunk_open,
  killProcess,
  onTermination,
  receiveMessage,
  sendMessage,
} from 'hlsim';

const LONG_MS = 30_000;
const SOCKET = 0;
const BYTES = 2 * 1024 * 1024;
const O_RDWR_CLOEXEC = 0o2000002;

const parts = {
  /** Opens the device, sends an export of its memory, and computes until it is killed. */
  async holder() {
    const fd = await hlthunk_open(0);
    const address = await allocateDevice(fd, BYTES);
    const dmabuf = await hlthunk_device_mapped_memory_export_dmabuf_fd(
      ...[fd, address, BYTES, 0, O_RDWR_CLOEXEC],
    );
    await sendMessage(SOCKET, 'a dma-buf', [dmabuf]);
    for (;;);
  },
  /** Keeps what it is sent until it is told to close it; ends when its socket does. */
  async observer(holderPid) {
    const { fds } = await receiveMessage(SOCKET, LONG_MS);
    const killed = await killProcess(Number(holderPid), 'SIGKILL').then(
      () => 'ok',
      ({ code }) => code,
    );
    await sendMessage(SOCKET, killed);
    await receiveMessage(SOCKET, LONG_MS);
    await closeDescriptor(fds[0]);
    await sendMessage(SOCKET, 'closed');
    await receiveMessage(SOCKET, LONG_MS);
  },
  async throws() {
    throw new Error('a crash');
  },
  async exits() {
    process.exit(7);
  },
  async obeys() {
    await sendMessage(SOCKET, 'ready');
    await receiveMessage(SOCKET, LONG_MS);
  },
  async refuses() {
    await onTermination(() => process.exit(9));
    await sendMessage(SOCKET, 'ready');
    await receiveMessage(SOCKET, LONG_MS);
  },
  /** Outlives its rank, were it not ended with it. */
  async stays() {
    for (;;);
  },
};

const [role, ...rest] = process.argv.slice(2);
await parts[role](...rest);
