/** The verbs device's requests about completion queues and queue pairs. */
import { type Errno, isErrno } from '../../common/errno.ts';
import { errnoFailure, type SystemCallValue } from '../process/system-call.ts';
import {
  arrayField,
  field,
  integerField,
  type SystemCallRecord,
} from '../process/system-call-argument.ts';
import { ibv_resize_cq } from './cq.ts';
import {
  type IbvQp,
  ibv_create_qp,
  ibv_destroy_qp,
  ibv_modify_qp,
  ibv_post_recv,
  ibv_post_send,
} from './qp.ts';
import { qpAttrOf, qpCapOf, recvWrOf, sendWrOf, uint32Field } from './uverbs-arguments.ts';
import { createUverbsCq } from './uverbs-cq.ts';
import { eventsAcknowledged } from './uverbs-events.ts';
import {
  create,
  objectField,
  succeed,
  timeoutField,
  type UverbsHandler,
} from './uverbs-request.ts';
import { POLL_ENTRIES_MAX, POST_LIST_MAX } from './uverbs-uapi.ts';

/** Epoch of queue pairs whose user names none. */
const EPOCH_DEFAULT = 0;

export const createCq: UverbsHandler = (file, _caller, argument) => {
  const cqe = integerField(argument, 'cqe');
  const make = () => createUverbsCq(file.context, cqe);
  return { handle: create(file.cqs, `ibv_create_cq for ${cqe} completions`, make).handle };
};

/** Up to `entries` completions; waits for the first at most `timeoutMs`. None is no error. */
export const pollCq: UverbsHandler = async (file, caller, argument) => {
  const cq = objectField(file.cqs, argument, 'cq');
  const entries = integerField(argument, 'entries');
  const timeoutMs = timeoutField(argument);
  if (entries < 1 || entries > POLL_ENTRIES_MAX) {
    const expected = `expected 1 to ${POLL_ENTRIES_MAX} entries`;
    throw errnoFailure('EINVAL', `${expected} but found ${entries}`);
  }
  const completions = succeed(await cq.poll(caller, entries, timeoutMs), 'ibv_poll_cq');
  return completions as unknown as SystemCallValue;
};

export const resizeCq: UverbsHandler = (file, _caller, argument) => {
  const { cq } = objectField(file.cqs, argument, 'cq');
  const cqe = integerField(argument, 'cqe');
  succeed(ibv_resize_cq(cq, cqe), `ibv_resize_cq to ${cqe} completions`);
  return undefined;
};

export const destroyCq: UverbsHandler = async (file, _caller, argument) => {
  const cq = objectField(file.cqs, argument, 'cq');
  succeed(cq.destroy(), 'ibv_destroy_cq');
  file.cqs.delete(integerField(argument, 'cq'));
  await eventsAcknowledged(file, cq.cq);
  return undefined;
};

export const createQp: UverbsHandler = (file, _caller, argument) => {
  const pd = objectField(file.pds, argument, 'pd');
  const send_cq = objectField(file.cqs, argument, 'send_cq').cq;
  const recv_cq = objectField(file.cqs, argument, 'recv_cq').cq;
  const cap = qpCapOf(field(argument, 'cap'));
  const hasEpoch = field(argument, 'epoch') !== undefined;
  const epoch = hasEpoch ? uint32Field(argument, 'epoch') : EPOCH_DEFAULT;
  const make = () => ibv_create_qp(pd, { send_cq, recv_cq, cap, epoch });
  const { handle, object } = create(file.qps, 'ibv_create_qp', make);
  return { handle, qp_num: object.qp_num };
};

/** With an address handle it also makes the host connect to the peer's. */
export const modifyQp: UverbsHandler = (file, _caller, argument) => {
  const qp = objectField(file.qps, argument, 'qp');
  const attributes = qpAttrOf(field(argument, 'attr'));
  const what = `ibv_modify_qp of a queue pair in ${qp.state}`;
  const peer = attributes.ah_attr;
  if (peer !== undefined && !file.mayReach(peer.nodeId)) throw errnoFailure('ENOMEM', what);
  succeed(ibv_modify_qp(qp, attributes), what);
  if (peer !== undefined) file.connect(peer);
  return undefined;
};

export const queryQp: UverbsHandler = (file, _caller, argument) => {
  const qp = objectField(file.qps, argument, 'qp');
  const { qp_num, state, attributes, cap } = qp;
  return { qp_num, qp_state: state, ...attributes, cap: { ...cap } } as unknown as SystemCallValue;
};

export const destroyQp: UverbsHandler = async (file, _caller, argument) => {
  const qp = objectField(file.qps, argument, 'qp');
  file.qps.delete(integerField(argument, 'qp'));
  ibv_destroy_qp(qp);
  await eventsAcknowledged(file, qp);
  return undefined;
};

export const postSend: UverbsHandler = (file, caller, argument) => {
  const read = (value: SystemCallValue) => sendWrOf(caller, value);
  return post(objectField(file.qps, argument, 'qp'), argument, read, ibv_post_send);
};

export const postRecv: UverbsHandler = (file, _caller, argument) =>
  post(objectField(file.qps, argument, 'qp'), argument, recvWrOf, ibv_post_recv);

/** The whole list is read first: one that is malformed posts nothing. Ends at the first refusal. */
function post<Wr>(
  qp: IbvQp,
  argument: SystemCallRecord,
  read: (value: SystemCallValue) => Wr,
  postOne: (qp: IbvQp, wr: Wr) => Errno | undefined,
): SystemCallValue {
  const requests = arrayField(argument, 'list', POST_LIST_MAX).map(read);
  for (const [posted, wr] of requests.entries()) {
    const errno = postOne(qp, wr);
    if (isErrno(errno)) return { posted, errno };
  }
  return { posted: requests.length };
}
