/** Processes with a fabric domain and an endpoint each, and a network in memory and in virtual time. */
import { assert, defined } from '../../../common/assert.ts';
import { Prng } from '../../../common/prng.ts';
import { delay, type Scheduler, VirtualScheduler } from '../../../common/scheduler.ts';
import { type FiAv, fi_av_insert, fi_av_open } from '../../../node/fabric/av.ts';
import { type FiCq, fi_cq_open, fi_cq_read, fi_cq_readerr } from '../../../node/fabric/cq.ts';
import { type FiDomain, fi_domain, fi_fabric } from '../../../node/fabric/domain.ts';
import {
  type FiBindFlag,
  type FiEndpoint,
  fi_enable,
  fi_endpoint,
  fi_ep_bind,
  fi_getname,
} from '../../../node/fabric/endpoint.ts';
import {
  type FiAccess,
  type FiBuffer,
  type FiCompletion,
  type FiCompletionError,
  type FiErrno,
  type FiInfo,
  type FiMr,
  isFiErrno,
} from '../../../node/fabric/fabric.ts';
import { fi_getinfo } from '../../../node/fabric/info.ts';
import { fi_mr_regattr } from '../../../node/fabric/mr.ts';
import { SimProcess } from '../../../node/process/sim-process.ts';
import { MemoryNetwork, type MemoryNetworkInit } from '../../../node/transport/memory-transport.ts';
import type { MachineMemory } from '../../../node/verbs/machine-memory.ts';
import { createNic, type Nic } from '../../../node/verbs/nic.ts';
import { TestMemory } from '../verbs/world.ts';

export function ok<T>(value: T): Exclude<T, FiErrno> {
  assert(!isFiErrno(value), `Expected success but found ${String(value)}`);
  return value as Exclude<T, FiErrno>;
}

export const EVERY_ACCESS: readonly FiAccess[] = [
  'FI_SEND',
  'FI_RECV',
  'FI_READ',
  'FI_WRITE',
  'FI_REMOTE_READ',
  'FI_REMOTE_WRITE',
];

let lastPid = 1;

export interface RankInit {
  readonly epoch?: number;
  readonly cqSize?: number;
  /** What it asks fi_getinfo for. */
  readonly hints?: FiInfo;
  /** What completes in its queue; default both directions. */
  readonly cqFlags?: readonly FiBindFlag[];
  /** FI_PROVIDER. */
  readonly providers?: string;
  /** What its memory is made of, instead of plain bytes. */
  readonly memory?: (size: number) => TestMemory;
  /** Before `register` resolves. */
  readonly onRegistered?: (mr: FiMr) => Promise<void>;
  /** Binds more before the endpoint is enabled. */
  readonly bind?: (rank: Rank) => void;
}

/** A process on a host, its domain, and one endpoint with its queue and addresses. */
export class Rank {
  readonly nic: Nic;
  readonly process: SimProcess;
  readonly info: FiInfo;
  readonly domain: FiDomain;
  readonly av: FiAv;
  readonly cq: FiCq;
  readonly endpoint: FiEndpoint;
  readonly completions: FiCompletion[] = [];
  readonly errors: FiCompletionError[] = [];
  /** False: completions stay in the queue until `drain()`. */
  reading = true;
  notified = 0;
  progressed = 0;
  onProgress: () => void = () => undefined;
  /** Called after completions have been read. */
  onRead: () => void = () => undefined;
  readonly #init: RankInit;

  constructor(nic: Nic, init: RankInit = {}) {
    const { epoch = 1, cqSize = 1024, hints, cqFlags, bind, providers = '' } = init;
    this.nic = nic;
    this.#init = init;
    this.process = new SimProcess({
      pid: lastPid++,
      containerId: 'c',
      memory: new SharedArrayBuffer(0),
    });
    this.info = defined(ok(fi_getinfo(nic, hints, { providers }))[0], 'an info');
    const domain = fi_domain(fi_fabric(this.info), this.info, { nic, process: this.process });
    this.domain = ok(domain);
    this.av = fi_av_open(this.domain);
    const onCompletion = () => {
      this.notified++;
      if (!this.reading) return;
      this.drain();
      this.onRead();
    };
    this.cq = ok(fi_cq_open(this.domain, { size: cqSize, onCompletion }));
    const onProgress = () => {
      this.progressed++;
      this.onProgress();
    };
    this.endpoint = ok(fi_endpoint(this.domain, this.info, { epoch, onProgress }));
    ok(fi_ep_bind(this.endpoint, this.av));
    ok(fi_ep_bind(this.endpoint, this.cq, cqFlags));
    bind?.(this);
    ok(fi_enable(this.endpoint));
  }

  get name(): Uint8Array {
    return fi_getname(this.endpoint);
  }

