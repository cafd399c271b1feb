/** Sends itself a signal; the argument says which. */
import process from 'node:process';
import { getpid, killProcess } from 'hlsim';

await killProcess(await getpid(), process.argv[2]);
process.stdout.write('still here\n');
