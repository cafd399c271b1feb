/** Single mistakes in programs, at random: what a file's writer, or lowering, could get wrong. */
import type { Program, Step, StepRef } from '../../collectives/program.ts';
import type { Place } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';
import type { Prng } from '../../common/prng.ts';
import { programAt, stepsOf, withStep } from './support.ts';

export interface StepPlace {
  readonly rank: number;
  readonly channel: number;
  readonly index: number;
}

/** The mutant, or `undefined` if the programs have nothing to get wrong in this way there. */
export type Mutation = (programs: readonly Program[], prng: Prng) => Program[] | undefined;

export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  dropStep(programs, prng) {
    return withoutStep(programs, anyStep(programs, prng));
  },

  /** Sends it and its receive, so that the number of messages still agrees. */
  dropMessage(programs, prng) {
    const at = anyStep(programs, prng);
    const other = otherEnd(programs, at);
    if (other === undefined) return undefined;
    return withoutStep(withoutStep(programs, at), other);
  },

  swapPeers(programs, prng) {
    const at = anyStep(programs, prng);
    const step = stepAt(programs, at);
    const key = prng.below(2) === 0 ? 'sendTo' : 'recvFrom';
    if (step[key] === undefined) return undefined;
    return withStep(programs, at, { ...step, [key]: prng.below(programs.length) });
  },

  /** Two steps of a channel exchange the peers they send to. */
  exchangePeers(programs, prng) {
    const at = anyStep(programs, prng);
    const steps = stepsOf(programAt(programs, at.rank), at.channel);
    const other = { ...at, index: prng.below(steps.length) };
    const [a, b] = [stepAt(programs, at), stepAt(programs, other)];
    if (a.sendTo === undefined || b.sendTo === undefined || a.sendTo === b.sendTo) return undefined;
    const half = withStep(programs, at, { ...a, sendTo: b.sendTo });
    return withStep(half, other, { ...b, sendTo: a.sendTo });
  },

  changeOffset(programs, prng) {
    const at = anyStep(programs, prng);
    const step = stepAt(programs, at);
    const key = prng.below(2) === 0 ? 'src' : 'dst';
    const place = step[key];
    if (place === undefined) return undefined;
    return withStep(programs, at, { ...step, [key]: moved(place, prng) });
  },

  /** Both ends agree on the wrong place. */
  changeLanding(programs, prng) {
    const at = anyStep(programs, prng);
    const step = stepAt(programs, at);
    const other = otherEnd(programs, at);
    if (step.landing?.kind !== 'place' || other === undefined) return undefined;
    const place = moved(step.landing.place, prng);
    const half = withStep(programs, at, { ...step, landing: { kind: 'place', place } });
    return withStep(half, other, { ...stepAt(programs, other), dst: place });
  },

  dropDependency(programs, prng) {
    const dependent = everyStep(programs).filter((at) => stepAt(programs, at).depends.length > 0);
    if (dependent.length === 0) return undefined;
    const at = defined(dependent[prng.below(dependent.length)], 'a dependent step');
    const step = stepAt(programs, at);
    const dropped = prng.below(step.depends.length);
    const depends = step.depends.filter((_, index) => index !== dropped);
    return withStep(programs, at, { ...step, depends });
  },

  swapNeighbours(programs, prng) {
    const at = anyStep(programs, prng);
    const next = { ...at, index: at.index + 1 };
    const steps = stepsOf(programAt(programs, at.rank), at.channel);
    if (next.index >= steps.length) return undefined;
    const half = withStep(programs, at, stepAt(programs, next));
    return withStep(half, next, stepAt(programs, at));
  },
};

export function everyStep(programs: readonly Program[]): StepPlace[] {
  return programs.flatMap(({ rank, channels }) =>
    channels.flatMap(({ id: channel, steps }) =>
      steps.map((_, index) => ({ rank, channel, index })),
    ),
  );
}

export function stepAt(programs: readonly Program[], { rank, channel, index }: StepPlace): Step {
  return defined(stepsOf(programAt(programs, rank), channel)[index], `step ${index}`);
}

function anyStep(programs: readonly Program[], prng: Prng): StepPlace {
  const steps = everyStep(programs);
  return defined(steps[prng.below(steps.length)], 'a step');
}

function moved({ buffer, chunk }: Place, prng: Prng): Place {
  const distance = 1 + prng.below(2);
  return { buffer, chunk: prng.below(2) === 0 ? chunk + distance : chunk - distance };
}

/** Where the message of a sending step is received. */
function otherEnd(programs: readonly Program[], at: StepPlace): StepPlace | undefined {
  const { sendTo } = stepAt(programs, at);
  if (sendTo === undefined) return undefined;
  const lane = laneAt(programs, at);
  const isSend = (other: StepPlace): boolean =>
    other.rank === at.rank &&
    laneAt(programs, other) === lane &&
    stepAt(programs, other).sendTo === sendTo;
  const isReceive = (other: StepPlace): boolean =>
    other.rank === sendTo &&
    laneAt(programs, other) === lane &&
    stepAt(programs, other).recvFrom === at.rank;
  const all = everyStep(programs);
  const position = all
    .filter(isSend)
    .findIndex(({ channel, index }) => channel === at.channel && index === at.index);
  return all.filter(isReceive)[position];
}

function laneAt(programs: readonly Program[], { rank, channel }: StepPlace): number {
  return defined(programAt(programs, rank).channels[channel], `channel ${channel}`).lane;
}

/** Without the step, and with dependencies that mean the steps they did. */
function withoutStep(programs: readonly Program[], at: StepPlace): Program[] {
  const shifted = (ref: StepRef): StepRef[] => {
    if (ref.channel !== at.channel || ref.step < at.index) return [ref];
    return ref.step === 0 ? [] : [{ channel: ref.channel, step: ref.step - 1 }];
  };
  return withStep(programs, at, undefined).map((program) => {
    if (program.rank !== at.rank) return program;
    const channels = program.channels.map((channel) => ({
      ...channel,
      steps: channel.steps.map((step) => ({ ...step, depends: step.depends.flatMap(shifted) })),
    }));
    return { ...program, channels };
  });
}
