/** Two hosts with a NIC each, on a network in memory and in virtual time. */
import { assert, defined } from '../../../common/assert.ts';
import { isErrno } from '../../../common/errno.ts';
import { Prng } from '../../../common/prng.ts';
import { delay, type Scheduler, VirtualScheduler } from '../../../common/scheduler.ts';
import type { DmaBuf, DmaBufOperations } from '../../../node/dmabuf/dma-buf.ts';
import { dma_buf_export, dma_buf_fd } from '../../../node/dmabuf/export.ts';
import { dma_resv_trylock, dma_resv_unlock } from '../../../node/dmabuf/reservation.ts';
import { dma_buf_invalidate_mappings } from '../../../node/dmabuf/revoke.ts';
import { SimProcess } from '../../../node/process/sim-process.ts';
import { MemoryNetwork, type MemoryNetworkInit } from '../../../node/transport/memory-transport.ts';
import type { LinkAddress, Transport } from '../../../node/transport/transport.ts';
import {
  type CmConnectInit,
  type CmConnection,
  type CmService,
  cm_open_service,
} from '../../../node/verbs/cm.ts';
import {
  type IbvContext,
  type IbvPd,
  ibv_alloc_pd,
  ibv_open_device,
} from '../../../node/verbs/context.ts';
import { type IbvCq, ibv_create_cq, ibv_poll_cq } from '../../../node/verbs/cq.ts';
import { type IbvAccessFlag, type IbvMr, ibv_reg_dmabuf_mr } from '../../../node/verbs/mr.ts';
import { createNic, type Nic, type NicInit } from '../../../node/verbs/nic.ts';
import { type IbvQp, ibv_create_qp, ibv_modify_qp } from '../../../node/verbs/qp.ts';
import type { IbvQpCap } from '../../../node/verbs/qp-attributes.ts';
import type { IbvWc } from '../../../node/verbs/wc.ts';

export const ALL_RIGHTS: readonly IbvAccessFlag[] = [
  'IBV_ACCESS_LOCAL_WRITE',
  'IBV_ACCESS_REMOTE_WRITE',
  'IBV_ACCESS_REMOTE_READ',
];

/** Device memory in small: an exporter over plain bytes, cut into segments. */
export class TestMemory {
  readonly bytes: Uint8Array;
  readonly dmaBuf: DmaBuf;
  released = false;

  constructor(
    size: number,
    segmentBytes = size,
    more: Partial<DmaBufOperations> = {},
    bytes: Uint8Array = new Uint8Array(size),
  ) {
    this.bytes = bytes;
    this.dmaBuf = dma_buf_export(
      {
        exporter: 'test',
        map: () => {
          const segments = [];
          for (let at = 0; at < size; at += segmentBytes) {
            const bytes = this.bytes.subarray(at, Math.min(size, at + segmentBytes));
            segments.push({ dmaAddress: at, bytes });
          }
          return segments;
        },
        ...more,
        release: () => {
          this.released = true;
          more.release?.();
        },
      },
      size,
    );
  }

  get view(): DataView {
    return new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
  }

  /** The exporter takes the memory back from every importer that has it mapped now. */
  takeBack(): void {
    assert(dma_resv_trylock(this.dmaBuf.reservation), 'Expected nobody to hold the lock');
    dma_buf_invalidate_mappings(this.dmaBuf);
    dma_resv_unlock(this.dmaBuf.reservation);
  }

  fd(process: SimProcess): number {
    this.dmaBuf.file.get();
    return must(dma_buf_fd(process, this.dmaBuf, 0));
  }
}

export function must<T>(value: T): Exclude<T, string> {
  assert(!isErrno(value), `Expected success but found ${String(value)}`);
  return value as Exclude<T, string>;
}

let lastPid = 100;

/** What a test wants otherwise about its NICs. */
export type HostInit = Omit<NicInit, 'transport' | 'scheduler'>;

/** One host: NIC, process, opened device, domain. */
export class Host {
  readonly transport: Transport;
  readonly nic: Nic;
  readonly process: SimProcess;
  readonly context: IbvContext;
  readonly pd: IbvPd;

  /** Where others dial it. */
  readonly address: LinkAddress;

  constructor(
    transport: Transport,
    scheduler: Scheduler,
    nic: HostInit = {},
    address: LinkAddress = transport.address,
  ) {
    this.transport = transport;
    this.address = address;
    this.nic = createNic({ transport, scheduler, ...nic });
    this.process = new SimProcess({
      pid: lastPid++,
      containerId: transport.nodeId,
      memory: new SharedArrayBuffer(0),
    });
    this.context = ibv_open_device(this.nic, this.process);
    this.pd = ibv_alloc_pd(this.context);
  }

  /** Memory of `size` bytes and its region, addressed from `iova` on. */
  async region(
    size: number,
    access: readonly IbvAccessFlag[] = ALL_RIGHTS,
    iova = 0x10_0000,
  ): Promise<{ memory: TestMemory; mr: IbvMr }> {
    const memory = new TestMemory(size, 4096);
    const fd = memory.fd(this.process);
    return { memory, mr: must(await ibv_reg_dmabuf_mr(this.pd, 0, size, iova, fd, access)) };
  }
}

