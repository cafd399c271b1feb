/**
 * Keeps its device, in one of several ways, until somebody takes it away:
 *
 *   open      has it open, with a dma-buf that is a memory region of the NIC
 *   stubborn  the same, and does not end at SIGTERM
 *   heir      closes it; a child in another container has the dma-buf, and a memory region of it
 */
import process from 'node:process';
import {
  allocateDevice,
  closeDescriptor,
  hlthunk_close,
  hlthunk_device_mapped_memory_export_dmabuf_fd,
  hlthunk_open,
  ibv_alloc_pd,
  ibv_open_device,
  ibv_reg_dmabuf_mr,
  onTermination,
  rankEnvironment,
  spawnProcess,
  waitProcess,
} from 'hlsim';

const BYTES = 64 * 1024;
const LONG_MS = 60_000;
const [mode] = process.argv.slice(2);

function say(line) {
  process.stdout.write(`${line}\n`);
}

async function exportMemory(device) {
  const address = await allocateDevice(device, BYTES);
  return hlthunk_device_mapped_memory_export_dmabuf_fd(device, address, BYTES, 0);
}

async function register(dmaBuf) {
  const domain = await ibv_alloc_pd(await ibv_open_device());
  const access = ['IBV_ACCESS_LOCAL_WRITE', 'IBV_ACCESS_REMOTE_READ'];
  return ibv_reg_dmabuf_mr(domain, 0, BYTES, 0, dmaBuf, access);
}

/** Until it is ended from outside. */
function stay() {
  setInterval(() => undefined, LONG_MS);
}

if (mode === 'child') {
  await register(0);
  say('the heir has a region');
  stay();
} else {
  const { localRank } = rankEnvironment();
  const device = await hlthunk_open(localRank);
  const dmaBuf = await exportMemory(device);
  if (mode === 'heir') {
    const child = await spawnProcess({
      program: new URL(import.meta.url),
      arguments: ['child'],
      fds: [dmaBuf],
      containerId: `heir-${localRank}`,
    });
    await hlthunk_close(device);
    await closeDescriptor(dmaBuf);
    say('the rank has closed everything');
    say(`the heir ended: ${JSON.stringify(await waitProcess(child, LONG_MS))}`);
    await hlthunk_close(await hlthunk_open(localRank));
    say('the device is free');
  } else {
    await register(dmaBuf);
    if (mode === 'stubborn') await onTermination(() => say('told to end, and stays'));
    say('keeping the device');
    stay();
  }
}
