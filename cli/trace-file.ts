/** Traces of real runs: taken while something runs, put together, and written. */
import { HlsimError } from '../common/errors.ts';
import { errorOf } from '../coordinator/hlcp/refusal.ts';
import { type TraceMetadata, traceJson } from '../timing/export/tracks.ts';
import type { CommandContext } from './context.ts';
import type { FlagValues } from './flags.ts';
import type { ClusterClient } from './job-client.ts';
import { openPieceFile, type PieceFile } from './piece-file.ts';
import { uncertaintyMs } from './trace-clock.ts';
import { checkTraceFlags, type traceFlags, windowOf } from './trace-flags.ts';
import type { ClusterTrace, HostPart, TraceWindow } from './trace-questions.ts';
import { tracksOfTrace } from './trace-tracks.ts';
import { counted } from './wording.ts';

/** A trace that a command was asked for. */
export interface TraceWish {
  readonly window: TraceWindow;
  readonly file: PieceFile;
  readonly path: string;
}

/** @throws HlsimError `HLSIM_USAGE` if the file could not be written; before anything is started */
export function traceWishOf(flags: FlagValues<typeof traceFlags>): TraceWish | undefined {
  checkTraceFlags(flags);
  const { trace: path } = flags;
  if (path === undefined) return undefined;
  return { window: windowOf(flags), file: openPieceFile('trace', path), path };
}

/**
 * Runs `body`; if a trace is wished, takes and writes one of it. A run that fails is written as well, if the
 * cluster can still be asked.
 */
export async function traced<T>(
  wish: TraceWish | undefined,
  client: ClusterClient,
  title: string,
  context: CommandContext,
  body: () => Promise<T>,
): Promise<T> {
  if (wish === undefined) return body();
  await client.startTrace(wish.window);
  let result: T;
  try {
    result = await body();
  } catch (reason) {
    await takeTrace(wish, client, title, context).catch((why: unknown) =>
      context.terminal.note(`hlsim: there is no trace: ${String(why)}`),
    );
    throw reason;
  }
  await takeTrace(wish, client, title, context);
  return result;
}

/** Ends the trace that was started, and writes it. */
export async function takeTrace(
  { file, path, window }: TraceWish,
  client: ClusterClient,
  title: string,
  { terminal }: CommandContext,
): Promise<void> {
  const trace = await client.stopTrace();
  const [failure] = trace.failures;
  if (trace.hosts.length === 0) {
    if (failure !== undefined) throw errorOf(failure.failure);
    throw new HlsimError('HLSIM_CLUSTER_INCOMPLETE', 'Expected hosts to trace but found none');
  }
  const { events, startMs, unpaired } = tracksOfTrace(trace);
  file.write(traceJson(events, metadataOf(trace, { title, window, startMs, unpaired })));
  for (const line of remarksOf(trace)) terminal.note(`hlsim: ${line}`);
  if (events.length === 0) terminal.note('hlsim: no collective ran while the trace was taken');
  terminal.note(`Trace of ${counted(events.length, 'event')} written to ${path}`);
}

interface About {
  readonly title: string;
  readonly window: TraceWindow;
  readonly startMs: number;
  readonly unpaired: number;
}

function metadataOf(trace: ClusterTrace, about: About): TraceMetadata {
  return {
    time: 'wall clock of this machine',
    title: about.title,
    window: about.window,
    eventsOmitted: droppedOf(trace),
    eventsUnpaired: about.unpaired,
    clock: 'of the coordinator: host time + offset, wrong by the uncertainty at most',
    startMs: about.startMs,
    hosts: trace.hosts.map(hostOf),
    missing: trace.failures.map(({ host, failure }) => `${host.hostname}: ${failure.message}`),
  };
}

function hostOf({ host, clock, dropped, remarks, events }: HostPart): object {
  return {
    ...host,
    clock: { ...clock, uncertaintyMs: uncertaintyMs(clock) },
    events: events.length,
    dropped,
    remarks,
  };
}

function droppedOf({ hosts }: ClusterTrace): number {
  return hosts.reduce((sum, { dropped }) => sum + dropped, 0);
}

/** What is not in the file, in words. */
function remarksOf(trace: ClusterTrace): string[] {
  const dropped = droppedOf(trace);
  return [
    ...trace.failures.map(({ host, failure }) => `${host.hostname}: ${failure.message}`),
    ...trace.hosts.flatMap(({ remarks }) => remarks),
    ...(dropped === 0
      ? []
      : [
          `${counted(dropped, 'event')} found no room in the trace: raise --trace-events-max, or take fewer calls`,
        ]),
  ];
}
