/**
 * HLCP about traces: hosts note down what their ranks do while somebody wants to know, and how their clocks
 * stand to the coordinator's. The schemas of `messages.ts`, in a file of their own. The coordinator passes
 * events on as text and does not look into them.
 */
import { z } from 'zod';

const count = z.int().nonnegative();
const positive = z.int().positive();
const id = z.string().min(1).max(128);
const text = z.string();
const milliseconds = z.number().finite();
const failure = z.object({ code: id, message: text });

/** Most events of one trace that a client may ask for, all hosts together. */
export const TRACE_EVENTS_MAX = 500_000;
/** Events in one message. */
export const TRACE_CHUNK_EVENTS_MAX = 4_096;
/** Longest text of the events of one message. */
export const TRACE_CHUNK_LENGTH_MAX = 2_097_152;
/** Remarks of one host about its part of a trace. */
export const TRACE_REMARKS_MAX = 64;

/** A round trip on the control connection, from the host: what is the time? Numbered. */
export const clockAsk = z.object({ type: z.literal('HLCP_CLOCK_ASK'), sequence: count });
/** The coordinator's time when it handled the question. */
export const clockAnswer = z.object({
  type: z.literal('HLCP_CLOCK_ANSWER'),
  sequence: count,
  atMs: milliseconds,
});

/** What of the calls is noted down. Calls are counted from 1, in each communicator. */
const traceWindow = {
  /** Of each host; of the client: of all hosts together. */
  eventsMax: positive.max(TRACE_EVENTS_MAX),
  firstCall: positive,
  lastCall: positive,
  /** Every so many calls one is noted. */
  every: positive,
};

/** From here on note down. From a client, and on to every host. */
export const traceStart = z.object({
  type: z.literal('HLCP_TRACE_START'),
  requestId: count,
  ...traceWindow,
});
export type TraceStart = z.infer<typeof traceStart>;
/** Stop, and send what there is. */
export const traceStop = z.object({ type: z.literal('HLCP_TRACE_STOP'), requestId: count });

/** Best of several round trips: what to add to the host's clock to have the coordinator's. */
const clockReading = z.object({
  /** On the host's clock. */
  atMs: milliseconds,
  offsetMs: milliseconds,
  /** Half of the round trip: the offset is wrong by no more. */
  uncertaintyMs: milliseconds.nonnegative(),
});
export type ClockReading = z.infer<typeof clockReading>;

const hostName = z.object({ index: count, hostname: text });
export type TracedHost = z.infer<typeof hostName>;

/** It notes down; or why it does not. */
export const hostTraceStarted = z.object({
  type: z.literal('HLCP_TRACE_STARTED'),
  requestId: count,
  failure: failure.optional(),
});
const chunk = {
  type: z.literal('HLCP_TRACE_CHUNK'),
  requestId: count,
  /** JSON, as `node/hccl/traced-events.ts` writes it. */
  events: text.max(TRACE_CHUNK_LENGTH_MAX),
};
export const hostTraceChunk = z.object(chunk);
const end = {
  type: z.literal('HLCP_TRACE_END'),
  requestId: count,
  /** Measured at the host's rendezvous, and when the trace began and ended. */
  clock: z.object({
    rendezvous: clockReading.optional(),
    begin: clockReading,
    end: clockReading,
  }),
  /** Events that found no room. */
  dropped: count,
  /** What else is missing, in words. */
  remarks: z.array(text).max(TRACE_REMARKS_MAX),
};
/** That was all of this host. */
export const hostTraceEnd = z.object(end);

/** Every host notes down, but for those in `failures`. */
export const clientTraceStarted = z.object({
  type: z.literal('HLCP_TRACE_STARTED'),
  requestId: count,
  failures: z.array(z.object({ host: hostName, failure })),
});
export const clientTraceChunk = z.object({ ...chunk, host: hostName });
export const clientTraceEnd = z.object({ ...end, host: hostName });
/** That was all of all hosts, but for those in `failures`. */
export const traceDone = z.object({
  type: z.literal('HLCP_TRACE_DONE'),
  requestId: count,
  failures: z.array(z.object({ host: hostName, failure })),
});
export type TraceFailure = z.infer<typeof traceDone>['failures'][number];
