/**
 * Which algorithm to use for which call: the first rule of a table that fits decides. Pure, so that all
 * ranks come to the same answer.
 *
 * A rule fits if the call lies in its ranges, both ends included, and its algorithm can be built for so
 * many ranks. What no rule of a given table fits, the built-in one decides.
 */
import { defined } from '../common/assert.ts';
import type { CollectiveName } from './collective.ts';
import { algorithmsFor, optionsOf, rowFor } from './table.ts';
import { flatTopology, type Topology } from './topology.ts';
import { BUILT_IN_TUNING } from './tuning-rules.ts';

/** How to carry out a call. */
export interface Choice {
  /** As `buildSchedule` takes it. */
  readonly algorithm: string;
  readonly channels: number;
  /** Chunks of one block; the algorithm's own choice if absent. */
  readonly chunks?: number;
  /** Largest piece of a step that is moved at once; the engine's own choice if absent. */
  readonly sliceBytes?: number;
}

/** Both ends belong to it; an absent one is no limit. */
export interface Range {
  readonly from?: number;
  readonly to?: number;
}

export interface TuningRule extends Choice {
  readonly collective: CollectiveName;
  /** What the call is about, see `ChoiceRequest`. */
  readonly bytes?: Range;
  readonly ranks?: Range;
  readonly boxes?: Range;
}

/** Plain data: it goes through JSON unchanged. `tuning-file.ts` has its form for people. */
export interface TuningTable {
  readonly rules: readonly TuningRule[];
}

export interface ChoiceRequest {
  readonly collective: CollectiveName;
  /**
   * nccl-tests' size: of the vector, of all that is gathered, scattered or reduced, or of what a rank has
   * to send in an all-to-all; 0 for a barrier.
   */
  readonly bytes: number;
  readonly nranks: number;
  /** Boxes that the ranks are in. */
  readonly boxes: number;
}

/** How to carry out a call: the first rule that fits, of `table`, else of the built-in one. */
export function choose(request: ChoiceRequest, table?: TuningTable): Choice {
  const rules = [...(table?.rules ?? []), ...BUILT_IN_TUNING.rules];
  const rule = rules.find((candidate) => fits(candidate, request));
  const { algorithm, channels, chunks, sliceBytes } = defined(
    rule,
    `a rule for ${request.collective} on ${request.nranks} ranks in ${request.boxes} boxes`,
  );
  return {
    algorithm,
    channels,
    ...(chunks === undefined ? {} : { chunks }),
    ...(sliceBytes === undefined ? {} : { sliceBytes }),
  };
}

/** Names of the algorithms that can do the collective on these ranks, with so many chunks if given. */
export function possibleAlgorithms(
  collective: CollectiveName,
  topology: Topology,
  chunks?: number,
): string[] {
  return algorithmsFor(collective).filter((algorithm) =>
    canBuild({ algorithm, ...(chunks === undefined ? {} : { chunks }) }, collective, topology),
  );
}

/** The algorithm that `choose` names for ranks that are each in a box of their own. */
export function selectAlgorithm(request: Omit<ChoiceRequest, 'boxes'>): string {
  return choose({ ...request, boxes: request.nranks }).algorithm;
}

function fits(rule: TuningRule, { collective, bytes, nranks, boxes }: ChoiceRequest): boolean {
  return (
    rule.collective === collective &&
    contains(rule.bytes, bytes) &&
    contains(rule.ranks, nranks) &&
    contains(rule.boxes, boxes) &&
    canBuild(rule, collective, topologyOf(nranks, boxes))
  );
}

function contains(range: Range | undefined, value: number): boolean {
  const { from = 0, to = Number.POSITIVE_INFINITY } = range ?? {};
  return value >= from && value <= to;
}

/** Boxes that are not alike are no topology: then every rank counts as a box. */
function topologyOf(nranks: number, boxes: number): Topology {
  return nranks % boxes === 0 ? { boxes, ranksPerBox: nranks / boxes } : flatTopology(nranks);
}

/** Whether the algorithm's restrictions hold. */
function canBuild(
  { algorithm, chunks }: Pick<Choice, 'algorithm' | 'chunks'>,
  collective: CollectiveName,
  topology: Topology,
): boolean {
  const options = optionsOf({
    collective,
    algorithm,
    topology,
    ...(chunks === undefined ? {} : { chunks }),
  });
  return rowFor(collective, algorithm).restrictions.every(({ holds }) => holds(options));
}
