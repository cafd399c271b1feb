/** Proves a schedule, for every placement that it says it is meant for, and tells what came out. */
import type { Placement } from '../collectives/msccl/geometry.ts';
import type { MscclSchedule } from '../collectives/msccl/read.ts';
import type { FindingKind } from '../collectives/verifier/finding.ts';
import { smallestDepth, type Verdict, verify } from '../collectives/verify.ts';
import { counted } from './wording.ts';

export interface PlacementVerdict extends Verdict {
  readonly placement: Placement;
}

export interface ScheduleVerdict {
  readonly name: string;
  readonly collective: string;
  readonly ranks: number;
  readonly threadBlocks: number;
  readonly steps: number;
  readonly proved: boolean;
  /** What is wrong before any placement is looked at: there are none then, and no depth. */
  readonly objection?: string;
  readonly placements: readonly PlacementVerdict[];
  /** Any element count, or only those that make all chunks the same size. */
  readonly counts: 'any' | 'divisible';
  /** Messages per connection without which it stops; absent if no number is enough, or its messages do not match. */
  readonly smallestDepth?: number;
}

/** `depth`: messages that a connection holds; any number if absent. */
export function judgeSchedule(schedule: MscclSchedule, depth?: number): ScheduleVerdict {
  const { name, collective, nranks, programs, equalChunks, objection, labelOf } = schedule;
  const judged = objection === undefined ? schedule.placements : [];
  const placements = judged.map((placement): PlacementVerdict => {
    const inPlace = placement === 'inPlace';
    const bound = depth === undefined ? {} : { depth };
    return {
      placement,
      ...verify(programs, { inPlace, equalChunks, order: 'messages', labelOf, ...bound }),
    };
  });
  const least = objection === undefined ? smallestDepth(programs) : undefined;
  const blocks = schedule.document.gpus.flatMap(({ threadBlocks }) => threadBlocks);
  return {
    name,
    collective,
    ranks: nranks,
    threadBlocks: blocks.length,
    steps: blocks.reduce((sum, { steps }) => sum + steps.length, 0),
    proved: objection === undefined && placements.every(({ proved }) => proved),
    ...(objection === undefined ? {} : { objection }),
    placements,
    counts: equalChunks ? 'divisible' : 'any',
    ...(least === undefined ? {} : { smallestDepth: least }),
  };
}

/** Findings of one placement that people get to see; the JSON file has all that are kept. */
const SHOWN_MAX = 10;

export const PLACEMENT_WORDS: Readonly<Record<Placement, string>> = {
  inPlace: 'in place',
  outOfPlace: 'out of place',
};

/** Lines for people, the verdict first. */
export function verdictLines(file: string, verdict: ScheduleVerdict): string[] {
  const { name, collective, ranks, threadBlocks, steps, proved, objection, placements } = verdict;
  const what = name === '' ? collective : `${name}: ${collective}`;
  const size = [
    counted(ranks, 'rank'),
    counted(threadBlocks, 'thread block'),
    counted(steps, 'step'),
  ];
  return [
    `${file}: ${proved ? 'proved' : 'refuted'}`,
    `  ${what}, ${size.join(', ')}`,
    ...(objection === undefined ? [] : [`  ${objection}`]),
    ...placements.flatMap((placement) => placementLines(placement, verdict)),
    ...(objection === undefined ? depthLines(verdict) : []),
  ];
}

function placementLines(
  { placement, proved, findings, omitted = 0 }: PlacementVerdict,
  { counts, collective }: ScheduleVerdict,
): string[] {
  const where = PLACEMENT_WORDS[placement];
  if (proved) {
    const scope =
      counts === 'any' ? 'any element count' : 'element counts that make all chunks the same size';
    const limit = collective === 'custom' ? '; nothing is promised of the outputs of custom' : '';
    return [`  ${where}: proved for ${scope}${limit}`];
  }
  const more = findings.length - SHOWN_MAX + omitted;
  return [
    `  ${where}: refuted`,
    ...findings.slice(0, SHOWN_MAX).map(({ message }) => `    ${message}`),
    ...(more > 0 ? [`    and ${counted(more, 'finding')} more`] : []),
  ];
}

/** Of these nobody can say how many messages are under way. */
const WITHOUT_DEPTH: ReadonlySet<FindingKind> = new Set(['malformed', 'disagreement', 'unmatched']);

function depthLines({ smallestDepth: least, placements }: ScheduleVerdict): string[] {
  if (least !== undefined) {
    return [`  smallest depth that works: ${counted(least, 'message')} per connection`];
  }
  const findings = placements.flatMap((placement) => placement.findings);
  if (findings.some(({ kind }) => WITHOUT_DEPTH.has(kind))) return [];
  return ['  no number of messages per connection is enough'];
}
