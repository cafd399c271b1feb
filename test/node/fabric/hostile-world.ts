/** A peer that does not keep to the protocol above verbs: it has queue pairs, and posts what it likes. */
import { expect } from 'vitest';
import { assert } from '../../../common/assert.ts';
import { isErrno } from '../../../common/errno.ts';
import { fi_av_insert } from '../../../node/fabric/av.ts';
import { outboundServiceOf } from '../../../node/fabric/connection.ts';
import { encodeEndpointName } from '../../../node/fabric/endpoint-name.ts';
import { FI_ADDR_UNSPEC } from '../../../node/fabric/fabric.ts';
import {
  MESSAGE_HEADER_BYTES,
  type MessageHeader,
  writeMessageHeader,
} from '../../../node/fabric/message-header.ts';
import { openQueuePair, RECV_DEPTH } from '../../../node/fabric/queue-pair.ts';
import { fi_trecv, fi_tsend } from '../../../node/fabric/tagged.ts';
import { cm_open_service } from '../../../node/verbs/cm.ts';
import { ibv_poll_cq } from '../../../node/verbs/cq.ts';
import { ibv_reg_mr } from '../../../node/verbs/mr.ts';
import { type IbvQp, ibv_post_recv, ibv_post_send } from '../../../node/verbs/qp.ts';
import { type FabricWorld, host, type Rank, text } from './world.ts';

/** Room for one message of the victim's. */
const RECEIVE_BYTES = 512;

const HEADER: MessageHeader = {
  kind: 'EAGER',
  tagged: true,
  tag: 1n,
  data: undefined,
  wantsAck: false,
  outcome: 'DONE',
  length: 0,
  sequence: 1,
};

/** A SEND of an endpoint, with whatever header. */
export function send(header: Partial<MessageHeader>, body = 0): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_HEADER_BYTES + body).fill(0xee);
  writeMessageHeader({ ...HEADER, ...header }, bytes);
  return bytes;
}

/**
 * A victim, and an attacker that speaks verbs and says what it likes. `heard`: what the victim's endpoint has
 * said to the attacker, in order.
 */
export async function attack<World extends FabricWorld>(world: World) {
  const [victim, attacker] = [world.rank(0), world.rank(1)];
  const { context, nic } = attacker.domain;
  const [inbound, outbound] = [cm_open_service(context, 1), cm_open_service(context, 1)];
  assert(outbound.id === outboundServiceOf(inbound.id), 'Expected services in a row');
  const { nodeId, address } = nic.transport;
  fi_av_insert(victim.av, [encodeEndpointName({ nodeId, address, serviceId: inbound.id })]);
  const user = { epoch: 1, onCompletion: () => undefined, onEvent: () => undefined };
  const sender = openQueuePair(attacker.domain, 'outbound', user);
  const receiver = openQueuePair(attacker.domain, 'inbound', user);
  const memory = new Uint8Array(RECV_DEPTH * RECEIVE_BYTES);
  const mr = ibv_reg_mr(attacker.domain.pd, memory, 0, ['IBV_ACCESS_LOCAL_WRITE']);
  assert(!isErrno(mr), 'Expected a region');
  for (let index = 0; index < RECV_DEPTH; index++) {
    const sge = { lkey: mr.lkey, address: index * RECEIVE_BYTES, length: RECEIVE_BYTES };
    ibv_post_recv(receiver, { wr_id: index, sg_list: [sge] });
  }
  const { services, domain } = victim.endpoint;
  const peer = { nodeId: domain.nic.transport.nodeId, address: domain.nic.transport.address };
  const onSettled = () => undefined;
  outbound.connect({ peer: { ...peer, serviceId: services.inbound.id }, qp: sender, onSettled });
  inbound.connect({ peer: { ...peer, serviceId: services.outbound.id }, qp: receiver, onSettled });
  await world.until(() => victim.endpoint.connection(0)?.isConnected === true);
  const heard = (): Uint8Array[] => {
    const completions = ibv_poll_cq(receiver.recv_cq, RECV_DEPTH);
    assert(!isErrno(completions), 'Expected a queue as long as the receive queue');
    return completions.map(({ wr_id, byte_len }) => {
      const start = Number(wr_id) * RECEIVE_BYTES;
      return memory.slice(start, start + byte_len);
    });
  };
  return { world, victim, attacker, sender, heard };
}

/** Posts bytes of the attacker's, whatever they are. */
export function post(qp: IbvQp, bytes: Uint8Array): void {
  const mr = ibv_reg_mr(qp.pd, bytes, 0, []);
  assert(!isErrno(mr), 'Expected a region');
  const sg_list = [{ lkey: mr.lkey, address: 0, length: bytes.byteLength }];
  ibv_post_send(qp, { wr_id: 0, opcode: 'IBV_WR_SEND', sg_list });
}

/** The victim is done with the peer, and fine otherwise. */
export function expectAborted({ endpoint }: Rank): void {
  expect(fi_tsend(endpoint, host(text('x')), 0, 1n, 's')).toBe('FI_ECONNABORTED');
  expect(fi_trecv(endpoint, new Uint8Array(4), 0, 1n, 0n, 'r')).toBe('FI_ECONNABORTED');
  expect(fi_trecv(endpoint, new Uint8Array(4), FI_ADDR_UNSPEC, 1n, 0n, 'r')).toBeUndefined();
}
