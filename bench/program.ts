/**
 * A sweep as every rank runs it (`builtin:bench`): an ordinary user program. A rank that fails frees
 * nothing itself: its process ends, and the kernel closes what it held.
 */
import * as hlsim from 'hlsim';
import { wallClock } from '../common/clock.ts';
import { RankDevice } from '../training/rank-device.ts';
import { allocateBuffers, DIGEST_BYTES } from './buffers.ts';
import { measureSize } from './measure.ts';
import { expectOperands } from './operand-jobs.ts';
import { readBenchOptions } from './options.ts';
import { applyChoice, loadSchedule } from './preparation.ts';
import { benchSizes } from './sizes.ts';

const options = readBenchOptions(process.argv[2]);
const world = await hlsim.initWorld();
await applyChoice(hlsim, world.comm, options);
await loadSchedule(hlsim, world.comm, options);
const sizes = benchSizes(options, world.worldSize);
expectOperands(sizes, world.worldSize);
const device = await RankDevice.open(hlsim, world.fd, DIGEST_BYTES);
const { rank, worldSize: nranks } = world;
const { collective, root } = options;
const buffers = await allocateBuffers(hlsim, world.fd, device, {
  ...{ sizes, rank, nranks, collective, root },
});
const init = { library: hlsim, world, device, buffers, options, clock: wallClock };
for (const [index, size] of sizes.entries()) {
  const report = await measureSize(init, size, index);
  const links = index === 0 ? await hlsim.hcclCommGetLinks(world.comm) : undefined;
  await hlsim.reportResult({ ...report, ...(links && { links }) });
}
await device.close();
await hlsim.hcclCommDestroy(world.comm);
await hlsim.hlthunk_close(world.fd);
