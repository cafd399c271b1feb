/** Short ways to write places and steps of one chunk by hand. */
import type { Program, Step } from '../../collectives/program.ts';
import type { Place } from '../../collectives/schedule.ts';

export const output = (chunk: number): Place => ({ buffer: 'output', chunk });
export const input = (chunk: number): Place => ({ buffer: 'input', chunk });
export const scratch: Place = { buffer: 'scratch', chunk: 0 };

export const send = (
  to: number,
  src: Place,
  landing: Step['landing'] = { kind: 'slot' },
): Step => ({
  kind: 'send',
  count: 1,
  sendTo: to,
  src,
  landing,
  depends: [],
});
export const sendInto = (to: number, src: Place, place: Place): Step =>
  send(to, src, { kind: 'place', place });
export const recv = (from: number, dst: Place): Step => ({
  kind: 'recv',
  count: 1,
  recvFrom: from,
  dst,
  depends: [],
});
export const recvReduceCopy = (from: number, src: Place, dst: Place): Step => ({
  kind: 'recvReduceCopy',
  count: 1,
  recvFrom: from,
  src,
  dst,
  depends: [],
});
export const copy = (src: Place, dst: Place): Step => ({
  kind: 'copy',
  count: 1,
  src,
  dst,
  depends: [],
});
export const reduce = (src: Place, dst: Place): Step => ({
  kind: 'reduce',
  count: 1,
  src,
  dst,
  depends: [],
});
export const dependingOn = (step: Step, channel: number, index: number): Step => ({
  ...step,
  depends: [{ channel, step: index }],
});

/** The programs with these lanes, by rank and channel. */
export function onLanes(
  programs: readonly Program[],
  lanes: readonly (readonly number[])[],
): Program[] {
  return programs.map((program) => ({
    ...program,
    channels: program.channels.map((channel) => ({
      ...channel,
      lane: lanes[program.rank]?.[channel.id] ?? channel.lane,
    })),
  }));
}
