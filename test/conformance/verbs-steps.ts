/** What the files of the verbs suite do over and over: queue pairs in a state, requests, tables. */
import { defined } from '../../common/assert.ts';
import type { IbvAsyncEvent } from '../../node/verbs/async-events.ts';
import { type IbvCq, ibv_create_cq, ibv_poll_cq } from '../../node/verbs/cq.ts';
import type { IbvAccessFlag, IbvMr } from '../../node/verbs/mr.ts';
import { type IbvQp, ibv_create_qp, ibv_modify_qp } from '../../node/verbs/qp.ts';
import type { IbvQpCap } from '../../node/verbs/qp-attributes.ts';
import type { IbvQpAttr, IbvQpState } from '../../node/verbs/qp-state.ts';
import type { IbvWc } from '../../node/verbs/wc.ts';
import type { IbvSendWr, IbvWrOpcode } from '../../node/verbs/work-request.ts';
import { type Host, must, type VerbsWorld } from '../node/verbs/world.ts';

export const EVERY_RIGHT: readonly IbvAccessFlag[] = [
  'IBV_ACCESS_LOCAL_WRITE',
  'IBV_ACCESS_REMOTE_WRITE',
  'IBV_ACCESS_REMOTE_READ',
  'IBV_ACCESS_REMOTE_ATOMIC',
];

const CAP: IbvQpCap = { max_send_wr: 32, max_recv_wr: 8, max_send_sge: 2, max_recv_sge: 2 };

/** The attributes that a first transition to each state takes. */
export const ENTRY_ATTRIBUTES = {
  IBV_QPS_INIT: { pkey_index: 0, port_num: 1, qp_access_flags: EVERY_RIGHT },
  IBV_QPS_RTR: {
    ah_attr: { nodeId: 'host-b' },
    path_mtu: 1024,
    dest_qp_num: 1,
    rq_psn: 0,
    max_dest_rd_atomic: 16,
    min_rnr_timer: 1,
  },
  // 1074 ms: links lose nothing, and however slow the machine is, no test's answer depends on it.
  IBV_QPS_RTS: { sq_psn: 0, max_rd_atomic: 16, retry_cnt: 7, rnr_retry: 1, timeout: 18 },
} as const satisfies Partial<Record<IbvQpState, IbvQpAttr>>;

/** For tests in which the peer never answers: 2 ms, twice. */
export const IMPATIENT = { timeout: 9, retry_cnt: 2 } as const;

/** A queue pair, its completion queue, and what has completed. */
export interface Side {
  readonly host: Host;
  readonly qp: IbvQp;
  readonly cq: IbvCq;
  readonly completions: IbvWc[];
}

export interface SideInit {
  readonly cap?: Partial<IbvQpCap>;
  readonly cqe?: number;
  /** False: completions stay in the queue. */
  readonly reads?: boolean;
  /** Instead of a queue of its own. */
  readonly cq?: IbvCq;
}

/** In RESET. */
export function sideOf(host: Host, { cap, cqe = 64, reads = true, cq: own }: SideInit = {}): Side {
  const completions: IbvWc[] = [];
  const read = () => {
    const polled = reads ? ibv_poll_cq(cq, cqe) : 'EIO';
    if (typeof polled !== 'string') completions.push(...polled);
  };
  const cq: IbvCq = own ?? must(ibv_create_cq(host.context, cqe, read));
  const init = { send_cq: cq, recv_cq: cq, cap: { ...CAP, ...cap }, epoch: 1 };
  return { host, qp: must(ibv_create_qp(host.pd, init)), cq, completions };
}

/** A queue pair on the way to a peer that never answers, in any state that a user can bring about. */
export function sideIn(host: Host, state: IbvQpState, init: SideInit = {}): Side {
  const side = sideOf(host, init);
  const path: readonly IbvQpState[] = {
    IBV_QPS_RESET: [],
    IBV_QPS_INIT: ['IBV_QPS_INIT'],
    IBV_QPS_RTR: ['IBV_QPS_INIT', 'IBV_QPS_RTR'],
    IBV_QPS_RTS: ['IBV_QPS_INIT', 'IBV_QPS_RTR', 'IBV_QPS_RTS'],
    IBV_QPS_SQD: ['IBV_QPS_INIT', 'IBV_QPS_RTR', 'IBV_QPS_RTS', 'IBV_QPS_SQD'],
    IBV_QPS_SQE: [],
    IBV_QPS_ERR: ['IBV_QPS_INIT', 'IBV_QPS_ERR'],
  }[state] as readonly IbvQpState[];
  for (const next of path) must(ibv_modify_qp(side.qp, entry(next)));
  return side;
}

