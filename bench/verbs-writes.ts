/**
 * RDMA writes of 64 bytes from a host to itself over the in-memory provider, posted in batches, with
 * every check that a key asks for: how many per second the verbs layer carries out.
 */
import { assert } from '../common/assert.ts';
import { isErrno } from '../common/errno.ts';
import type { Scheduler } from '../common/scheduler.ts';
import { SimProcess } from '../node/process/sim-process.ts';
import { MemoryNetwork } from '../node/transport/memory-transport.ts';
import {
  type IbvContext,
  type IbvPd,
  ibv_alloc_pd,
  ibv_open_device,
} from '../node/verbs/context.ts';
import { ibv_create_cq, ibv_poll_cq } from '../node/verbs/cq.ts';
import { type IbvMr, ibv_reg_mr } from '../node/verbs/mr.ts';
import { createNic } from '../node/verbs/nic.ts';
import { type IbvQp, ibv_create_qp, ibv_modify_qp, ibv_post_send_list } from '../node/verbs/qp.ts';
import type { IbvSendWr } from '../node/verbs/work-request.ts';

export const WRITE_BYTES = 64;
/** Requests per doorbell, of which the last is signalled; and how many lists are under way. */
export const BATCH = 64;
const BATCHES_UNDER_WAY = 4;
/** Rounds in which the code is compiled; their rates are left out. */
const WARM_UP_ROUNDS = 3;
const MEMORY_BYTES = 1024 * 1024;
const NODE_ID = 'bench';

export interface VerbsBenchInit {
  readonly scheduler: Scheduler;
  readonly rounds: number;
  /** Writes per round, a multiple of `BATCH`. */
  readonly writes: number;
}

/** Writes per second of each round. */
export async function measureWrites({
  scheduler,
  rounds,
  writes,
}: VerbsBenchInit): Promise<number[]> {
  const bench = new WriteBench(scheduler);
  await bench.connect();
  const rates: number[] = [];
  for (let round = 0; round < WARM_UP_ROUNDS + rounds; round++) {
    const startMs = scheduler.clock.now();
    await bench.run(writes);
    const seconds = (scheduler.clock.now() - startMs) / 1000;
    if (round >= WARM_UP_ROUNDS) rates.push(writes / seconds);
  }
  bench.check((WARM_UP_ROUNDS + rounds) * writes);
  await bench.close();
  return rates;
}

