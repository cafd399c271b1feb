/** Queue pairs and what is posted on them. */
import { REDIAL_MARGIN_MS } from '../../../../node/transport/outbound-link.ts';
import { REDIAL_MS } from '../../../../node/transport/transport.ts';
import { ibv_create_cq, ibv_destroy_cq } from '../../../../node/verbs/cq.ts';
import {
  type IbvQp,
  ibv_create_qp,
  ibv_destroy_qp,
  ibv_modify_qp,
} from '../../../../node/verbs/qp.ts';
import type { IbvQpAttr } from '../../../../node/verbs/qp-state.ts';
import { connectionOver, poll } from '../completions.ts';
import { type Connection, type End, peerOf } from '../connection.ts';
import { GRANULE_BYTES } from '../shadow-device.ts';
import type { SimulatedUser } from '../simulated-user.ts';
import type { World } from '../world.ts';

import type { Operation } from './operation.ts';
import { INLINE_GRANULES, post } from './posting.ts';
import { verbsOf } from './registration-operations.ts';
import { chooseTransfer, TRANSFERS } from './transfers.ts';

const CONNECTIONS_MAX = 8;
const CAP = {
  max_send_wr: 16,
  max_recv_wr: 16,
  max_send_sge: 2,
  max_recv_sge: 2,
  max_inline_data: INLINE_GRANULES * GRANULE_BYTES,
};
const CQE = 64;
/** Small, so that a slot takes several frames. */
const PATH_MTU = 1024;
/** 4.096 us x 2^12: 17 ms. */
const ACK_TIMEOUT = 12;

function must<T>(value: T): Exclude<T, string> {
  if (typeof value === 'string') throw new Error(`Expected success but found ${value}`);
  return value as Exclude<T, string>;
}

function openEnd(user: SimulatedUser, connection: () => Connection): End {
  const { context, pd } = verbsOf(user);
  const cq = must(ibv_create_cq(context, CQE, () => undefined));
  const qp = must(ibv_create_qp(pd, { send_cq: cq, recv_cq: cq, cap: CAP, epoch: 1 }));
  must(
    ibv_modify_qp(qp, {
      qp_state: 'IBV_QPS_INIT',
      pkey_index: 0,
      port_num: 1,
      qp_access_flags: [
        'IBV_ACCESS_LOCAL_WRITE',
        'IBV_ACCESS_REMOTE_WRITE',
        'IBV_ACCESS_REMOTE_READ',
        'IBV_ACCESS_REMOTE_ATOMIC',
      ],
    }),
  );
  const end: End = {
    user,
    cq,
    qp,
    connection,
    sends: [],
    receives: [],
    incoming: [],
    failed: undefined,
    state: 'open',
  };
  user.ends.add(end);
  return end;
}

function ready(end: End, peer: End): void {
  const { transport } = end.user.host.host.nic;
  const { nodeId, address } = peer.user.host.host.nic.transport;
  transport.connect({ nodeId, address });
  must(
    ibv_modify_qp(end.qp, {
      qp_state: 'IBV_QPS_RTR',
      ah_attr: { nodeId },
      path_mtu: PATH_MTU,
      dest_qp_num: peer.qp.qp_num,
      rq_psn: peer.qp.qp_num,
      max_dest_rd_atomic: 4,
      min_rnr_timer: 12,
    }),
  );
  must(
    ibv_modify_qp(end.qp, {
      qp_state: 'IBV_QPS_RTS',
      sq_psn: end.qp.qp_num,
      max_rd_atomic: 4,
      retry_cnt: 7,
      rnr_retry: 6,
      timeout: ACK_TIMEOUT,
    }),
  );
}

/** Also for a while after a partition: links that are not up again in time are given up. */
function areApart(world: World, a: SimulatedUser, b: SimulatedUser): boolean {
  const [one, other] = [a.host.index, b.host.index];
  const now = world.scheduler.clock.now();
  return [`${one} ${other}`, `${other} ${one}`].some((pair) => {
    const healedAtMs = world.healedAtMs.get(pair) ?? Number.NEGATIVE_INFINITY;
    return world.partitions.has(pair) || now - healedAtMs < REDIAL_MS + REDIAL_MARGIN_MS;
  });
}

