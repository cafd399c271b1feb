/** A thread of `npm run sim`: verifies the seeds that it is sent. */
import { parentPort } from 'node:worker_threads';
import type { SimulationOptions } from './options.ts';
import { verifySeed } from './verify-seed.ts';

const port = parentPort;
if (port === null) throw new Error('Expected to run as a worker thread');
port.on('message', (batch: readonly SimulationOptions[]) => {
  void (async () => {
    for (const options of batch) port.postMessage(await verifySeed(options));
    port.postMessage('ready');
  })();
});
port.postMessage('ready');
