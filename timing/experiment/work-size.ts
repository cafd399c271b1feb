/**
 * How much there is to simulate, told before it is tried: memory and time stay bounded whatever is asked for.
 * Estimated from what rank 0 does; of algorithms whose ranks do different amounts, from the rank with the most of the
 * first and the last.
 */
import { BLOCKS } from '../../collectives/collective.ts';
import type { Program } from '../../collectives/program.ts';
import type { Rank, Schedule } from '../../collectives/schedule.ts';
import { HlsimError } from '../../common/errors.ts';
import { admitted, declared } from '../engine/renumbering.ts';
import { evenChunk } from '../engine/slice-sizes.ts';
import type { PredictionRequest } from '../prediction.ts';

/** Steps of all ranks whose programs have to be built, each with a message or a local move. */
export const STEPS_BUILT_MAX = 12_000_000;
/** Slices that go their way one by one: a few minutes. */
export const SLICES_SIMULATED_MAX = 150_000_000;

export interface WorkSize {
  readonly stepsBuilt: number;
  readonly slicesSimulated: number;
}

/** Remembers what it counted, as counting walks a schedule. */
export class WorkSizes {
  readonly #steps = new WeakMap<Schedule, ReadonlyMap<number, number>>();

  of(request: PredictionRequest): WorkSize {
    const { work, network, ranks, jitter } = request;
    if (!('rounds' in work)) return sizeOfPrograms(request, work);
    const { nranks } = network;
    const alike = evenChunk(work, request.counts) === undefined ? undefined : work.alike;
    const built = alike === undefined ? nranks : nranks / declared(alike, nranks).size;
    const isQuotient = alike !== undefined && ranks === 'alike' && jitter === undefined;
    const simulated = isQuotient ? nranks / admitted(alike, network).size : nranks;
    const counts = this.#countsOf(work, Math.max(built, 1));
    let [steps, slices] = [0, 0];
    for (const [count, times] of counts) {
      steps += times;
      slices += times * slicesOf(request, work, count);
    }
    return { stepsBuilt: steps * built, slicesSimulated: slices * simulated };
  }

  /** How many transfers there are of each number of chunks; some of them, where they are far too many. */
  #countsOf(schedule: Schedule, built: number): ReadonlyMap<number, number> {
    const known = this.#steps.get(schedule);
    if (known !== undefined) return known;
    const enough = (2 * STEPS_BUILT_MAX) / built;
    const [first, last] = [0, schedule.nranks - 1].map((rank) => countsAt(schedule, rank, enough));
    const found = totalOf(first) >= totalOf(last) ? first : last;
    const counts = found ?? new Map<number, number>();
    this.#steps.set(schedule, counts);
    return counts;
  }
}

/** What to tell of more than can be simulated in bounded time and memory; undefined if it can be. */
export function tooLargeError(size: WorkSize, what: string): HlsimError | undefined {
  const { stepsBuilt, slicesSimulated } = size;
  if (stepsBuilt > STEPS_BUILT_MAX) {
    return new HlsimError(
      'HLSIM_USAGE',
      `Expected at most ${STEPS_BUILT_MAX} steps to build but found ${aboutText(stepsBuilt)} in ${what}: ask for ` +
        'fewer boxes, another algorithm, or sizes that give all ranks chunks of one size, so that ranks are alike',
      { fields: { ...size } },
    );
  }
  if (slicesSimulated <= SLICES_SIMULATED_MAX) return undefined;
  return new HlsimError(
    'HLSIM_USAGE',
    `Expected at most ${SLICES_SIMULATED_MAX} slices to simulate but found ${aboutText(slicesSimulated)} in ${what}: ask ` +
      'for fewer boxes, larger slices, smaller sizes or another algorithm, and do without --exact',
    { fields: { ...size } },
  );
}

function aboutText(count: number): string {
  return `about ${Number(count.toPrecision(2))}`;
}

function countsAt(schedule: Schedule, rank: Rank, enough: number): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  let all = 0;
  for (const round of schedule.rounds(rank)) {
    for (const { src, dst, count } of round) {
      if (src !== rank && dst !== rank) continue;
      counts.set(count, (counts.get(count) ?? 0) + 1);
      all++;
    }
    if (all > enough) break;
  }
  return counts;
}

function totalOf(counts: ReadonlyMap<number, number> | undefined): number {
  let total = 0;
  for (const times of counts?.values() ?? []) total += times;
  return total;
}

function sizeOfPrograms(request: PredictionRequest, programs: readonly Program[]): WorkSize {
  let [stepsBuilt, slicesSimulated] = [0, 0];
  for (const program of programs) {
    for (const { steps } of program.channels) {
      stepsBuilt += steps.length;
      for (const { count } of steps) slicesSimulated += slicesOf(request, program, count);
    }
  }
  return { stepsBuilt, slicesSimulated };
}

/** On average: chunks of one call differ by an element at most, but for uneven counts. */
function slicesOf(
  { counts, bytesPerElement, execution }: PredictionRequest,
  shape: Schedule | Program,
  count: number,
): number {
  const elements = typeof counts === 'number' ? counts : counts.reduce((sum, one) => sum + one, 0);
  const blocks = typeof counts === 'number' ? inputBlocks(shape) : counts.length;
  const bytes = (elements * bytesPerElement * count) / blocks / Math.max(1, shape.chunks);
  return Math.max(1, Math.ceil(bytes / execution.sliceBytes));
}

/** Into how many blocks the one count of a call is cut, see `chunks.ts`. */
function inputBlocks(shape: Schedule | Program): number {
  const { collective, nranks } = shape;
  if (collective === 'allToAll' || collective === 'allToAllV') return nranks;
  return collective === 'custom' ? Math.max(1, BLOCKS[collective].inputBlocks(shape, 0)) : 1;
}