  drain(): void {
    for (;;) {
      const read = fi_cq_read(this.cq, 8);
      if (read === 'FI_EAGAIN') return;
      if (read === 'FI_EAVAIL') {
        const error = fi_cq_readerr(this.cq);
        assert(error !== 'FI_EAGAIN', 'Expected an error');
        this.errors.push(error);
      } else {
        assert(read !== 'FI_EOVERRUN', 'Expected no overrun');
        this.completions.push(...read);
      }
    }
  }

  async register(
    size: number,
    access = EVERY_ACCESS,
  ): Promise<{ memory: TestMemory; mr: FiMr; fd: number }> {
    const memory = this.#init.memory?.(size) ?? new TestMemory(size, 4096);
    const fd = memory.fd(this.process);
    const dmabuf = { fd, offset: 0, len: size, base_addr: 0x20_0000 };
    const attr = { dmabuf, access, iface: 'FI_HMEM_SYNAPSEAI' } as const;
    const mr = ok(await fi_mr_regattr(this.domain, attr, ['FI_MR_DMABUF']));
    await this.#init.onRegistered?.(mr);
    return { memory, mr, fd };
  }
}

/** Ranks on hosts of their own, on whichever network. */
export abstract class RankWorld {
  abstract readonly scheduler: Scheduler;
  abstract readonly ranks: readonly Rank[];
  /** Lets the world run until the promise settles. */
  abstract settle<T>(promise: Promise<T>): Promise<T>;
  /** The rank's host is gone, without a word. */
  abstract kill(rank: number): Promise<void>;
  abstract close(): Promise<void>;

  rank(index: number): Rank {
    return defined(this.ranks[index], `rank ${index}`);
  }

  /** Every rank inserts every rank, itself too: address = rank. */
  introduce(): void {
    const names = this.ranks.map(({ name }) => name);
    for (const { av } of this.ranks) fi_av_insert(av, names);
  }

  wait(ms: number): Promise<void> {
    return this.settle(delay(this.scheduler, ms));
  }

  async until(condition: () => boolean, limitMs = 60_000): Promise<void> {
    const deadline = this.scheduler.clock.now() + limitMs;
    while (!condition()) {
      assert(this.scheduler.clock.now() < deadline, `Expected it within ${limitMs} ms`);
      await this.wait(1);
    }
  }

  /** Posts until it is accepted. */
  async post(call: () => FiErrno | undefined): Promise<void> {
    await this.until(() => {
      const answer = call();
      assert(answer === undefined || answer === 'FI_EAGAIN', `Expected it to work: ${answer}`);
      return answer === undefined;
    });
  }
}

export interface FabricWorldInit extends Omit<MemoryNetworkInit, 'scheduler' | 'prng'> {
  readonly seed?: number;
  /** Of each rank. */
  readonly rank?: (index: number) => RankInit;
  /** Of the NIC of a host. */
  readonly machine?: (nodeId: string) => MachineMemory;
}

export class FabricWorld extends RankWorld {
  readonly scheduler = new VirtualScheduler();
  readonly network: MemoryNetwork;
  readonly ranks: readonly Rank[];
  readonly #machine: FabricWorldInit['machine'];

  constructor(nranks: number, init: FabricWorldInit = {}) {
    super();
    const { seed, rank: initOf, machine, ...properties } = init;
    this.#machine = machine;
    this.network = new MemoryNetwork({
      scheduler: this.scheduler,
      latencyMs: 0.01,
      ...properties,
      ...(seed === undefined ? {} : { prng: new Prng(seed) }),
    });
    this.ranks = Array.from({ length: nranks }, (_, index) => this.join(index, initOf?.(index)));
  }

  /** One more rank, on host `index`, which must be new. */
  join(index: number, init?: RankInit): Rank {
    const nodeId = `host-${index}`;
    const transport = this.network.transport(nodeId);
    const machine = this.#machine?.(nodeId);
    const shared = machine === undefined ? {} : { machine };
    return new Rank(createNic({ transport, scheduler: this.scheduler, ...shared }), init);
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.run(promise, Number.POSITIVE_INFINITY);
  }

  kill(rank: number): Promise<void> {
    this.network.kill(`host-${rank}`);
    return Promise.resolve();
  }

  async close(): Promise<void> {
    for (const { nic } of this.ranks) nic.close();
    for (const { nic } of this.ranks) await this.settle(nic.transport.close());
  }
}

export const host = (bytes: Uint8Array): FiBuffer => ({ kind: 'host', bytes });
export const text = (words: string): Uint8Array => new TextEncoder().encode(words);

/** Ranks that know each other and have had the time to connect. */
export async function connected(nranks = 2, init: FabricWorldInit = {}): Promise<FabricWorld> {
  const world = new FabricWorld(nranks, init);
  world.introduce();
  await world.wait(10);
  return world;
}