class WriteBench {
  readonly #scheduler: Scheduler;
  readonly #network: MemoryNetwork;
  readonly #transport: ReturnType<MemoryNetwork['transport']>;
  readonly #context: IbvContext;
  readonly #pd: IbvPd;
  readonly #sourceBytes = new Uint8Array(new SharedArrayBuffer(MEMORY_BYTES));
  readonly #targetBytes = new Uint8Array(new SharedArrayBuffer(MEMORY_BYTES));
  readonly #source: IbvMr;
  readonly #target: IbvMr;
  readonly #batch: readonly IbvSendWr[];
  readonly #sender: IbvQp;
  readonly #receiver: IbvQp;
  #left = 0;
  #finished: () => void = () => undefined;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
    this.#network = new MemoryNetwork({ scheduler });
    this.#transport = this.#network.transport(NODE_ID);
    const nic = createNic({ transport: this.#transport, scheduler });
    const memory = new SharedArrayBuffer(0);
    const user = new SimProcess({ pid: 1, containerId: NODE_ID, memory });
    this.#context = ibv_open_device(nic, user);
    this.#pd = ibv_alloc_pd(this.#context);
    this.#sourceBytes.forEach((_, index, bytes) => {
      bytes[index] = 1 + (index % 251);
    });
    this.#source = made(ibv_reg_mr(this.#pd, this.#sourceBytes, 0, []));
    const access = ['IBV_ACCESS_LOCAL_WRITE', 'IBV_ACCESS_REMOTE_WRITE'] as const;
    this.#target = made(ibv_reg_mr(this.#pd, this.#targetBytes, 0, access));
    this.#sender = this.#createQp();
    this.#receiver = this.#createQp();
    this.#batch = Array.from({ length: BATCH }, (_, index) => this.#write(index));
  }

  /** Resolves when the loopback link is up and both queue pairs take requests. */
  async connect(): Promise<void> {
    this.#transport.connect({ nodeId: NODE_ID, address: this.#transport.address });
    join(this.#sender, this.#receiver);
    join(this.#receiver, this.#sender);
    await new Promise<void>((resolve) => this.#scheduler.soon(resolve));
  }

  run(writes: number): Promise<void> {
    assert(writes % BATCH === 0, `Expected a multiple of ${BATCH} but found ${writes}`);
    this.#left = writes / BATCH;
    return new Promise((resolve) => {
      this.#finished = resolve;
      for (let count = 0; count < BATCHES_UNDER_WAY; count++) this.#post();
    });
  }

  /** Every write has been executed, and has moved its bytes. */
  check(writes: number): void {
    const found = this.#receiver.counters.writeBytesReceived / WRITE_BYTES;
    assert(found === writes, `Expected ${writes} writes but found ${found}`);
    const span = BATCH * WRITE_BYTES;
    const same = this.#sourceBytes
      .subarray(0, span)
      .every((byte, index) => byte === this.#targetBytes[index]);
    assert(same, 'Expected the bytes of the source at the target');
  }

  async close(): Promise<void> {
    this.#context.nic.close();
    await this.#transport.close();
  }

  #post(): void {
    if (this.#left === 0) {
      if (this.#sender.requester.outstanding === 0) this.#finished();
      return;
    }
    this.#left--;
    const failure = ibv_post_send_list(this.#sender, this.#batch);
    assert(failure === undefined, `Expected a batch to be posted but found ${failure?.errno}`);
  }

  #createQp(): IbvQp {
    const cq = made(
      ibv_create_cq(this.#context, 2 * BATCHES_UNDER_WAY, () => {
        for (const { status } of made(ibv_poll_cq(cq, BATCHES_UNDER_WAY))) {
          assert(status === 'IBV_WC_SUCCESS', `Expected success but found ${status}`);
          this.#post();
        }
      }),
    );
    const max_send_wr = BATCH * BATCHES_UNDER_WAY;
    const cap = { max_send_wr, max_recv_wr: 1, max_send_sge: 1, max_recv_sge: 1 };
    return made(ibv_create_qp(this.#pd, { send_cq: cq, recv_cq: cq, cap, epoch: 1 }));
  }

  #write(index: number): IbvSendWr {
    const offset = (index * WRITE_BYTES) % MEMORY_BYTES;
    return {
      wr_id: index,
      opcode: 'IBV_WR_RDMA_WRITE',
      sg_list: [{ lkey: this.#source.lkey, address: offset, length: WRITE_BYTES }],
      remote_addr: offset,
      rkey: this.#target.rkey,
      send_flags: index === BATCH - 1 ? ['IBV_SEND_SIGNALED'] : [],
    };
  }
}

/** Takes `qp` to RTS, connected to `peer` on the same host. */
function join(qp: IbvQp, peer: IbvQp): void {
  const attributes = [
    {
      qp_state: 'IBV_QPS_INIT',
      pkey_index: 0,
      port_num: 1,
      qp_access_flags: ['IBV_ACCESS_REMOTE_WRITE'],
    },
    {
      qp_state: 'IBV_QPS_RTR',
      ah_attr: { nodeId: NODE_ID },
      path_mtu: 4096,
      dest_qp_num: peer.qp_num,
      rq_psn: 0,
      max_dest_rd_atomic: 1,
      min_rnr_timer: 1,
    },
    {
      qp_state: 'IBV_QPS_RTS',
      sq_psn: 0,
      max_rd_atomic: 1,
      retry_cnt: 7,
      rnr_retry: 7,
      timeout: 18,
    },
  ] as const;
  for (const step of attributes) {
    const errno = ibv_modify_qp(qp, step);
    assert(errno === undefined, `Expected ${step.qp_state} but found ${errno}`);
  }
}

function made<T>(result: T): Exclude<T, string> {
  assert(!isErrno(result), `Expected success but found ${String(result)}`);
  return result as Exclude<T, string>;
}
