/** The flags of commands that take a trace of a real run. */
import { TRACE_EVENTS_MAX } from '../coordinator/hlcp/trace-messages.ts';
import { type FlagValues, optional, usageError, withDefault } from './flags.ts';
import { integer, type Reader, text } from './readers.ts';
import type { TraceWindow } from './trace-questions.ts';

/** Of one communicator: more than any that lives. */
const CALLS_MAX = Number.MAX_SAFE_INTEGER;

export interface CallRange {
  readonly first: number;
  readonly last: number;
}

/** `5-8`, `5-`, `5`. */
const callRange: Reader<CallRange> = {
  expected: 'calls such as 5-8, 5- or 5, counted from 1',
  read(given) {
    const [, from, dash, to] = /^(\d+)(-?)(\d*)$/.exec(given) ?? [];
    if (from === undefined || (dash === '' && to !== '')) return undefined;
    const first = Number(from);
    const last = to === '' ? (dash === '' ? first : CALLS_MAX) : Number(to);
    return first >= 1 && last >= first && last <= CALLS_MAX ? { first, last } : undefined;
  },
};

/** Which events, of whatever file they go to. */
export const traceWindowFlags = {
  traceEventsMax: withDefault('200000', {
    name: 'trace-events-max',
    value: '<n>',
    description: 'most events of a trace, all hosts together',
    reader: integer(1, TRACE_EVENTS_MAX),
  }),
  traceCalls: optional({
    name: 'trace-calls',
    value: '<from-to>',
    description: 'only these calls of each communicator, counted from 1',
    reader: callRange,
  }),
  traceEvery: withDefault('1', {
    name: 'trace-every',
    value: '<n>',
    description: 'of the calls, every n-th',
    reader: integer(1, 1_000_000),
  }),
} as const;

export const traceFlags = {
  trace: optional({
    name: 'trace',
    value: '<file>',
    description: 'write what every rank did to this file, for ui.perfetto.dev',
    reader: text('a file name'),
  }),
  ...traceWindowFlags,
} as const;

/** @throws HlsimError `HLSIM_USAGE` for bounds of a trace that is not taken */
export function checkTraceFlags({
  trace,
  traceCalls,
  traceEvery,
}: FlagValues<typeof traceFlags>): void {
  if (trace !== undefined) return;
  const given =
    traceCalls !== undefined ? 'trace-calls' : traceEvery !== 1 ? 'trace-every' : undefined;
  if (given === undefined) return;
  throw usageError(`Expected --trace <file> with --${given} but found none: add it`);
}

export function windowOf({
  traceEventsMax: eventsMax,
  traceCalls,
  traceEvery: every,
}: FlagValues<typeof traceWindowFlags>): TraceWindow {
  const { first = 1, last = CALLS_MAX } = traceCalls ?? {};
  return { eventsMax, firstCall: first, lastCall: last, every };
}
