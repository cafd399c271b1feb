/** A rank of `npm run bench:overlap`, as `hlsim run` starts it: prints its report as one line of JSON. */
import process from 'node:process';
import * as hlsim from 'hlsim';
import { wallClock } from '../../common/clock.ts';
import { readOverlapOptions } from './options.ts';
import { OverlapRank } from './rank.ts';

const options = readOverlapOptions(process.argv[2]);
const world = await hlsim.initWorld();
const rank = await OverlapRank.open({ library: hlsim, world, options, clock: wallClock });
process.stdout.write(`${JSON.stringify(await rank.measure())}\n`);
await rank.close();
await hlsim.hcclCommDestroy(world.comm);
await hlsim.hlthunk_close(world.fd);
