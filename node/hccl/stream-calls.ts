/** Synapse's calls for streams and events, as far as collectives need them. */
import { z } from 'zod';
import type { SimProcess } from '../process/sim-process.ts';
import type { SystemCallValue } from '../process/system-call.ts';
import { type CallHost, findStream, parse } from './call-host.ts';
import { hcclError, invalidArgument } from './failure.ts';
import { HCCL_DEFAULT_STREAM } from './hccl.ts';
import { HCCL_STREAMS_MAX } from './stream.ts';
import { type StreamEvent, SYN_EVENTS_MAX } from './stream-event.ts';

const streamArgument = z.object({ stream: z.int() });
const eventArgument = z.object({ event: z.int() });
const bothArgument = z.object({ event: z.int(), stream: z.int() });

export function registerStreamCalls(host: CallHost): void {
  host.register('synStreamCreate', (caller) => {
    const stream = host.state(caller).streams.create();
    if (stream !== undefined) return stream;
    throw tooMany(`${HCCL_STREAMS_MAX} streams`);
  });
  host.register('synStreamDestroy', async (caller, argument) => {
    const { stream } = parse(streamArgument, argument);
    const state = host.state(caller);
    const found = findStream(state, stream);
    if (stream === HCCL_DEFAULT_STREAM)
      throw invalidArgument('Expected a stream other than the default');
    state.streams.delete(stream);
    await found.synchronize();
  });
  host.register('synStreamSynchronize', async (caller, argument) => {
    const { stream } = parse(streamArgument, argument);
    await findStream(host.state(caller), stream).synchronize();
  });
  host.register('synStreamWaitEvent', async (caller, argument) => {
    await waitEvent(host, caller, argument);
  });
  registerEventCalls(host);
}

function registerEventCalls(host: CallHost): void {
  host.register('synEventCreate', (caller) => {
    const event = host.state(caller).events.create();
    if (event !== undefined) return event;
    throw tooMany(`${SYN_EVENTS_MAX} events`);
  });
  host.register('synEventDestroy', (caller, argument) => {
    const { event } = parse(eventArgument, argument);
    if (!host.state(caller).events.delete(event)) throw noEvent(event);
  });
  host.register('synEventRecord', async (caller, argument) => {
    const { event, stream } = parse(bothArgument, argument);
    const state = host.state(caller);
    const found = findEvent(host, caller, event);
    const place = findStream(state, stream);
    await state.launcher.inOrder([], () => found.record(place));
  });
  host.register('synEventQuery', (caller, argument) => {
    return findEvent(host, caller, parse(eventArgument, argument).event).state === 'reached';
  });
  host.register('synEventSynchronize', async (caller, argument) => {
    await findEvent(host, caller, parse(eventArgument, argument).event).reached;
  });
}

/** What is queued on the stream from now on waits for the event as it is recorded now. */
async function waitEvent(
  host: CallHost,
  caller: SimProcess,
  argument: SystemCallValue,
): Promise<void> {
  const { event, stream } = parse(bothArgument, argument);
  const state = host.state(caller);
  const found = findEvent(host, caller, event);
  const place = findStream(state, stream);
  await state.launcher.inOrder([place], () => {
    const { reached } = found;
    void place.enqueue(() => reached);
  });
}

function findEvent(host: CallHost, caller: SimProcess, event: number): StreamEvent {
  const found = host.state(caller).events.get(event);
  if (found === undefined) throw noEvent(event);
  return found;
}

function noEvent(event: number): Error {
  return invalidArgument(`Expected an event but found ${event}`);
}

function tooMany(what: string): Error {
  const message = `Expected at most ${what}: destroy one first`;
  return hcclError({ result: 'hcclStreamError', message });
}
