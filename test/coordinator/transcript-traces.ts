/** Commands of transcripts that are about traces. */
import type { ClientToCoordinator, HostToCoordinator } from '../../coordinator/hlcp/messages.ts';
import { type Arguments, number, string } from './transcript-arguments.ts';

export function traceQuestion(verb: 'trace' | 'untrace', args: Arguments): ClientToCoordinator {
  const requestId = number(args, 'request');
  if (verb === 'untrace') return { type: 'HLCP_TRACE_STOP', requestId };
  const calls = { firstCall: 1, lastCall: 9, every: 2 };
  const eventsMax = number(args, 'events', 1_000);
  return { type: 'HLCP_TRACE_START', requestId, eventsMax, ...calls };
}

export function traceAnswer(
  verb: 'tracing' | 'events' | 'traced',
  args: Arguments,
): HostToCoordinator {
  const requestId = number(args, 'request');
  switch (verb) {
    case 'tracing': {
      if (args['message'] === undefined) return { type: 'HLCP_TRACE_STARTED', requestId };
      const failure = { code: 'HLSIM_TIMEOUT', message: string(args, 'message') };
      return { type: 'HLCP_TRACE_STARTED', requestId, failure };
    }
    case 'events':
      return { type: 'HLCP_TRACE_CHUNK', requestId, events: string(args, 'json') };
    case 'traced': {
      const reading = { atMs: 1, offsetMs: 2, uncertaintyMs: 0 };
      const clock = { begin: reading, end: reading };
      const dropped = number(args, 'dropped', 0);
      return { type: 'HLCP_TRACE_END', requestId, clock, dropped, remarks: [] };
    }
  }
}
