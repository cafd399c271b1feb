/**
 * Reduces until something breaks, which ends it with the error's message. Arguments: what rank 1 does at its
 * 20th call: `stay` (nothing), `leave`, `abort`, `other` (another collective).
 */
import process from 'node:process';
import {
  allocateDevice,
  hcclAllGather,
  hcclAllReduce,
  hcclCommAbort,
  hcclFloat32,
  hcclSum,
  initWorld,
  jobBarrier,
  synStreamSynchronize,
} from 'hlsim';

const COUNT = 256 * 1024;
const [what] = process.argv.slice(2);
const { rank, worldSize, fd, comm } = await initWorld();
const buffer = await allocateDevice(fd, worldSize * COUNT * 4);
await jobBarrier();
try {
  for (let iteration = 0; ; iteration++) {
    const isOdd = rank === 1 && iteration === 20;
    if (isOdd && what === 'leave') break;
    if (isOdd && what === 'other')
      await hcclAllGather(buffer + rank * COUNT * 4, buffer, COUNT, hcclFloat32, comm);
    else await hcclAllReduce(buffer, buffer, COUNT, hcclFloat32, hcclSum, comm);
    if (isOdd && what === 'abort') {
      await hcclCommAbort(comm);
      break;
    }
    await synStreamSynchronize();
    if (iteration === 0) process.stdout.write(`reducing in ${process.pid}\n`);
  }
} catch (reason) {
  process.stdout.write(`failed at ${Date.now()}: ${reason.message.replaceAll('\n', ' ')}\n`);
}
