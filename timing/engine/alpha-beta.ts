/**
 * The `alphaBeta` model: `collectives/cost.ts`, which is the model of the papers, with the network's numbers. Alpha
 * is the largest latency and 1/beta the smallest rate of all ways that messages take, 1/gamma the smallest
 * rate at which a card reduces; slices and slots have no part in it.
 */

import { type ChunkTable, chunkTable } from '../../collectives/chunks.ts';
import { type Cost, cost } from '../../collectives/cost.ts';
import type { AlphaBetaGamma, CriticalStep } from '../../collectives/critical-path.ts';
import { lowerAll } from '../../collectives/lower.ts';
import { type Program, placeOf, reduces, type Step } from '../../collectives/program.ts';
import { optionsOf, rowFor } from '../../collectives/table.ts';
import { assert } from '../../common/assert.ts';
import { HlsimError } from '../../common/errors.ts';
import type { Predicted, PredictionRequest, Span } from '../prediction.ts';
import { linkUses } from './link-uses.ts';
import type { Plan } from './plan.ts';
import { isSchedule, planOfRequest, tooManySteps } from './prepare.ts';

/** Steps of all ranks at most: a limit of memory. */
const STEPS_MAX = 2 ** 21;

export function predictAlphaBeta(request: PredictionRequest): Predicted {
  const { work, counts, bytesPerElement, explain = false, record, progress } = request;
  if (request.jitter !== undefined) {
    throw new HlsimError(
      'HLSIM_USAGE',
      'Expected no jitter with the alpha-beta model but found it',
      {
        fields: { model: request.model },
      },
    );
  }
  const plan = planOfRequest(request);
  if (isSchedule(work) && stepsOf(plan) > STEPS_MAX) throw tooManySteps(work);
  const model = modelOf(plan);
  const programs = isSchedule(work) ? lowerAll(work) : work;
  const first = programs[0];
  assert(first !== undefined, 'Expected programs but found none');
  const table = chunkTable(first, counts);
  const ports = portsOf(request);
  const result = cost(programs, table, { model, bytesPerElement, ports });
  const path =
    explain || record !== undefined
      ? spansOf(result, { programs, table, bytesPerElement, model })
      : [];
  if (record !== undefined) for (const span of path) record(span);
  progress?.(1);
  return {
    kind: 'predicted',
    seconds: result.seconds,
    simulatedRanks: plan.network.nranks,
    messages: result.ranks.reduce((sum, { messages }) => sum + messages, 0),
    linkUses: linkUses(plan, result.seconds),
    ...(explain ? { path } : {}),
  };
}

/** Steps of all ranks. */
function stepsOf({ templates, instances }: Plan): number {
  let steps = 0;
  for (const number of instances.template) {
    const template = templates.templates[number];
    steps += template === undefined ? 0 : template.endStep - template.firstStep;
  }
  return steps;
}

function modelOf({ connections, hops, instances }: Plan): AlphaBetaGamma {
  let [alphaSeconds, betaSecondsPerByte] = [0, 0];
  for (let connection = 0; connection < connections.count; connection++) {
    let latency = 0;
    const end = connections.firstHop[connection + 1] as number;
    for (let hop = connections.firstHop[connection] as number; hop < end; hop++) {
      latency += hops.latencySeconds[hop] as number;
      betaSecondsPerByte = Math.max(betaSecondsPerByte, 1 / (hops.bytesPerSecond[hop] as number));
    }
    alphaSeconds = Math.max(alphaSeconds, latency);
  }
  const slowest = instances.reduceBytesPerSecond.reduce((least, rate) => Math.min(least, rate));
  return { alphaSeconds, betaSecondsPerByte, gammaSecondsPerByte: 1 / slowest };
}

/** The ports that the closed form of the algorithm is for; `single`, as in the papers, where there is none. */
function portsOf({ work, network: { topology } }: PredictionRequest): 'single' | 'full' {
  if (!isSchedule(work) || work.collective === 'custom') return 'single';
  const { collective, algorithm, root, chunks } = work;
  const request = { collective, algorithm, topology, root, chunks };
  const { closedForm } = rowFor(collective, algorithm);
  return closedForm?.(optionsOf(request)).ports ?? 'single';
}

interface PathOptions {
  readonly programs: readonly Program[];
  readonly table: ChunkTable;
  readonly bytesPerElement: number;
  readonly model: AlphaBetaGamma;
}

/** The critical path: of each of its steps the reduction, then the start-up, then the bytes of its message. */
function spansOf({ criticalPath }: Cost, options: PathOptions): Span[] {
  return criticalPath.flatMap((critical) => {
    const { rank, channel, step: index } = critical;
    const step = options.programs[rank]?.channels[channel]?.steps[index];
    return step === undefined ? [] : piecesOf(critical, step, options);
  });
}

function piecesOf(
  { rank, channel, step: index, beginSeconds, endSeconds }: CriticalStep,
  step: Step,
  { table, bytesPerElement, model }: PathOptions,
): Span[] {
  const bytes = table.range(rank, placeOf(step), step.count).length * bytesPerElement;
  const reducing = reduces(step.kind) ? bytes * model.gammaSecondsPerByte : 0;
  const reduced = Math.min(endSeconds, beginSeconds + reducing);
  const started = Math.min(endSeconds, reduced + model.alphaSeconds);
  const at = { rank, channel, step: index, slice: 0, bytes };
  const peer = step.sendTo === undefined ? {} : { peer: step.sendTo };
  const pieces: Span[] = [
    { ...at, activity: 'reduction', beginSeconds, endSeconds: reduced },
    { ...at, ...peer, activity: 'latency', beginSeconds: reduced, endSeconds: started },
    { ...at, ...peer, activity: 'link', beginSeconds: started, endSeconds },
  ];
  return pieces.filter((piece) => piece.endSeconds > piece.beginSeconds);
}
