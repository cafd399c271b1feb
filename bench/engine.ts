/**
 * `npm run bench:engine`: what an 8-byte all-reduce costs in HCCL and its engine, in CPU time per rank and
 * operation, and how long programs and plans take to make. Exit code 1 if it is more than the project
 * promises. `--files` adds the source files that the time went to.
 */
import process from 'node:process';
import { wallClock } from '../common/clock.ts';
import { HOSTS, measureEngine, type RoundCost } from './engine-cost.ts';
import { measurePlanning, medianOf, type PlanningCost, RANKS } from './planning-cost.ts';

/** What the project promises: microseconds of CPU per rank and operation, outside what lies below. */
const ENGINE_US_MAX = 20;
/** And to build and lower any algorithm. */
const LOWERING_MS_MAX = 5;
const ROUNDS = 7;
const OPERATIONS_PER_ROUND = 2048;

const root = new URL('../', import.meta.url).href;
const costs = await measureEngine({ rounds: ROUNDS, operations: OPERATIONS_PER_ROUND, root });
const planning = measurePlanning(wallClock);
const engineUs = medianOf(costs.map(({ engine }) => engine));
const slowest = planning.reduce((most, one) => (one.loweringMs > most.loweringMs ? one : most));
const isCheap = engineUs < ENGINE_US_MAX;
const isQuick = slowest.loweringMs < LOWERING_MS_MAX;
const lines = [
  `8-byte all-reduce (recursive doubling), ${HOSTS} hosts in one process, provider memory, CPU per rank and operation`,
  `HCCL and engine: ${spread(costs, ({ engine }) => engine)}, ${ROUNDS} rounds of ${OPERATIONS_PER_ROUND}`,
  `everything below and around it: ${spread(costs, ({ rest }) => rest)}; garbage collection and V8: ${spread(costs, ({ unowned }) => unowned)}`,
  `expected less than ${ENGINE_US_MAX} us in HCCL and engine: ${isCheap ? 'reached' : 'NOT REACHED'}`,
  ...(process.argv.includes('--files') ? filesOf(costs) : []),
  '',
  `one rank of ${RANKS}, ${planning.length} algorithms, medians`,
  `building and lowering: median ${ms(medianOf(planning.map(({ loweringMs }) => loweringMs)))}, most ${ms(slowest.loweringMs)} (${nameOf(slowest)})`,
  `planning 1 MiB: median ${ms(medianOf(planning.map(({ planningMs }) => planningMs)))}, most ${ms(Math.max(...planning.map(({ planningMs }) => planningMs)))}`,
  `expected less than ${LOWERING_MS_MAX} ms to build and lower: ${isQuick ? 'reached' : 'NOT REACHED'}`,
];
process.stdout.write(`${lines.join('\n')}\n`);
process.exitCode = isCheap && isQuick ? 0 : 1;

function spread(rounds: readonly RoundCost[], of: (cost: RoundCost) => number): string {
  const values = rounds.map(of);
  const range = `${Math.min(...values).toFixed(1)} to ${Math.max(...values).toFixed(1)}`;
  return `median ${medianOf(values).toFixed(1)} us, range ${range}`;
}

/** Of the last round. */
function filesOf(rounds: readonly RoundCost[]): string[] {
  const files = rounds.at(-1)?.files ?? [];
  return files.map(([file, microseconds]) => `  ${microseconds.toFixed(2)} us ${file}`);
}

function ms(value: number): string {
  return `${value.toFixed(2)} ms`;
}

function nameOf({ collective, algorithm }: PlanningCost): string {
  return `${algorithm} ${collective}`;
}
