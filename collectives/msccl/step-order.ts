/** One order of a rank's steps in which they may run one by one, in pieces that the format takes. */
import { assert } from '../../common/assert.ts';
import type { Program, Step } from '../program.ts';
import type { Place } from '../schedule.ts';
import type { ChannelStep } from './thread-blocks.ts';

/** `MSCCL_MAX_COUNT` of RCCL is 72, and counts must be below it. */
const COUNT_MAX = 71;

/** Channels in turn, each as far as it goes without a step that it depends on. */
export function orderOf({ channels }: Program): ChannelStep[] {
  const done = channels.map(() => 0);
  const ordered: ChannelStep[] = [];
  const isReady = ({ depends }: Step): boolean =>
    depends.every(({ channel, step }) => (done[channel] ?? 0) > step);
  const total = channels.reduce((sum, { steps }) => sum + steps.length, 0);
  let finished = 0;
  while (finished < total) {
    const before = finished;
    for (const [channel, { lane, steps }] of channels.entries()) {
      let step = steps[done[channel] ?? 0];
      while (step !== undefined && isReady(step)) {
        for (const piece of piecesOf(step)) ordered.push({ channel, lane, step: piece });
        done[channel] = (done[channel] ?? 0) + 1;
        finished++;
        step = steps[done[channel] ?? 0];
      }
    }
    assert(
      finished > before,
      'Expected the steps of a rank not to wait for each other in a circle',
    );
  }
  return ordered;
}

/** A step of many chunks as several; the ends of its message cut it alike. */
function piecesOf(step: Step): Step[] {
  const { count, src, dst, landing } = step;
  if (count <= COUNT_MAX) return [step];
  return Array.from({ length: Math.ceil(count / COUNT_MAX) }, (_, index) => {
    const start = index * COUNT_MAX;
    return {
      ...step,
      count: Math.min(COUNT_MAX, count - start),
      ...(src === undefined ? {} : { src: later(src, start) }),
      ...(dst === undefined ? {} : { dst: later(dst, start) }),
      ...(landing?.kind === 'place'
        ? { landing: { kind: 'place' as const, place: later(landing.place, start) } }
        : {}),
    };
  });
}

function later({ buffer, chunk }: Place, offset: number): Place {
  return { buffer, chunk: chunk + offset };
}
