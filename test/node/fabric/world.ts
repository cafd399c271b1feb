/** Hosts with a fabric domain and an endpoint each, on a network in memory and in virtual time. */
import { assert } from '../../../common/assert.ts';
import { Prng } from '../../../common/prng.ts';
import { VirtualScheduler } from '../../../common/scheduler.ts';
import { type FiAv, fi_av_insert, fi_av_open } from '../../../node/fabric/av.ts';
import { type FiCq, fi_cq_open, fi_cq_read, fi_cq_readerr } from '../../../node/fabric/cq.ts';
import { type FiDomain, fi_domain, fi_fabric } from '../../../node/fabric/domain.ts';
import {
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
  type FiMr,
  isFiErrno,
} from '../../../node/fabric/fabric.ts';
import { fi_getinfo } from '../../../node/fabric/info.ts';
import { fi_mr_regattr } from '../../../node/fabric/mr.ts';
import { SimProcess } from '../../../node/process/sim-process.ts';
import { MemoryNetwork, type MemoryNetworkInit } from '../../../node/transport/memory-transport.ts';
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

/** A process on a host, its domain, and one endpoint with its queue and addresses. */
export class Rank {
  readonly nic: Nic;
  readonly process: SimProcess;
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

  constructor(nic: Nic, epoch = 1, cqSize = 1024) {
    this.nic = nic;
    this.process = new SimProcess({
      pid: lastPid++,
      containerId: 'c',
      memory: new SharedArrayBuffer(0),
    });
    const [info] = ok(fi_getinfo(nic));
    assert(info !== undefined, 'Expected an info');
    this.domain = ok(fi_domain(fi_fabric(info), info, { nic, process: this.process }));
    this.av = fi_av_open(this.domain);
    this.cq = ok(
      fi_cq_open(this.domain, {
        size: cqSize,
        onCompletion: () => {
          this.notified++;
          if (this.reading) this.drain();
        },
      }),
    );
    const onProgress = () => {
      this.progressed++;
      this.onProgress();
    };
    this.endpoint = ok(fi_endpoint(this.domain, info, { epoch, onProgress }));
    ok(fi_ep_bind(this.endpoint, this.av));
    ok(fi_ep_bind(this.endpoint, this.cq));
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
        this.completions.push(...read);
      }
    }
  }

  register(size: number, access = EVERY_ACCESS): { memory: TestMemory; mr: FiMr; fd: number } {
    const memory = new TestMemory(size, 4096);
    const fd = memory.fd(this.process);
    const dmabuf = { fd, offset: 0, len: size, base_addr: 0x20_0000 };
    const attr = { dmabuf, access, iface: 'FI_HMEM_SYNAPSEAI' } as const;
    return { memory, mr: ok(fi_mr_regattr(this.domain, attr, ['FI_MR_DMABUF'])), fd };
  }
}

export interface FabricWorldInit extends Omit<MemoryNetworkInit, 'scheduler' | 'prng'> {
  readonly seed?: number;
  readonly epochs?: readonly number[];
  readonly cqSize?: number;
}

export class FabricWorld {
  readonly scheduler = new VirtualScheduler();
  readonly network: MemoryNetwork;
  readonly ranks: Rank[];

  constructor(nranks: number, init: FabricWorldInit = {}) {
    const { seed, epochs, cqSize, ...properties } = init;
    this.network = new MemoryNetwork({
      scheduler: this.scheduler,
      latencyMs: 0.01,
      ...properties,
      ...(seed === undefined ? {} : { prng: new Prng(seed) }),
    });
    this.ranks = Array.from({ length: nranks }, (_, rank) => {
      const transport = this.network.transport(`host-${rank}`);
      return new Rank(createNic({ transport, scheduler: this.scheduler }), epochs?.[rank], cqSize);
    });
  }

  rank(index: number): Rank {
    const rank = this.ranks[index];
    assert(rank !== undefined, `Expected a rank ${index}`);
    return rank;
  }

  /** Every rank inserts every rank, itself too: address = rank. */
  introduce(): void {
    const names = this.ranks.map(({ name }) => name);
    for (const { av } of this.ranks) fi_av_insert(av, names);
  }

  async wait(ms: number): Promise<void> {
    const passed = new Promise<void>((resolve) => {
      this.scheduler.after(ms, resolve);
    });
    await this.scheduler.run(passed, Number.POSITIVE_INFINITY);
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

export const host = (bytes: Uint8Array): FiBuffer => ({ kind: 'host', bytes });
export const text = (words: string): Uint8Array => new TextEncoder().encode(words);

/** Ranks that know each other and have had the time to connect. */
export async function connected(nranks = 2, init: FabricWorldInit = {}): Promise<FabricWorld> {
  const world = new FabricWorld(nranks, init);
  world.introduce();
  await world.wait(10);
  return world;
}
