/**
 * One process per host drives both its devices, by two functions that know nothing of each other: one is
 * always later than the other. An all-to-all on the same stream comes before each all-reduce.
 */
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  allocateDevice,
  hcclAllReduce,
  hcclAlltoAll,
  hcclCommDestroy,
  hcclCommInitRank,
  hcclFloat32,
  hcclGetUniqueId,
  hcclSum,
  hlthunk_open,
  rankEnvironment,
  storeGet,
  storeSet,
  synStreamCreate,
  synStreamSynchronize,
} from 'hlsim';

const COUNT = 64 * 1024;
const TURNS = 5;
const { rank, worldSize, localRank } = rankEnvironment();

async function drive(device, uniqueId) {
  const fd = await hlthunk_open(device);
  const comm = await hcclCommInitRank(fd, worldSize, uniqueId, rank + device);
  const stream = await synStreamCreate();
  const [send, recv] = [await allocateDevice(fd, COUNT * 4), await allocateDevice(fd, COUNT * 4)];
  for (let turn = 0; turn < TURNS; turn++) {
    if (device === 1) await sleep(10);
    await hcclAlltoAll(send, recv, COUNT, hcclFloat32, comm, stream);
    await hcclAllReduce(recv, recv, COUNT, hcclFloat32, hcclSum, comm, stream);
    await synStreamSynchronize(stream);
  }
  await hcclCommDestroy(comm);
}

// The other rank of the host is only there so that the host has two devices.
if (localRank === 0) {
  if (rank === 0) await storeSet('id', await hcclGetUniqueId());
  const uniqueId = await storeGet('id');
  await Promise.all([drive(0, uniqueId), drive(1, uniqueId)]);
  process.stdout.write('both have come to the end\n');
}