/** The modification that enters `state` for the first time. */
export function entry(state: IbvQpState): IbvQpAttr {
  const attributes: Partial<Record<IbvQpState, IbvQpAttr>> = ENTRY_ATTRIBUTES;
  return { qp_state: state, ...attributes[state] };
}

export interface JoinInit {
  readonly a?: SideInit;
  readonly b?: SideInit;
  /** What differs from `ENTRY_ATTRIBUTES`, at both sides. */
  readonly attributes?: Partial<IbvQpAttr>;
  readonly accessOfB?: readonly IbvAccessFlag[];
}

/** Two queue pairs in RTS, connected by hand as a program with a side channel does it. */
export async function joined(world: VerbsWorld, init: JoinInit = {}): Promise<[Side, Side]> {
  const [a, b] = [sideOf(world.a, init.a), sideOf(world.b, init.b)];
  const more = init.attributes ?? {};
  for (const [side, peer] of [
    [a, b],
    [b, a],
  ] as const) {
    const { transport, address } = peer.host;
    side.host.transport.connect({ nodeId: transport.nodeId, address });
    const access = side === b ? init.accessOfB : undefined;
    const rights = access === undefined ? {} : { qp_access_flags: access };
    must(ibv_modify_qp(side.qp, { ...entry('IBV_QPS_INIT'), ...rights }));
    const ah_attr = { nodeId: transport.nodeId };
    const dest = { ah_attr, dest_qp_num: peer.qp.qp_num };
    must(ibv_modify_qp(side.qp, { ...entry('IBV_QPS_RTR'), ...dest, ...only(more, RTR_NAMES) }));
    must(ibv_modify_qp(side.qp, { ...entry('IBV_QPS_RTS'), ...only(more, RTS_NAMES) }));
  }
  // Requests wait for the link; a first one shows that it is up.
  return [a, b];
}

const RTR_NAMES = ['path_mtu', 'max_dest_rd_atomic', 'min_rnr_timer'] as const;
const RTS_NAMES = ['max_rd_atomic', 'retry_cnt', 'rnr_retry', 'timeout'] as const;

function only(all: Partial<IbvQpAttr>, names: readonly (keyof IbvQpAttr)[]): Partial<IbvQpAttr> {
  return Object.fromEntries(names.filter((name) => name in all).map((name) => [name, all[name]]));
}

export interface RequestInit extends Partial<IbvSendWr> {
  readonly length?: number;
}

/** A signalled request from the start of one region to the start of another. */
export function request(
  opcode: IbvWrOpcode,
  local: IbvMr,
  remote: { readonly addr: number; readonly rkey: number } | undefined,
  { length = 64, ...more }: RequestInit = {},
): IbvSendWr {
  return {
    wr_id: opcode,
    opcode,
    sg_list: [{ lkey: local.lkey, address: local.addr, length }],
    send_flags: ['IBV_SEND_SIGNALED'],
    ...(remote === undefined ? {} : { remote_addr: remote.addr, rkey: remote.rkey }),
    ...more,
  };
}

/** The statuses of everything that has completed, in order. */
export function outcomes({ completions }: Side): string[] {
  return completions.map(({ status }) => status);
}

export function lastOf({ completions }: Side): IbvWc {
  return defined(completions.at(-1), 'a completion');
}

/** Takes and acknowledges every asynchronous event of a host's context. */
export function takeEvents({ context }: Host): IbvAsyncEvent[] {
  const events: IbvAsyncEvent[] = [];
  for (let event = context.asyncEvents.take(); event; event = context.asyncEvents.take()) {
    context.asyncEvents.acknowledge(event);
    events.push(event);
  }
  return events;
}

export function eventNames(host: Host): string[] {
  return takeEvents(host).map(({ event_type }) => event_type);
}
