/** What the verbs library hands to user programs: plain objects, which may be copied and sent. */
import type { SystemCallChannel, SystemCallValue } from '../process/system-call.ts';
import type { IbvAsyncEvent } from './async-events.ts';
import type { IbvQpCap } from './qp-attributes.ts';
import type { UverbsEventElement, UverbsRequest } from './uverbs-uapi.ts';

/** An opened device. Whoever is passed `fd` may use it too (`ibv_import_device`). */
export interface VerbsContext {
  readonly fd: number;
}

export interface VerbsPd {
  readonly context: VerbsContext;
  readonly handle: number;
}

export interface VerbsMr {
  readonly context: VerbsContext;
  readonly handle: number;
  readonly lkey: number;
  readonly rkey: number;
  /** First address of the region, for `sg_list` and for peers. */
  readonly addr: number;
  readonly length: number;
}

export interface VerbsCq {
  readonly context: VerbsContext;
  readonly handle: number;
}

export interface VerbsQp {
  readonly context: VerbsContext;
  readonly handle: number;
  readonly qp_num: number;
}

/** `struct ibv_qp_init_attr` */
export interface VerbsQpInitAttr {
  readonly send_cq: VerbsCq;
  readonly recv_cq: VerbsCq;
  readonly cap: IbvQpCap;
  /** hlsim's own: both ends must name the same; 0 by default. */
  readonly epoch?: number;
}

/** `struct ibv_async_event` */
export interface VerbsAsyncEvent {
  readonly context: VerbsContext;
  /** Names this event, for its acknowledgement. */
  readonly event: number;
  readonly event_type: IbvAsyncEvent['event_type'];
  /** The handle of the queue pair or completion queue it is about. */
  readonly element: UverbsEventElement;
}

/** What a request that makes an object gives. */
export type Made = { readonly handle: number; readonly [key: string]: SystemCallValue };

/** For the verbs library only. */
export async function made(
  channel: SystemCallChannel,
  context: VerbsContext,
  name: UverbsRequest,
  argument: SystemCallValue,
): Promise<Made> {
  return (await request(channel, context, name, argument)) as Made;
}

/** For the verbs library only. */
export function request(
  channel: SystemCallChannel,
  { fd }: VerbsContext,
  name: UverbsRequest,
  argument: SystemCallValue = {},
): Promise<SystemCallValue> {
  return channel.call('ioctl', { fd, request: name, argument });
}
