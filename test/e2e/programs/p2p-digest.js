/** Prints a digest of what an all-reduce and a reduce-scatter make of operands that are not exact in sums. */
import { createHash } from 'node:crypto';
import process from 'node:process';
import {
  allocateDevice,
  hcclAllReduce,
  hcclCommSetChoice,
  hcclFloat32,
  hcclReduceScatter,
  hcclSum,
  hlthunk_command_submission,
  hlthunk_host_memory_map,
  hlthunk_wait_for_cs,
  hostMemoryAlloc,
  initWorld,
  synStreamSynchronize,
} from 'hlsim';

const COUNT = 30_030;
const BYTES = COUNT * 4;
const { rank, worldSize, fd, comm } = await initWorld();
const [send, recv] = [await allocateDevice(fd, BYTES), await allocateDevice(fd, BYTES)];
const host = hostMemoryAlloc(BYTES);
const staging = await hlthunk_host_memory_map(fd, host.address, BYTES);
const values = new Float32Array(host.bytes.buffer, host.bytes.byteOffset, COUNT);
const hash = createHash('sha256');
await hcclCommSetChoice(comm, { algorithm: 'direct' });
for (let call = 0; call < 2; call++) {
  for (let index = 0; index < COUNT; index++) values[index] = Math.sin(index * (rank + 1)) / 3;
  await copy(staging, send);
  if (call === 0) await hcclAllReduce(send, recv, COUNT, hcclFloat32, hcclSum, comm);
  else await hcclReduceScatter(send, recv, COUNT / worldSize, hcclFloat32, hcclSum, comm);
  await synStreamSynchronize();
  await copy(recv, staging);
  hash.update(host.bytes.slice(0, call === 0 ? BYTES : BYTES / worldSize));
}
process.stdout.write(`digest ${hash.digest('hex')}\n`);

async function copy(source, destination) {
  const jobs = [{ kind: 'dma', source, destination, bytes: BYTES }];
  const sequence = await hlthunk_command_submission(fd, jobs);
  const status = await hlthunk_wait_for_cs(fd, sequence, 1_000_000);
  if (status !== 'COMPLETED') throw new Error(`The copy is ${status}`);
}
