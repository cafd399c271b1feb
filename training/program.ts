/**
 * The training as every rank runs it (`builtin:train`): an ordinary user program. A rank that fails
 * frees nothing itself: its process ends, and the kernel closes what it held.
 */
import * as hlsim from 'hlsim';
import { wallClock } from '../common/clock.ts';
import { loadDigits, splitDigits } from './digits.ts';
import { readTrainOptions } from './options.ts';
import { Trainer } from './trainer.ts';

const options = readTrainOptions(process.argv[2]);
const world = await hlsim.initWorld();
const trainer = await Trainer.start({
  library: hlsim,
  world,
  digits: splitDigits(loadDigits(), options.seed),
  options,
  clock: wallClock,
});
for (let epoch = 0; epoch < options.epochs; epoch++) {
  const report = await trainer.runEpoch();
  if (world.rank === 0) await hlsim.reportResult({ ...report });
}
await hlsim.reportResult({ ...(await trainer.finish()) });
await trainer.close();
await hlsim.hcclCommDestroy(world.comm);
await hlsim.hlthunk_close(world.fd);
