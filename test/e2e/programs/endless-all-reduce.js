/** All-reduces until something breaks, which ends it with the error's message. Argument: elements. */
import process from 'node:process';
import {
  allocateDevice,
  hcclAllReduce,
  hcclFloat32,
  hcclSum,
  initWorld,
  jobBarrier,
  synStreamSynchronize,
} from 'hlsim';

const count = Number(process.argv[2] ?? 1024 * 1024);
const { fd, comm } = await initWorld();
const buffer = await allocateDevice(fd, count * 4);
await jobBarrier();
try {
  for (let iteration = 0; ; iteration++) {
    await hcclAllReduce(buffer, buffer, count, hcclFloat32, hcclSum, comm);
    await synStreamSynchronize();
    if (iteration === 0) process.stdout.write(`reducing in ${process.pid}\n`);
  }
} catch (reason) {
  process.stdout.write(`failed at ${Date.now()}: ${reason.message.replaceAll('\n', ' ')}\n`);
  process.exitCode = 1;
}
