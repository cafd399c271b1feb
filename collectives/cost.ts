/**
 * The alpha-beta-gamma cost of programs: what a message costs to start, a byte to send, and a byte
 * to reduce (Hockney, Parallel Computing 20 (1994); Thakur, Rabenseifner and Gropp 2005, section 3).
 * Who waits for whom is in `timed-run.ts`.
 *
 * α, β and γ belong to a rank: its channels share them, so more channels make nothing faster but what
 * would otherwise wait. Nothing else contends; who wants links, boxes and contention asks `timing/`.
 */
import type { ChunkTable } from './chunks.ts';
import {
  type AlphaBetaGamma,
  type CriticalStep,
  criticalSteps,
  secondsOf,
  type Work,
  workOf,
} from './critical-path.ts';
import { type Program, placeOf, reduces, type Step, sends } from './program.ts';
import { type Ports, timedRun } from './timed-run.ts';

/** What one rank does, in all. */
export interface RankCost {
  readonly steps: number;
  /** Sent to others, empty ones included. */
  readonly messages: number;
  /** Payload sent to others. */
  readonly sentBytes: number;
  readonly reducedBytes: number;
}

export interface Cost {
  /** When the last rank is done, if all start at 0. */
  readonly seconds: number;
  /** By rank. */
  readonly ranks: readonly RankCost[];
  /** Of each the largest of any rank. */
  readonly most: RankCost;
  /** The steps that decide when the last rank is done, first one first. */
  readonly criticalPath: readonly CriticalStep[];
  /** Start-ups, bytes sent and bytes reduced on that path, one after the other: `seconds` is their price. */
  readonly critical: Work;
}

export interface CostOptions {
  readonly model: AlphaBetaGamma;
  readonly bytesPerElement: number;
  /** See `ports.ts`; `single` if absent. */
  readonly ports?: Ports;
}

/** The programs of all ranks, by rank; they must be proved (`verify.ts`). */
export function cost(programs: readonly Program[], table: ChunkTable, options: CostOptions): Cost {
  const { model, bytesPerElement, ports = 'single' } = options;
  const bytesOf = (program: Program, step: Step): number =>
    stepElements(program, table, step) * bytesPerElement;
  const last = timedRun(programs, { model, ports, bytesOf });
  const ranks = programs.map((program) => rankCost(program, bytesOf));
  const most = (field: keyof RankCost): number => Math.max(0, ...ranks.map((one) => one[field]));
  return {
    seconds: secondsOf(last),
    ranks,
    most: {
      steps: most('steps'),
      messages: most('messages'),
      sentBytes: most('sentBytes'),
      reducedBytes: most('reducedBytes'),
    },
    criticalPath: criticalSteps(last),
    critical: workOf(last),
  };
}

/** Elements that this rank sends to others. Exact: what the engine puts on the wire as payload. */
export function wireElements(program: Program, table: ChunkTable): number {
  let elements = 0;
  for (const { steps } of program.channels) {
    for (const step of steps) if (sends(step.kind)) elements += stepElements(program, table, step);
  }
  return elements;
}

/** Elements that all ranks together send to each other. */
export function totalWireElements(programs: readonly Program[], table: ChunkTable): number {
  return programs.reduce((sum, program) => sum + wireElements(program, table), 0);
}

/** Elements of one step at each place it names. */
function stepElements(program: Program, table: ChunkTable, step: Step): number {
  return table.range(program.rank, placeOf(step), step.count).length;
}

function rankCost(program: Program, bytesOf: (program: Program, step: Step) => number): RankCost {
  const steps = program.channels.flatMap((channel) => channel.steps);
  const sending = steps.filter(({ kind }) => sends(kind));
  const reducing = steps.filter(({ kind }) => reduces(kind));
  const bytesIn = (some: readonly Step[]): number =>
    some.reduce((sum, step) => sum + bytesOf(program, step), 0);
  return {
    steps: steps.length,
    messages: sending.length,
    sentBytes: bytesIn(sending),
    reducedBytes: bytesIn(reducing),
  };
}
