/**
 * Entry of a user program's worker thread: sets up the process's view of itself, makes
 * `import 'hlsim'` find this package wherever the program lies, and loads the program.
 */
import { register } from 'node:module';
import { pathToFileURL } from 'node:url';
import { type MessagePort, workerData } from 'node:worker_threads';
import { programChannel } from './hccl/program/program-channel.ts';
import { setCurrentProcess } from './process/current-process.ts';
import { portChannel } from './process/worker-channel.ts';
import { programMachine } from './program-machine.ts';
import type { UserWorkerData } from './worker-launcher.ts';

const { programUrl, memory, deviceMemories, port } = workerData as UserWorkerData & {
  readonly port: MessagePort;
};

const channel = programChannel(portChannel(port), programMachine(deviceMemories));
setCurrentProcess({ channel, memory });
const packageRoot = new URL('../../', import.meta.url).href;
if (!programUrl.startsWith(packageRoot)) registerPackageName();
process.argv[1] = new URL(programUrl).pathname;
await import(programUrl);

/** A program outside the package gets the running hlsim under its name, installed there or not. */
function registerPackageName(): void {
  const targets = {
    hlsim: new URL('./library.js', import.meta.url).href,
    'hlsim/collectives': new URL('../collectives/library.js', import.meta.url).href,
  };
  const hook = `
    const targets = ${JSON.stringify(targets)};
    export async function resolve(specifier, context, next) {
      const url = Object.hasOwn(targets, specifier) ? targets[specifier] : undefined;
      return url === undefined ? next(specifier, context) : { url, shortCircuit: true };
    }`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`, pathToFileURL('./'));
}
