/**
 * Predicts how long programs take on a network, in virtual time. docs/time-model.md derives every term.
 */
import { defined } from '../../common/assert.ts';
import { type Prediction, type PredictionRequest, STUCK_STEPS_MAX } from '../prediction.ts';
import { predictAlphaBeta } from './alpha-beta.ts';
import { BINARY_GIGA, inNanoseconds, interfaces, linksInTurn, NANO } from './carriers.ts';
import { FirstComeWires } from './first-come-wires.ts';
import { FlowWires } from './flow-wires.ts';
import { delayFactor } from './jitter.ts';
import { linkUses } from './link-uses.ts';
import { MomentQueue } from './moment-queue.ts';
import type { Plan } from './plan.ts';
import { planOfRequest } from './prepare.ts';
import { Run } from './run.ts';
import { Trail } from './trail.ts';
import type { WireOptions, Wires } from './wires.ts';

/** What makes the models that are run event by event differ. */
interface RunModel {
  readonly plan: Plan;
  readonly wires: (options: WireOptions) => Wires;
  /** Units of the model's time in a second. */
  readonly perSecond: number;
  /** What it multiplies rates of links by. */
  readonly faster: number;
}

/**
 * The programs, or the schedule, must be proved and fit the network and the counts. Throws `HLSIM_USAGE` for
 * more slices or steps than there is memory for, and for jitter in a model that has none.
 */
export function predict(request: PredictionRequest): Prediction {
  if (request.model === 'alphaBeta') return predictAlphaBeta(request);
  const { plan, wires, perSecond, faster } = runModel(request);
  const { jitter, record, explain = false, progress, execution } = request;
  const { slotsPerConnection } = execution;
  const queue = new MomentQueue();
  const isTraced = explain || record !== undefined;
  const trail = isTraced ? new Trail(plan, { record, isKept: explain, perSecond }) : undefined;
  const delay = jitter === undefined ? undefined : delayFactor(jitter);
  const run = new Run({
    plan,
    queue,
    trail,
    delay,
    progress,
    isWhole: perSecond !== 1,
    hasHosts: request.model === 'flow',
    wires: (receivers) => wires({ plan, queue, slotsPerConnection, receivers, trail, delay }),
  });
  const { time, last, done, all, messages, waiting } = run.run();
  const seconds = time / perSecond;
  if (done < all) {
    return {
      kind: 'stuck',
      atSeconds: seconds,
      waiting: waiting(STUCK_STEPS_MAX),
      doneSlices: done,
      allSlices: all,
    };
  }
  progress?.(1);
  return {
    kind: 'predicted',
    seconds,
    simulatedRanks: plan.instances.count,
    messages,
    linkUses: linkUses(plan, seconds, faster),
    ...(explain ? { path: defined(trail, 'trail').pathTo(last) } : {}),
  };
}

function runModel(request: PredictionRequest): RunModel {
  const plan = planOfRequest(request);
  if (request.model === 'storeAndForward') {
    return {
      plan: { ...plan, instances: inNanoseconds(plan.instances) },
      wires: (options) => new FirstComeWires(options, linksInTurn(plan)),
      perSecond: NANO,
      faster: BINARY_GIGA,
    };
  }
  if (request.model === 'loggp') {
    // What a card takes to issue a step is o here, and is paid for messages alone.
    const { issueSeconds } = plan.instances;
    const instances = { ...plan.instances, issueSeconds: new Float64Array(issueSeconds.length) };
    return {
      plan: { ...plan, instances },
      wires: (options) => new FirstComeWires(options, interfaces(plan, issueSeconds)),
      perSecond: 1,
      faster: 1,
    };
  }
  return { plan, wires: (options) => new FlowWires(options), perSecond: 1, faster: 1 };
}
