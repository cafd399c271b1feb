/** The verbs library's calls on completion queues and queue pairs; `rdma-core.ts` has the rest. */
import type { Errno } from '../../common/errno.ts';
import {
  errnoFailure,
  type SystemCallChannel,
  SystemCallError,
  type SystemCallFailure,
  type SystemCallValue,
} from '../process/system-call.ts';
import {
  made,
  request,
  type VerbsContext,
  type VerbsCq,
  type VerbsPd,
  type VerbsQp,
  type VerbsQpInitAttr,
} from './rdma-core-objects.ts';
import type {
  IbvQpDescription,
  UverbsQpAttr,
  UverbsRecvWr,
  UverbsRequest,
  UverbsSendWr,
  UverbsWc,
} from './uverbs-uapi.ts';

/** A request of a list was refused; those before it are posted. */
export class BadWorkRequestError extends SystemCallError {
  /** Its index in the list. */
  readonly bad_wr: number;

  constructor(failure: SystemCallFailure, bad_wr: number) {
    super(failure);
    this.bad_wr = bad_wr;
  }
}

/** A queue for `cqe` completions; one more ends it. EINVAL: not in 1..max_cqe; ENOMEM. */
export async function ibv_create_cq(
  channel: SystemCallChannel,
  context: VerbsContext,
  cqe: number,
): Promise<VerbsCq> {
  const { handle } = await made(channel, context, 'IB_USER_VERBS_CMD_CREATE_CQ', { cqe });
  return { context, handle };
}

/** Up to `entries` completions, perhaps none. EIO: the queue has been overrun. */
export function ibv_poll_cq(
  channel: SystemCallChannel,
  cq: VerbsCq,
  entries: number,
): Promise<readonly UverbsWc[]> {
  return waitForCompletions(channel, cq, entries, 0);
}

/**
 * hlsim's own: as ibv_poll_cq, but while there is none waits for the first, at most `timeoutMs`. (C
 * has ibv_get_cq_event for it.) EAGAIN: too many wait for this queue.
 */
export async function waitForCompletions(
  channel: SystemCallChannel,
  cq: VerbsCq,
  entries: number,
  timeoutMs: number,
): Promise<readonly UverbsWc[]> {
  const argument = { cq: cq.handle, entries, timeoutMs };
  const completions = await request(channel, cq.context, 'IB_USER_VERBS_CMD_POLL_CQ', argument);
  return completions as unknown as readonly UverbsWc[];
}

/** EINVAL: not in 1..max_cqe, or fewer than wait in it. */
export async function ibv_resize_cq(
  channel: SystemCallChannel,
  cq: VerbsCq,
  cqe: number,
): Promise<void> {
  await request(channel, cq.context, 'IB_USER_VERBS_CMD_RESIZE_CQ', { cq: cq.handle, cqe });
}

/** EBUSY: a queue pair completes here, or a call waits. */
export async function ibv_destroy_cq(channel: SystemCallChannel, cq: VerbsCq): Promise<void> {
  await request(channel, cq.context, 'IB_USER_VERBS_CMD_DESTROY_CQ', { cq: cq.handle });
}

/** A queue pair in RESET. EINVAL: a limit of the device is exceeded; ENOMEM. */
export async function ibv_create_qp(
  channel: SystemCallChannel,
  pd: VerbsPd,
  init: VerbsQpInitAttr,
): Promise<VerbsQp> {
  const { send_cq, recv_cq, cap, epoch = 0 } = init;
  const argument = {
    pd: pd.handle,
    send_cq: send_cq.handle,
    recv_cq: recv_cq.handle,
    cap: { ...cap },
    epoch,
  };
  const result = await made(channel, pd.context, 'IB_USER_VERBS_CMD_CREATE_QP', argument);
  return { context: pd.context, handle: result.handle, qp_num: result['qp_num'] as number };
}

/**
 * EINVAL: no such transition, an attribute missing, not allowed or out of range; nothing has changed.
 * With an `ah_attr` the host also connects to the peer's host.
 */
export async function ibv_modify_qp(
  channel: SystemCallChannel,
  qp: VerbsQp,
  attr: UverbsQpAttr,
): Promise<void> {
  const argument = { qp: qp.handle, attr: attr as unknown as SystemCallValue };
  await request(channel, qp.context, 'IB_USER_VERBS_CMD_MODIFY_QP', argument);
}

export async function ibv_query_qp(
  channel: SystemCallChannel,
  qp: VerbsQp,
): Promise<IbvQpDescription> {
  const argument = { qp: qp.handle };
  const result = await request(channel, qp.context, 'IB_USER_VERBS_CMD_QUERY_QP', argument);
  return result as unknown as IbvQpDescription;
}

/** Outstanding requests vanish, and completions not yet polled. Waits until its events are acknowledged. */
export async function ibv_destroy_qp(channel: SystemCallChannel, qp: VerbsQp): Promise<void> {
  await request(channel, qp.context, 'IB_USER_VERBS_CMD_DESTROY_QP', { qp: qp.handle });
}

/**
 * Posts one request or a list, in order. Throws `BadWorkRequestError` for the first that is refused:
 * EINVAL: before RTS, or malformed; ENOMEM: the queue is full.
 */
export function ibv_post_send(
  channel: SystemCallChannel,
  qp: VerbsQp,
  requests: UverbsSendWr | readonly UverbsSendWr[],
): Promise<void> {
  return post(channel, qp, 'IB_USER_VERBS_CMD_POST_SEND', requests);
}

/** Posts one receive or a list, as ibv_post_send does. EINVAL in RESET; ENOMEM. */
export function ibv_post_recv(
  channel: SystemCallChannel,
  qp: VerbsQp,
  receives: UverbsRecvWr | readonly UverbsRecvWr[],
): Promise<void> {
  return post(channel, qp, 'IB_USER_VERBS_CMD_POST_RECV', receives);
}

async function post<Wr extends object>(
  channel: SystemCallChannel,
  qp: VerbsQp,
  name: UverbsRequest,
  requests: Wr | readonly Wr[],
): Promise<void> {
  const list = (Array.isArray(requests) ? requests : [requests]).map(plain);
  const answer = await request(channel, qp.context, name, { qp: qp.handle, list });
  const { posted, errno } = answer as { readonly posted: number; readonly errno?: Errno };
  if (errno === undefined) return;
  const { message } = errnoFailure(errno, `request ${posted} of a list of ${list.length}`);
  throw new BadWorkRequestError({ family: 'errno', code: errno, message }, posted);
}

/** Numbers of 64 bits travel as decimal digits. */
function plain(request: object): SystemCallValue {
  const fields = Object.entries(request).map(([name, value]) => [
    name,
    typeof value === 'bigint' ? BigInt.asUintN(64, value).toString() : value,
  ]);
  return Object.fromEntries(fields) as SystemCallValue;
}
