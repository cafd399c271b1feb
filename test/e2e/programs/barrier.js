/** All ranks meet once. */
import process from 'node:process';
import { jobBarrier } from 'hlsim';

await jobBarrier();
process.stdout.write('met\n');