function connect(world: World, a: SimulatedUser, b: SimulatedUser): string {
  const first = openEnd(a, () => connection);
  const second = openEnd(b, () => connection);
  const connection: Connection = {
    number: world.number(),
    ends: [first, second],
    works: [],
    receiveRegions: [],
    disturbed: areApart(world, a, b) ? 'their hosts are or were apart' : undefined,
    failed: false,
  };
  world.connections.push(connection);
  for (const end of connection.ends) {
    world.ends.set(`${end.user.host.index}/${end.qp.qp_num}`, end);
    ready(end, peerOf(end));
  }
  return `${connection.number}: ${a.name} qp ${first.qp.qp_num} - ${b.name} qp ${second.qp.qp_num}`;
}

export async function disconnect(world: World, connection: Connection): Promise<string> {
  for (const end of connection.ends) {
    if (end.state === 'destroyed') continue;
    end.state = 'destroyed';
    end.user.ends.delete(end);
    await ibv_destroy_qp(end.qp);
    const busy = ibv_destroy_cq(end.cq);
    world.findings.check(
      'I13',
      busy === undefined,
      () => `Expected a completion queue without queue pairs to go but found ${busy}`,
    );
  }
  connectionOver(world, connection);
  return `${connection.number}`;
}

/** From RTS or the error state, none of these is legal. */
const BAD_CHANGES: readonly IbvQpAttr[] = [
  { qp_state: 'IBV_QPS_INIT', pkey_index: 0, port_num: 1, qp_access_flags: [] },
  { qp_state: 'IBV_QPS_RTR', dest_qp_num: 1 },
  { path_mtu: 256 },
  { qp_state: 'IBV_QPS_RTS', retry_cnt: 9 },
];

function badModify(world: World, qp: IbvQp, change: IbvQpAttr): string {
  const before = JSON.stringify({ state: qp.state, attributes: qp.attributes });
  const errno = ibv_modify_qp(qp, change);
  const after = JSON.stringify({ state: qp.state, attributes: qp.attributes });
  world.findings.check(
    'I36',
    errno === 'EINVAL' && before === after,
    () =>
      `Expected an illegal change of qp ${qp.qp_num} to change nothing but found ${errno}, ${after}`,
  );
  return `qp ${qp.qp_num} ${errno ?? 'ok'}`;
}

export const VERBS_OPERATIONS: readonly Operation[] = [
  {
    kind: 'connect',
    weight: 12,
    prepare(world) {
      const choices = world.users.filter(({ regions }) => regions.size > 0);
      if (choices.length < 2 || world.connections.length >= CONNECTIONS_MAX) return undefined;
      const a = world.pick(choices);
      const b = world.pick(choices.filter((user) => user !== a));
      return async () => connect(world, a, b);
    },
  },
  {
    kind: 'disconnect',
    weight: 5,
    prepare(world) {
      const broken = world.connections.filter(
        ({ failed, ends }) => failed || ends.some(({ state }) => state === 'destroyed'),
      );
      const choices = broken.length > 0 || world.chance(0.8) ? broken : world.connections;
      if (choices.length === 0) return undefined;
      const connection = world.pick(choices);
      return () => disconnect(world, connection);
    },
  },
  {
    kind: 'badModify',
    weight: 2,
    prepare(world) {
      const choices = world.connections
        .flatMap(({ ends }) => ends)
        .filter(({ state }) => state === 'open');
      if (choices.length === 0) return undefined;
      const { qp } = world.pick(choices);
      const change = world.pick(BAD_CHANGES);
      return async () => badModify(world, qp, change);
    },
  },
  {
    kind: 'poll',
    weight: 30,
    prepare(world) {
      const choices = world.connections
        .flatMap(({ ends }) => ends)
        .filter(({ state, cq }) => state === 'open' && cq.length > 0);
      if (choices.length === 0) return undefined;
      const end = world.pick(choices);
      return async () => `qp ${end.qp.qp_num}: ${poll(world, end, 16)}`;
    },
  },
  ...TRANSFERS.map(
    ({ kind, weight }): Operation => ({
      kind,
      weight,
      prepare(world) {
        const transfer = chooseTransfer(world, kind);
        return transfer && (async () => post(world, transfer));
      },
    }),
  ),
];
