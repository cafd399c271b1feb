/**
 * `npm run bench:verbs`: the rate of small RDMA writes on the wall clock, its median and its range over
 * several rounds. One thread. Exit code 1 if it is less than the project promises.
 */
import process from 'node:process';
import { defined } from '../common/assert.ts';
import { wallScheduler } from '../common/scheduler.ts';
import { BATCH, measureWrites, WRITE_BYTES } from './verbs-writes.ts';

/** What the project promises, in writes per second. */
const WRITES_PER_SECOND_MIN = 300_000;
const ROUNDS = 9;
const WRITES_PER_ROUND = 3_200 * BATCH;

const rates = await measureWrites({
  scheduler: wallScheduler,
  rounds: ROUNDS,
  writes: WRITES_PER_ROUND,
});
const sorted = rates.sort((a, b) => a - b);
const median = defined(sorted[Math.floor(ROUNDS / 2)], 'the middle round');
const isReached = median >= WRITES_PER_SECOND_MIN;
const lines = [
  `${WRITE_BYTES}-byte RDMA writes, loopback, provider memory, ${BATCH} per doorbell, one thread`,
  `median ${format(median)} writes/s, range ${format(sorted[0])} to ${format(sorted.at(-1))}, ${ROUNDS} rounds`,
  `expected at least ${format(WRITES_PER_SECOND_MIN)}: ${isReached ? 'reached' : 'NOT REACHED'}`,
];
process.stdout.write(`${lines.join('\n')}\n`);
process.exitCode = isReached ? 0 : 1;

function format(rate: number | undefined): string {
  return Math.round(rate ?? 0).toLocaleString('en-US');
}
