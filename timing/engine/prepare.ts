/** From a request to the plan of what is simulated. */

import type { CollectiveShape } from '../../collectives/collective.ts';
import { lower } from '../../collectives/lower.ts';
import type { Program } from '../../collectives/program.ts';
import type { Schedule } from '../../collectives/schedule.ts';
import { assert, defined } from '../../common/assert.ts';
import { HlsimError } from '../../common/errors.ts';
import { ranksOf } from '../../common/math.ts';
import type { PredictionRequest } from '../prediction.ts';
import { type Plan, planOf } from './plan.ts';
import { admitted, declared, identity, type Renumbering } from './renumbering.ts';
import { evenChunk, stepElements } from './slice-sizes.ts';
import { TemplateBuilder } from './template-builder.ts';

/** Steps of all ranks at most, where every rank has a program of its own: a limit of memory. */
const OWN_STEPS_MAX = 2 ** 23;

export function planOfRequest(request: PredictionRequest): Plan {
  const { work, counts, bytesPerElement, network, execution, ranks, jitter, model } = request;
  const { nranks } = network;
  const shape = shapeOf(work);
  assert(shape.nranks === nranks, `Expected ${shape.nranks} ranks but found ${nranks} cards`);
  assert(execution.sliceBytes > 0, `Expected slices of bytes but found ${execution.sliceBytes}`);
  assert(
    execution.slotsPerConnection >= 1,
    `Expected at least 1 slot but found ${execution.slotsPerConnection}`,
  );
  const isEven = evenChunk(shape, counts) !== undefined;
  const alike = isEven && isSchedule(work) ? work.alike : undefined;
  const programs = alike === undefined ? identity(nranks) : declared(alike, nranks);
  const isByClass = ranks === 'alike' && model === 'flow' && jitter === undefined;
  const isQuotient = alike !== undefined && isByClass;
  const simulated = isQuotient ? admitted(alike, network) : identity(nranks);
  const builder = new TemplateBuilder({
    elements: stepElements(shape, counts),
    bytesPerElement,
    sliceBytes: execution.sliceBytes,
  });
  for (const program of programsFor(work, programs)) builder.add(program);
  return planOf({ templates: builder.finish(), programs, network, simulated });
}

/** The programs of the ranks that share theirs with nobody, or stand for those that do, one at a time. */
function* programsFor(
  work: Schedule | readonly Program[],
  programs: Renumbering,
): Generator<Program> {
  if (!isSchedule(work)) {
    yield* work;
    return;
  }
  const ranks = ranksOf(work.nranks).filter((rank) => programs.representative(rank) === rank);
  let steps = 0;
  for (const rank of ranks) {
    const program = lower(work, rank);
    steps += program.channels.reduce((sum, channel) => sum + channel.steps.length, 0);
    if (steps > OWN_STEPS_MAX) throw tooManySteps(work);
    yield program;
  }
}

export function isSchedule(work: Schedule | readonly Program[]): work is Schedule {
  return 'rounds' in work;
}

export function shapeOf(work: Schedule | readonly Program[]): CollectiveShape {
  return isSchedule(work) ? work : defined(work[0], 'a program');
}

export function tooManySteps({ algorithm, nranks, chunks }: Schedule): HlsimError {
  return new HlsimError(
    'HLSIM_USAGE',
    `Expected at most ${OWN_STEPS_MAX} steps of ranks that are not alike but found more for ${algorithm} ` +
      `on ${nranks} ranks: take counts that its ${chunks} chunks divide, so that ranks are alike, or fewer ranks`,
    { fields: { algorithm, nranks, chunks } },
  );
}