export interface End {
  readonly host: Host;
  readonly service: CmService;
  readonly connection: CmConnection;
  readonly qp: IbvQp;
  readonly cq: IbvCq;
  /** Everything that has completed so far, in order. */
  readonly completions: IbvWc[];
}

export interface PairInit {
  readonly path_mtu?: number;
  readonly cap?: Partial<IbvQpCap>;
  readonly epochs?: readonly [number, number];
  readonly access?: readonly IbvAccessFlag[];
  readonly cqe?: number;
}

const CAP: IbvQpCap = { max_send_wr: 64, max_recv_wr: 64, max_send_sge: 4, max_recv_sge: 4 };

/** Two hosts on a network, and the means to let time pass. */
export abstract class VerbsWorld {
  abstract readonly scheduler: Scheduler;
  abstract readonly a: Host;
  abstract readonly b: Host;

  /** Lets the world run until the promise settles. */
  abstract settle<T>(promise: Promise<T>): Promise<T>;

  /** Breaks every connection between the hosts once; a redial succeeds. */
  abstract interrupt(): void;

  abstract close(): Promise<void>;

  /** Lets time pass. */
  wait(ms: number): Promise<void> {
    return this.settle(delay(this.scheduler, ms));
  }

  /** Waits until `condition` holds, at most `limitMs`. */
  async until(condition: () => boolean, limitMs = 60_000): Promise<void> {
    const deadline = this.scheduler.clock.now() + limitMs;
    while (!condition()) {
      assert(this.scheduler.clock.now() < deadline, `Expected it within ${limitMs} ms`);
      await this.wait(1);
    }
  }

  /** Two connected ends, of `from` and `to`. */
  async pair(init: PairInit = {}, from = this.a, to = this.b): Promise<[End, End]> {
    const [left, right] = [open(from, init, 0), open(to, init, 1)];
    const ends: [End, End] = [connect(left, right, init), connect(right, left, init)];
    await this.until(() => ends.every(({ connection }) => connection.state === 'connected'));
    return ends;
  }
}

/** In memory and in virtual time. */
export class World extends VerbsWorld {
  readonly scheduler = new VirtualScheduler();
  readonly network: MemoryNetwork;
  readonly a: Host;
  readonly b: Host;

  constructor(
    network: Omit<MemoryNetworkInit, 'scheduler' | 'prng'> & { seed?: number } = {},
    nic: HostInit = {},
  ) {
    super();
    const { seed, ...properties } = network;
    this.network = new MemoryNetwork({
      scheduler: this.scheduler,
      latencyMs: 0.01,
      ...properties,
      ...(seed === undefined ? {} : { prng: new Prng(seed) }),
    });
    this.a = new Host(this.network.transport('host-a'), this.scheduler, nic);
    this.b = new Host(this.network.transport('host-b'), this.scheduler, nic);
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.run(promise, Number.POSITIVE_INFINITY);
  }

  interrupt(): void {
    this.network.partition('host-a', 'host-b');
    this.network.heal('host-a', 'host-b');
  }

  async close(): Promise<void> {
    for (const { nic } of [this.a, this.b]) nic.close();
    for (const { transport } of [this.a, this.b]) await this.settle(transport.close());
  }
}

type Opened = Omit<End, 'connection'>;

export function open(host: Host, init: PairInit, side: 0 | 1): Opened {
  const completions: IbvWc[] = [];
  const cq: IbvCq = must(
    ibv_create_cq(host.context, init.cqe ?? 1024, () => {
      completions.push(...must(ibv_poll_cq(cq, 1024)));
    }),
  );
  const epoch = init.epochs?.[side] ?? 1;
  const cap = { ...CAP, ...init.cap };
  const qp = must(ibv_create_qp(host.pd, { send_cq: cq, recv_cq: cq, cap, epoch }));
  const attributes = { pkey_index: 0, port_num: 1, qp_access_flags: init.access ?? ALL_RIGHTS };
  must(ibv_modify_qp(qp, { qp_state: 'IBV_QPS_INIT', ...attributes }));
  return { host, service: cm_open_service(host.context, epoch), qp, cq, completions };
}

export function connect(end: Opened, other: Opened, init: PairInit): End {
  const options: CmConnectInit = {
    peer: {
      nodeId: other.host.transport.nodeId,
      address: other.host.address,
      serviceId: other.service.id,
    },
    qp: end.qp,
    ...(init.path_mtu === undefined ? {} : { path_mtu: init.path_mtu }),
    onSettled: () => undefined,
  };
  return { ...end, connection: end.service.connect(options) };
}

/** Bytes that differ by position and by `seed`. */
export function pattern(length: number, seed: number): Uint8Array {
  const prng = new Prng(seed);
  return Uint8Array.from({ length }, () => prng.uint32() & 0xff);
}

export function statuses(end: End): string[] {
  return end.completions.map(({ status }) => status);
}

export function last(end: End): IbvWc {
  return defined(end.completions.at(-1), 'a completion');
}
