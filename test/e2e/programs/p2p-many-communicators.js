/** Opens and destroys communicators one after the other; prints the host's open descriptors. Argument: how many. */
import { readdirSync } from 'node:fs';
import process from 'node:process';
import {
  allocateDevice,
  freeDevice,
  hcclAllReduce,
  hcclCommDestroy,
  hcclCommInitRank,
  hcclFloat32,
  hcclGetUniqueId,
  hcclSum,
  initWorld,
  jobBarrier,
  storeGet,
  storeSet,
  synStreamSynchronize,
} from 'hlsim';

const COUNT = 16 * 1024;
const total = Number(process.argv[2]);
const world = await initWorld();
const counts = [];
for (let index = 0; index < total; index++) {
  const { fd, comm } = await reopen(index);
  const buffer = await allocateDevice(fd, COUNT * 4);
  await hcclAllReduce(buffer, buffer, COUNT, hcclFloat32, hcclSum, comm);
  await hcclAllReduce(buffer, buffer, 8, hcclFloat32, hcclSum, comm);
  await synStreamSynchronize();
  await hcclCommDestroy(comm);
  await freeDevice(fd, buffer);
  if (index % 20 === 19) counts.push(await descriptors());
}
process.stdout.write(`descriptors ${counts.join(' ')}\n`);

/** The first is that of `initWorld`; the others are made on the same device. */
async function reopen(index) {
  if (index === 0) return world;
  const { fd, rank, worldSize } = world;
  if (rank === 0) await storeSet(`id ${index}`, await hcclGetUniqueId());
  const comm = await hcclCommInitRank(fd, worldSize, await storeGet(`id ${index}`), rank);
  return { fd, comm };
}

async function descriptors() {
  await jobBarrier();
  return readdirSync('/proc/self/fd').length;
}
