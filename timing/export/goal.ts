/**
 * Programs as GOAL text, the input of LogGOPSim (Hoefler, Schneider, Lumsdaine, HPDC 2010): a block per
 * rank with labelled operations, and `requires` between labels. Every message has a tag that no other
 * between the same two ranks has, so that nothing depends on the order in which they meet.
 */
import { type ExportRequest, operationsOf, programsOf, type RankOperation } from './operations.ts';

const NANOSECONDS = 1e9;

/** The text in pieces: the head, then one rank at a time. Lines of comment are not part of GOAL. */
export function* goalText(request: ExportRequest): Iterable<string> {
  const work = programsOf(request.work);
  yield `num_ranks ${work.length}\n`;
  for (const { rank, operations } of operationsOf({ ...request, work })) {
    const lines = operations.flatMap((operation) => [lineOf(operation), ...needLines(operation)]);
    yield ['', `rank ${rank} {`, ...lines, '}', ''].join('\n');
  }
}

function lineOf({ id, kind, bytes, peer, tag, seconds }: RankOperation): string {
  switch (kind) {
    case 'send':
      return `l${id}: send ${bytes}b to ${peer} tag ${tag}`;
    case 'recv':
      return `l${id}: recv ${bytes}b from ${peer} tag ${tag}`;
    default:
      return `l${id}: calc ${Math.ceil(seconds * NANOSECONDS)}`;
  }
}

function needLines({ id, needs }: RankOperation): string[] {
  return needs.map((need) => `l${id} requires l${need}`);
}
