/** Acts with RDMA verbs. */
import * as hlsim from 'hlsim';
import { printable } from './text.ts';

/** Longest wait for one work completion. */
export const COMPLETION_TIMEOUT_MS = 15_000;
/** How long completions are looked for that should not come. */
const SURPLUS_TIMEOUT_MS = 100;
export const QUEUE_DEPTH = 64;

export const ALL_RIGHTS = [
  'IBV_ACCESS_LOCAL_WRITE',
  'IBV_ACCESS_REMOTE_WRITE',
  'IBV_ACCESS_REMOTE_READ',
  'IBV_ACCESS_REMOTE_ATOMIC',
] as const;

/** Memory of this process that was given out, by address. */
const own = new Map<number, Uint8Array>();

/** An opened NIC with a protection domain. */
export interface Verbs {
  readonly context: hlsim.VerbsContext;
  readonly pd: hlsim.VerbsPd;
}

/** One end of a connection: what its owner uses, and what the other end must know. */
export interface QueuePairEnd {
  readonly qp: hlsim.VerbsQp;
  readonly cq: hlsim.VerbsCq;
  readonly address: hlsim.QueuePairAddress;
}

/** Settings of a connection that a scenario changes. */
export interface ConnectionSettings {
  /** Acknowledgement timeout of 4.096 us x 2^timeout. */
  readonly timeout?: number;
}

/** Memory of the actor's own process that the NIC may use. */
export interface HostRegion {
  readonly address: number;
  readonly length: number;
  readonly mr: hlsim.VerbsMr;
}

