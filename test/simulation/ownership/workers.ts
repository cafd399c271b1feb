/** Spreads seeds over the machine's cores. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { SimulationOptions } from './options.ts';
import type { SeedReport } from './verify-seed.ts';

const SEEDS_PER_BATCH = 10;

/** Runs `next` batches until there is none; resolves when every thread has ended. */
export async function verifyInThreads(
  seeds: Iterator<SimulationOptions>,
  limit: number,
  onReport: (report: SeedReport) => 'go on' | 'stop',
): Promise<void> {
  const count = Math.max(1, Math.min(availableParallelism(), Math.ceil(limit / SEEDS_PER_BATCH)));
  let state: 'running' | 'stopped' = 'running';
  const nextBatch = (): SimulationOptions[] => {
    const batch: SimulationOptions[] = [];
    while (state === 'running' && batch.length < SEEDS_PER_BATCH) {
      const { done, value } = seeds.next();
      if (done === true) break;
      batch.push(value);
    }
    return batch;
  };
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL(`./worker${extension()}`, import.meta.url));
      worker.on('message', (message: SeedReport | 'ready') => {
        if (message !== 'ready') {
          if (onReport(message) === 'stop') state = 'stopped';
          return;
        }
        const batch = nextBatch();
        if (batch.length > 0) worker.postMessage(batch);
        else void worker.terminate();
      });
      worker.on('error', reject);
      worker.on('exit', () => resolve());
    });
  await Promise.all(Array.from({ length: count }, one));
}

/** That of this file: it runs as it was built. */
function extension(): string {
  return import.meta.url.endsWith('.ts') ? '.ts' : '.js';
}
