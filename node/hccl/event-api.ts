/** Synapse's events, between streams and for the program. */
import type { SystemCallChannel } from '../process/system-call.ts';
import { HCCL_DEFAULT_STREAM, type HcclStream, type SynEvent } from './hccl.ts';

/** A new event; it counts as reached until it is recorded. At most `SYN_EVENTS_MAX` per process. */
export async function synEventCreate(channel: SystemCallChannel): Promise<SynEvent> {
  return (await channel.call('synEventCreate', null)) as number;
}

/** Frees an event. Streams that wait for it go on waiting. */
export async function synEventDestroy(channel: SystemCallChannel, event: SynEvent): Promise<void> {
  await channel.call('synEventDestroy', { event });
}

/** The event is reached when everything queued on the stream so far has ended, well or not. */
export async function synEventRecord(
  channel: SystemCallChannel,
  event: SynEvent,
  stream: HcclStream = HCCL_DEFAULT_STREAM,
): Promise<void> {
  await channel.call('synEventRecord', { event, stream });
}

/** Whether the event has been reached since it was last recorded (synBusy if not). */
export async function synEventQuery(channel: SystemCallChannel, event: SynEvent): Promise<boolean> {
  return (await channel.call('synEventQuery', { event })) as boolean;
}

/** Waits until the event is reached. Failures stay with the stream. */
export async function synEventSynchronize(
  channel: SystemCallChannel,
  event: SynEvent,
): Promise<void> {
  await channel.call('synEventSynchronize', { event });
}

/** What is queued on the stream from now on waits for the event, as it is recorded now. */
export async function synStreamWaitEvent(
  channel: SystemCallChannel,
  stream: HcclStream,
  event: SynEvent,
): Promise<void> {
  await channel.call('synStreamWaitEvent', { stream, event });
}
