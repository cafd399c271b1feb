/**
 * The alpha-beta-gamma cost of programs: what a message costs to start, a byte to send, and a byte
 * to reduce (Hockney, Parallel Computing 20 (1994); Thakur, Rabenseifner and Gropp 2005, section 3).
 *
 * Every channel has a sending port of its own: its sends follow each other, while it receives,
 * reduces and waits. Nothing else contends; who wants links, boxes and contention asks `timing/`.
 * Local copies are free, as in the papers.
 */
import { assert } from '../common/assert.ts';
import type { ChunkTable } from './chunks.ts';
import { interpret, type StepAddress } from './interpret.ts';
import { type Program, placeOf, reduces, type Step, sends } from './program.ts';

export interface AlphaBetaGamma {
  readonly alphaSeconds: number;
  readonly betaSecondsPerByte: number;
  readonly gammaSecondsPerByte: number;
}

export interface Cost {
  /** When the last rank is done, if all start at 0. */
  readonly seconds: number;
  /** Steps of the longest program. */
  readonly steps: number;
  /** Payload that all ranks together send to others. */
  readonly wireElements: number;
  /** Additions of all ranks together. */
  readonly reducedElements: number;
}

export interface CostOptions {
  readonly model: AlphaBetaGamma;
  readonly bytesPerElement: number;
}

export function cost(programs: readonly Program[], table: ChunkTable, options: CostOptions): Cost {
  const total = (count: (program: Program, table: ChunkTable) => number): number =>
    programs.reduce((sum, program) => sum + count(program, table), 0);
  return {
    seconds: criticalPath(programs, table, options),
    steps: Math.max(0, ...programs.map(stepCount)),
    wireElements: total(wireElements),
    reducedElements: total(reducedElements),
  };
}

/** Elements that this rank sends to others. Exact: what the engine puts on the wire as payload. */
export function wireElements(program: Program, table: ChunkTable): number {
  return elementsOf(program, table, ({ kind }) => sends(kind));
}

/** Elements that all ranks together send to each other. */
export function totalWireElements(programs: readonly Program[], table: ChunkTable): number {
  return programs.reduce((sum, program) => sum + wireElements(program, table), 0);
}

/** Elements that this rank adds to others. */
export function reducedElements(program: Program, table: ChunkTable): number {
  return elementsOf(program, table, ({ kind }) => reduces(kind));
}

export function stepCount(program: Program): number {
  return program.channels.reduce((sum, { steps }) => sum + steps.length, 0);
}

/** Elements of one step at each place it names. */
export function stepElements(program: Program, table: ChunkTable, step: Step): number {
  return table.range(program.rank, placeOf(step), step.count).length;
}

function elementsOf(program: Program, table: ChunkTable, counts: (step: Step) => boolean): number {
  let elements = 0;
  for (const { steps } of program.channels) {
    for (const step of steps) if (counts(step)) elements += stepElements(program, table, step);
  }
  return elements;
}

/** When a channel may begin its next step, when its port is free, and when its steps ended. */
interface ChannelClock {
  now: number;
  portFree: number;
  readonly ended: number[];
}

function criticalPath(
  programs: readonly Program[],
  table: ChunkTable,
  { model, bytesPerElement }: CostOptions,
): number {
  const clocks: ChannelClock[][] = programs.map(({ channels }) =>
    channels.map(() => ({ now: 0, portFree: 0, ended: [] })),
  );
  const clockOf = (rank: number, channel: number): ChannelClock =>
    clocks[rank]?.[channel] as ChannelClock;
  const visit = (at: StepAddress, step: Step, arrival: number | undefined): number | undefined => {
    const clock = clockOf(at.rank, at.channel);
    const bytes = stepElements(programs[at.rank] as Program, table, step) * bytesPerElement;
    const waits = step.depends.map((ref) => clockOf(at.rank, ref.channel).ended[ref.step] ?? 0);
    clock.now = Math.max(clock.now, arrival ?? 0, ...waits);
    if (reduces(step.kind)) clock.now += bytes * model.gammaSecondsPerByte;
    clock.ended.push(clock.now);
    if (!sends(step.kind)) return undefined;
    const begin = Math.max(clock.now, clock.portFree);
    clock.portFree = begin + model.alphaSeconds + bytes * model.betaSecondsPerByte;
    clock.ended[at.step] = clock.portFree;
    return clock.portFree;
  };
  const blocked = interpret<number>(programs, visit);
  assert(blocked.length === 0, `Expected programs that end but ${blocked.length} channels wait`);
  return Math.max(0, ...clocks.flat().map(({ now, portFree }) => Math.max(now, portFree)));
}
