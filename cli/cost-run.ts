/** What `hlsim cost` finds out: schedules priced by the cost model, and the closed form beside each. */

import type { ClosedForm } from '../collectives/algorithm-row.ts';
import { chunkTable } from '../collectives/chunks.ts';
import { type Cost, cost } from '../collectives/cost.ts';
import type { AlphaBetaGamma } from '../collectives/critical-path.ts';
import { lowerAll } from '../collectives/lower.ts';
import { countsOfProblem, problemElements } from '../collectives/problem-size.ts';
import type { Program } from '../collectives/program.ts';
import { type BuildRequest, buildSchedule, optionsOf, rowFor } from '../collectives/table.ts';
import type { Ports } from '../collectives/timed-run.ts';
import { defined } from '../common/assert.ts';
import { sizeOfSchedule } from './schedule-flags.ts';

export interface CostSettings {
  readonly model: AlphaBetaGamma;
  /** The closed form's own if absent, and `single` where there is none. */
  readonly ports: Ports | undefined;
  /** nccl-tests' size. Elements are bytes, so that any size can be priced. */
  readonly bytes: number;
}

interface PricedForm extends ClosedForm {
  readonly seconds: number;
}

/** One schedule and what it costs. */
export interface Priced {
  readonly algorithm: string;
  readonly programs: readonly Program[];
  readonly ports: Ports;
  /** At most those that were asked for: what can be dealt to the ranks. */
  readonly bytes: number;
  readonly cost: Cost;
  /** Absent if the literature has none, or none for this number of channels or these ports. */
  readonly closedForm?: PricedForm;
}

/** Prices a built-in algorithm. Throws `HLSIM_USAGE` if there is no such schedule. */
export function priceAlgorithm(request: BuildRequest, settings: CostSettings): Priced {
  const { algorithm, collective } = request;
  const schedule = buildSchedule(request);
  sizeOfSchedule(schedule);
  const form = rowFor(collective, algorithm).closedForm?.(optionsOf(request));
  const ports = settings.ports ?? form?.ports ?? 'single';
  const priced = pricePrograms(algorithm, lowerAll(schedule), { ...settings, ports });
  const isComparable = form?.ports === ports && (request.channels ?? 1) === 1;
  if (form === undefined || !isComparable) return priced;
  return {
    ...priced,
    closedForm: { ...form, seconds: priceOf(form, priced.bytes, settings.model) },
  };
}

/** Prices programs, which are proved. `multipleOf`: see `countsOfProblem`. */
export function pricePrograms(
  algorithm: string,
  programs: readonly Program[],
  { model, ports = 'single', bytes }: CostSettings,
  multipleOf = 1,
): Priced {
  const shape = defined(programs[0], 'the program of rank 0');
  const counts = countsOfProblem(shape, bytes, multipleOf);
  const found = cost(programs, chunkTable(shape, counts), { model, ports, bytesPerElement: 1 });
  return { algorithm, programs, ports, bytes: problemElements(shape, counts), cost: found };
}

function priceOf(form: ClosedForm, bytes: number, model: AlphaBetaGamma): number {
  const { alphaSeconds, betaSecondsPerByte, gammaSecondsPerByte } = model;
  return (
    form.alphas * alphaSeconds +
    form.bytes * bytes * betaSecondsPerByte +
    form.reducedBytes * bytes * gammaSecondsPerByte
  );
}
