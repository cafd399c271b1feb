/** Rank 1 computes for two seconds between its call and its synchronise; the others are done, and leave. */
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  allocateDevice,
  hcclAllReduce,
  hcclFloat32,
  hcclSum,
  initWorld,
  synStreamSynchronize,
} from 'hlsim';

const COUNT = 8;
const BUSY_RANK = 1;
const BUSY_MS = 2_000;

const { rank, fd, comm } = await initWorld();
const buffer = await allocateDevice(fd, COUNT * 4);
for (let call = 0; call < 2; call++) {
  await hcclAllReduce(buffer, buffer, COUNT, hcclFloat32, hcclSum, comm);
  if (rank === BUSY_RANK && call === 1) {
    // So that the call has begun, without an end.
    await sleep(2);
    const end = Date.now() + BUSY_MS;
    while (Date.now() < end);
  }
  await synStreamSynchronize();
}
process.stdout.write('done\n');
