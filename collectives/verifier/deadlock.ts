/** Tells a deadlock by the circle of steps that wait for each other. */
import { unreachable } from '../../common/assert.ts';
import type { BlockedStep, StepAddress } from '../interpret.ts';
import { describeStep } from '../print-program.ts';
import { type Program, placeOf, type Step } from '../program.ts';
import type { Findings } from './finding.ts';

/** Parts that the sentence about a circle has at most. */
const LINKS_MAX = 16;

/** Follows who waits for whom until it comes round, and tells that circle. */
export function addDeadlock(
  programs: readonly Program[],
  blocked: readonly BlockedStep[],
  findings: Findings,
): void {
  const keyOf = ({ rank, channel }: StepAddress): string => `${rank} ${channel}`;
  const byChannel = new Map(blocked.map((step) => [keyOf(step), step]));
  const path: BlockedStep[] = [];
  let current = blocked[0];
  const seen = new Set<BlockedStep>();
  while (current !== undefined && !seen.has(current)) {
    path.push(current);
    seen.add(current);
    current = current.waitsFor === undefined ? undefined : byChannel.get(keyOf(current.waitsFor));
  }
  const circle = current === undefined ? path : path.slice(path.indexOf(current));
  const stepAt = ({ rank, channel, step }: StepAddress): Step =>
    programs[rank]?.channels[channel]?.steps[step] as Step;
  const told = circle.length > LINKS_MAX ? circle.slice(0, LINKS_MAX - 1) : circle;
  const links = told.map(({ reason, waitsFor, ...waiting }) => {
    const target = waitsFor === undefined ? 'nobody' : findings.nameOf(waitsFor);
    return `${describeStep(stepAt(waiting))} waits for ${reasonText(reason)} ${target}`;
  });
  if (told !== circle) links.push(`${circle.length - told.length} more wait for each other so`);
  const { rank, channel, step } = circle[0] as BlockedStep;
  const { chunk } = placeOf(stepAt({ rank, channel, step }));
  findings.add('deadlock', { rank, channel, step, chunk }, `deadlock: ${links.join(', where ')}`);
}

function reasonText(reason: BlockedStep['reason']): string {
  switch (reason) {
    case 'message':
      return 'a message from';
    case 'room':
      return 'room for its message at';
    case 'depends':
      return 'the end of';
    default:
      return unreachable(reason);
  }
}
