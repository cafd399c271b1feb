/** Why a prediction is what it is: the critical path, its parts, the busiest links, and what would help. */
import { assert } from '../../common/assert.ts';
import { predict } from '../engine/predict.ts';
import type { Network } from '../network.ts';
import type { Predicted, PredictionRequest } from '../prediction.ts';
import { type BreakdownPart, breakdownOf } from './breakdown.ts';
import { sentencesOf } from './sentences.ts';

/** A parameter of the hardware, and the network as it would be if it were better. */
export interface BetterParameter {
  /** `scaleUp.rate`. */
  readonly name: string;
  /** What it is multiplied by: more than 1 for a rate, less for a time. */
  readonly factor: number;
  readonly network: () => Network;
}

/** What a parameter is worth. */
export interface Sensitivity {
  readonly parameter: string;
  readonly factor: number;
  readonly seconds: number;
  /** Change of the time, as a part of it: -0.09 is 9 % less. */
  readonly change: number;
}

export interface BusyLink {
  readonly name: string;
  readonly kind: string;
  /** Links that are used alike, itself included. */
  readonly alike: number;
  readonly bytes: number;
  readonly utilisation: number;
}

export interface Explanation {
  readonly seconds: number;
  readonly sentences: readonly string[];
  /** Adds up to `seconds`. */
  readonly breakdown: readonly BreakdownPart[];
  /** The busiest first. */
  readonly busiest: readonly BusyLink[];
  /** What helps most first. */
  readonly sensitivities: readonly Sensitivity[];
}

const BUSIEST_MAX = 3;

/** Predicts anew for the path, and once for each parameter. `progress`: what is asked, and what part is done. */
export function explain(
  request: PredictionRequest,
  parameters: readonly BetterParameter[],
  progress: (what: string, done: number) => void = () => undefined,
): Explanation {
  progress('the critical path', 0);
  const base = predicted({ ...request, explain: true });
  const { path = [], seconds } = base;
  const sensitivities = parameters.map((parameter, index) => {
    progress(`what ${parameter.name} is worth`, (index + 1) / (parameters.length + 1));
    return sensitivityOf(request, parameter, seconds);
  });
  return {
    seconds,
    sentences: sentencesOf(path),
    breakdown: breakdownOf(path),
    busiest: busiestOf(base, request.network),
    sensitivities: sensitivities.sort((a, b) => a.change - b.change),
  };
}

function sensitivityOf(
  request: PredictionRequest,
  { name, factor, network }: BetterParameter,
  base: number,
): Sensitivity {
  const { seconds } = predicted({ ...request, network: network() });
  const change = base === 0 ? 0 : seconds / base - 1;
  return { parameter: name, factor, seconds, change };
}

function busiestOf({ linkUses }: Predicted, network: Network): readonly BusyLink[] {
  return linkUses.slice(0, BUSIEST_MAX).map(({ link, alike, bytes, utilisation }) => {
    const { name, kind } = network.link(link);
    return { name, kind, alike, bytes, utilisation };
  });
}

/** Other numbers change when things happen, not whether: what ends once, ends. */
function predicted(request: PredictionRequest): Predicted {
  const outcome = predict(request);
  assert(outcome.kind === 'predicted', 'Expected a program that was predicted to be so again');
  return outcome;
}
