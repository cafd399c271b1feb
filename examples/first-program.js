/** Every rank fills a tensor in its device's memory; hcclAllReduce adds the tensors up. */
import process from 'node:process';
import {
  allocateDevice,
  hcclAllReduce,
  hcclFloat32,
  hcclSum,
  hlthunk_command_submission,
  hlthunk_host_memory_map,
  hlthunk_wait_for_cs,
  hostMemoryAlloc,
  initWorld,
  synStreamSynchronize,
} from 'hlsim';

const COUNT = 1024;
const BYTES = COUNT * Float32Array.BYTES_PER_ELEMENT;

// This rank's device, and a communicator of all ranks.
const { rank, worldSize, fd, comm } = await initWorld();

// HBM of the device, and memory of this process that the device's DMA engine can reach.
const tensor = await allocateDevice(fd, BYTES);
const host = hostMemoryAlloc(BYTES);
const staging = await hlthunk_host_memory_map(fd, host.address, BYTES);
const values = new Float32Array(host.bytes.buffer, host.bytes.byteOffset, COUNT);

values.fill(rank + 1);
await copy(staging, tensor);
await hcclAllReduce(tensor, tensor, COUNT, hcclFloat32, hcclSum, comm);
await synStreamSynchronize();
await copy(tensor, staging);

process.stdout.write(`${COUNT} x ${rank + 1} became ${values[0]} on ${worldSize} ranks\n`);

async function copy(source, destination) {
  const jobs = [{ kind: 'dma', source, destination, bytes: BYTES }];
  const sequence = await hlthunk_command_submission(fd, jobs);
  const status = await hlthunk_wait_for_cs(fd, sequence, 1_000_000);
  if (status !== 'COMPLETED') throw new Error(`The copy is ${status}`);
}
