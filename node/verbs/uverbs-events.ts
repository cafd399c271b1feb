/** The verbs device's requests about asynchronous events, of which each is taken once. */
import { withDeadline } from '../../common/deferred.ts';
import { errnoFailure } from '../process/system-call.ts';
import { integerField } from '../process/system-call-argument.ts';
import {
  type IbvAsyncEvent,
  type IbvEventElement,
  ibv_ack_async_event,
  ibv_events_acknowledged,
  ibv_get_async_event,
} from './async-events.ts';
import type { UverbsFile } from './uverbs-file.ts';
import {
  objectField,
  reserve,
  succeed,
  timeoutField,
  type UverbsHandler,
} from './uverbs-request.ts';
import type { UverbsEventElement } from './uverbs-uapi.ts';

/** How long the end of an object waits for the program to acknowledge events about it. */
const ACKNOWLEDGE_DEADLINE_MS = 60_000;

/** The next event, waited for at most `timeoutMs`. EAGAIN: none; ENOMEM: too many unacknowledged. */
export const getAsyncEvent: UverbsHandler = async (file, caller, argument) => {
  const timeoutMs = timeoutField(argument);
  const what = 'ibv_get_async_event';
  reserve(file.events, what);
  const event = await ibv_get_async_event(file.context, timeoutMs);
  if (typeof event === 'string' || caller.state === 'exited') file.events.unreserve();
  const taken = succeed(event, what);
  if (caller.state === 'exited') {
    // Nobody is there to hear of it: it is for whoever else has the file open.
    ibv_ack_async_event(file.context, taken);
    file.context.asyncEvents.push(taken);
    throw errnoFailure('EINTR', what);
  }
  const { event_type } = taken;
  return { event: file.events.add(taken), event_type, element: { ...elementOf(file, taken) } };
};

export const ackAsyncEvent: UverbsHandler = (file, _caller, argument) => {
  const event = objectField(file.events, argument, 'event');
  file.events.delete(integerField(argument, 'event'));
  ibv_ack_async_event(file.context, event);
  return undefined;
};

/** ETIMEDOUT: the object is gone, but the program still works on an event about it. */
export async function eventsAcknowledged(
  { context }: UverbsFile,
  element: IbvEventElement,
): Promise<void> {
  await withDeadline(
    context.nic.scheduler,
    ACKNOWLEDGE_DEADLINE_MS,
    ibv_events_acknowledged(context, element),
    () => errnoFailure('ETIMEDOUT', 'an event about the object has not been acknowledged'),
  );
}

/** The object as its user knows it. */
function elementOf(file: UverbsFile, event: IbvAsyncEvent): UverbsEventElement {
  switch (event.event_type) {
    case 'IBV_EVENT_CQ_ERR':
      return { cq: file.cqs.handleOf(({ cq }) => cq === event.element) };
    case 'IBV_EVENT_PORT_ACTIVE':
    case 'IBV_EVENT_PORT_ERR':
      return { port_num: event.element.port_num };
    case 'IBV_EVENT_DEVICE_FATAL':
      return {};
    default:
      return { qp: file.qps.handleOf((qp) => qp === event.element) };
  }
}