export const VERBS_ACTS = {
  async openVerbs(): Promise<Verbs> {
    const context = await hlsim.ibv_open_device();
    return { context, pd: await hlsim.ibv_alloc_pd(context) };
  },

  /** Registers a whole dma-buf for RDMA, at address 0, with every right. */
  registerDmaBuf: (verbs: Verbs, fd: number, bytes: number) =>
    hlsim.ibv_reg_dmabuf_mr(verbs.pd, 0, bytes, 0, fd, ALL_RIGHTS),

  deregister: (mr: hlsim.VerbsMr) => hlsim.ibv_dereg_mr(mr),

  regionState: async (mr: hlsim.VerbsMr) => (await hlsim.ibv_query_mr(mr)).state,

  /** Zeroed memory of this process, registered with every right. */
  async registerOwn(verbs: Verbs, length: number): Promise<HostRegion> {
    const { address, bytes } = hlsim.hostMemoryAlloc(length);
    own.set(address, bytes);
    const mr = await hlsim.ibv_reg_mr(verbs.pd, address, length, ALL_RIGHTS);
    return { address, length, mr };
  },

  /** What lies in it; bytes that are no text show as dots. */
  show: async (region: HostRegion) => printable(bytesOf(region)),

  async put(region: HostRegion, text: string) {
    bytesOf(region).set(new TextEncoder().encode(text));
  },

  async makeQueuePair(verbs: Verbs): Promise<QueuePairEnd> {
    const cq = await hlsim.ibv_create_cq(verbs.context, 2 * QUEUE_DEPTH);
    const cap = {
      max_send_wr: QUEUE_DEPTH,
      max_recv_wr: QUEUE_DEPTH,
      max_send_sge: 1,
      max_recv_sge: 1,
    };
    const qp = await hlsim.ibv_create_qp(verbs.pd, { send_cq: cq, recv_cq: cq, cap });
    await hlsim.initQueuePair(qp);
    return { qp, cq, address: await hlsim.queuePairAddress(qp) };
  },

  connect: (end: QueuePairEnd, peer: QueuePairEnd, settings: ConnectionSettings = {}) =>
    hlsim.connectQueuePair(end.qp, peer.address, settings),

  /** RDMA READ of `length` bytes into own memory: the status of its completion. */
  rdmaRead: (end: QueuePairEnd, into: HostRegion, remote: number, rkey: number, length: number) =>
    completed(end, {
      wr_id: 1,
      opcode: 'IBV_WR_RDMA_READ',
      sg_list: [{ lkey: into.mr.lkey, address: into.address, length }],
      send_flags: ['IBV_SEND_SIGNALED'],
      remote_addr: remote,
      rkey,
    }),

  /** RDMA WRITE of `length` bytes out of own memory: the status of its completion. */
  rdmaWrite: (end: QueuePairEnd, from: HostRegion, remote: number, rkey: number, length: number) =>
    completed(end, {
      wr_id: 1,
      opcode: 'IBV_WR_RDMA_WRITE',
      sg_list: [{ lkey: from.mr.lkey, address: from.address, length }],
      send_flags: ['IBV_SEND_SIGNALED'],
      remote_addr: remote,
      rkey,
    }),

  /** RDMA WRITE out of any region, a dma-buf's too. */
  async rdmaWriteFrom(
    end: QueuePairEnd,
    from: hlsim.VerbsMr,
    remote: number,
    rkey: number,
    length: number,
  ) {
    return completed(end, {
      wr_id: 1,
      opcode: 'IBV_WR_RDMA_WRITE',
      sg_list: [{ lkey: from.lkey, address: from.addr, length }],
      send_flags: ['IBV_SEND_SIGNALED'],
      remote_addr: remote,
      rkey,
    });
  },

  /** Posts `count` writes without waiting for any. */
  async postWrites(
    end: QueuePairEnd,
    from: hlsim.VerbsMr,
    remote: number,
    rkey: number,
    length: number,
    count: number,
  ) {
    await hlsim.ibv_post_send(
      end.qp,
      Array.from({ length: count }, (_, index) => ({
        wr_id: index,
        opcode: 'IBV_WR_RDMA_WRITE' as const,
        sg_list: [{ lkey: from.lkey, address: from.addr, length }],
        send_flags: ['IBV_SEND_SIGNALED'] as const,
        remote_addr: remote,
        rkey,
      })),
    );
  },

  /** The next `count` completions, by status. */
  collect: (end: QueuePairEnd, count: number) => collect(end, count),

  /** `count` atomic additions of 1, one after the other: the statuses. */
  async fetchAndAdd(
    end: QueuePairEnd,
    into: HostRegion,
    remote: number,
    rkey: number,
    count: number,
  ) {
    await hlsim.ibv_post_send(
      end.qp,
      Array.from({ length: count }, (_, index) => ({
        wr_id: index,
        opcode: 'IBV_WR_ATOMIC_FETCH_AND_ADD' as const,
        sg_list: [{ lkey: into.mr.lkey, address: into.address, length: 8 }],
        send_flags: ['IBV_SEND_SIGNALED'] as const,
        remote_addr: remote,
        rkey,
        compare_add: 1,
      })),
    );
    return collect(end, count);
  },

  /** The 64-bit number at the start of own memory. */
  async number(region: HostRegion) {
    const { buffer, byteOffset } = bytesOf(region);
    return Number(new DataView(buffer, byteOffset, 8).getBigUint64(0, true));
  },
} as const;

function bytesOf({ address }: HostRegion): Uint8Array {
  const bytes = own.get(address);
  if (bytes === undefined) throw new Error(`Expected memory of this process at ${address}`);
  return bytes;
}

async function completed(end: QueuePairEnd, request: hlsim.UverbsSendWr): Promise<string> {
  await hlsim.ibv_post_send(end.qp, request);
  const [completion] = await hlsim.waitForCompletions(end.cq, 1, COMPLETION_TIMEOUT_MS);
  return completion?.status ?? `no completion within ${COMPLETION_TIMEOUT_MS} ms`;
}

async function collect(end: QueuePairEnd, count: number): Promise<Record<string, number>> {
  const statuses: Record<string, number> = {};
  for (let seen = 0; seen < count; ) {
    const found = await hlsim.waitForCompletions(end.cq, count - seen, COMPLETION_TIMEOUT_MS);
    if (found.length === 0) {
      statuses['no completion'] = count - seen;
      break;
    }
    for (const { status } of found) statuses[status] = (statuses[status] ?? 0) + 1;
    seen += found.length;
  }
  // Exactly that many: one more is as wrong as one less.
  const surplus = await hlsim.waitForCompletions(end.cq, count, SURPLUS_TIMEOUT_MS);
  if (surplus.length > 0) statuses['too many'] = surplus.length;
  return statuses;
}
