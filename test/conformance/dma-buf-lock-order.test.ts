/** The real exporter and the real importers under random programs: their lock order has no cycle. */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { isErrno } from '../../common/errno.ts';
import { Prng } from '../../common/prng.ts';
import * as hlthunk from '../../node/device/hlthunk.ts';
import { describeDmaBufs } from '../../node/dmabuf/bufinfo.ts';
import { recordLockOrder, stopRecordingLockOrder } from '../../node/dmabuf/lock-order.ts';
import { dma_buf_revoke, dma_buf_unrevoke } from '../../node/dmabuf/revoke.ts';
import { MemoryNetwork } from '../../node/transport/memory-transport.ts';
import { type IbvMr, ibv_dereg_mr, ibv_reg_dmabuf_mr } from '../../node/verbs/mr.ts';
import { DeviceBench, passDescriptor } from '../node/device/device-bench.ts';
import { ALL_RIGHTS, Host } from '../node/verbs/world.ts';

const DRAM_PAGE = 65536;

/** One host: two devices and a NIC, with a process that works on all of them. */
class Program {
  readonly bench = new DeviceBench(2);
  readonly nic: Host;
  readonly user = this.bench.start();
  readonly prng: Prng;
  readonly done = new Map<string, number>();
  #devices: readonly number[] = [];
  #addresses: readonly number[] = [];
  #imports: number[] = [];
  #regions: IbvMr[] = [];

  constructor(seed: number) {
    this.prng = new Prng(seed);
    const network = new MemoryNetwork({ scheduler: this.bench.scheduler, latencyMs: 0.01 });
    this.nic = new Host(network.transport('host-a'), this.bench.scheduler);
  }

  async open(): Promise<void> {
    const { channel } = this.user;
    const devices: number[] = [];
    const addresses: number[] = [];
    for (const index of [0, 1]) {
      const fd = await hlthunk.hlthunk_open(channel, index);
      const handle = await hlthunk.hlthunk_device_memory_alloc(channel, fd, DRAM_PAGE);
      addresses.push(await hlthunk.hlthunk_device_memory_map(channel, fd, handle));
      devices.push(fd);
    }
    this.#devices = devices;
    this.#addresses = addresses;
  }

  async run(steps: number): Promise<void> {
    const acts = ['export', 'register', 'dereg', 'import', 'unmap', 'copy', 'sync', 'revoke'];
    const running: Promise<void>[] = [];
    for (let step = 0; step < steps; step++) {
      const act = acts[this.prng.below(acts.length)] ?? 'export';
      running.push(this.#act(act).then((answer) => this.#count(`${act} ${answer}`)));
      if (this.prng.below(3) === 0) await this.bench.sleep(this.prng.below(4) / 10);
    }
    await this.bench.run(Promise.all(running).then(() => undefined));
  }

  async #act(act: string): Promise<string> {
    try {
      return (await this.#acts[act]?.()) ?? 'ok';
    } catch (reason) {
      const { code } = reason as { code?: unknown };
      if (!isErrno(code)) throw reason;
      return code;
    }
  }

  readonly #acts: Readonly<Record<string, () => Promise<string | undefined>>> = {
    export: async () => {
      const { channel, process } = this.user;
      const [fd = 0] = this.#devices;
      const [address = 0] = this.#addresses;
      await hlthunk.hlthunk_device_mapped_memory_export_dmabuf_fd(channel, fd, address, DRAM_PAGE);
      return process.state === 'exited' ? 'exited' : undefined;
    },
    register: async () => {
      const fd = this.#buffer();
      if (fd === undefined) return 'none';
      const { process, pd } = this.nic;
      const passed = passDescriptor(this.user.process, fd, process);
      const modes = ['revocable', 'pinned', 'dynamic'] as const;
      const mode = modes[this.prng.below(modes.length)];
      const mr = await ibv_reg_dmabuf_mr(pd, 0, DRAM_PAGE, 0, passed, ALL_RIGHTS, mode);
      process.fds.close(passed);
      if (isErrno(mr)) return mr;
      this.#regions.push(mr);
      return undefined;
    },
    dereg: async () => {
      const mr = this.#regions.splice(this.prng.below(this.#regions.length + 1), 1)[0];
      if (mr === undefined) return 'none';
      await ibv_dereg_mr(mr);
      return undefined;
    },
    import: async () => {
      const fd = this.#buffer();
      const [, peer = 0] = this.#devices;
      if (fd === undefined) return 'none';
      const { channel } = this.user;
      this.#imports.push(await hlthunk.hlthunk_import_dmabuf_fd(channel, peer, fd, DRAM_PAGE));
      return undefined;
    },
    unmap: async () => {
      const [, peer = 0] = this.#devices;
      const at = this.#imports.splice(this.prng.below(this.#imports.length + 1), 1)[0];
      if (at === undefined) return 'none';
      await hlthunk.hlthunk_memory_unmap(this.user.channel, peer, at);
      return undefined;
    },
    copy: async () => {
      const [, peer = 0] = this.#devices;
      const [, own = 0] = this.#addresses;
      const remote = this.#imports.at(-1);
      if (remote === undefined) return 'none';
      const job = { kind: 'dma', source: own, destination: remote, bytes: 4096 } as const;
      const { channel } = this.user;
      const sequence = await hlthunk.hlthunk_command_submission(channel, peer, [job, job]);
      return hlthunk.hlthunk_wait_for_cs(channel, peer, sequence, 1_000_000);
    },
    sync: async () => {
      const fd = this.#buffer();
      if (fd === undefined) return 'none';
      const argument = { flags: 1 + this.prng.below(3) };
      await this.user.channel.call('ioctl', { fd, request: 'DMA_BUF_IOCTL_SYNC', argument });
      return undefined;
    },
    revoke: async () => {
      const { dmaBufs } = this.bench.dmaBufs;
      const dmaBuf = dmaBufs[this.prng.below(dmaBufs.length + 1)];
      if (dmaBuf === undefined) return 'none';
      const errno = await dma_buf_revoke(dmaBuf, 'temporary', this.bench);
      if (errno !== undefined) return errno;
      return dma_buf_unrevoke(dmaBuf);
    },
  };

  /** A descriptor of the newest dma-buf that still has one. */
  #buffer(): number | undefined {
    const { dmaBufs } = this.bench.dmaBufs;
    const file = dmaBufs[this.prng.below(dmaBufs.length + 1)]?.file;
    if (file === undefined) return undefined;
    for (let fd = 0; fd < 64; fd++) {
      if (this.user.process.fds.lookup(fd) === file) return fd;
    }
    return undefined;
  }

  #count(what: string): void {
    this.done.set(what, (this.done.get(what) ?? 0) + 1);
  }

  /** Everybody goes; nothing is left. */
  async close(): Promise<void> {
    this.nic.process.exit();
    this.user.process.exit();
    await this.bench.sleep(2000);
    expect(describeDmaBufs(this.bench.dmaBufs)).toEqual([]);
  }
}

describe('random programs of a device, another device and a NIC', () => {
  afterEach(stopRecordingLockOrder);

  it('take their locks in an order without a cycle, and leave nothing behind', async () => {
    const recorder = recordLockOrder();
    const done = new Map<string, number>();
    const property = fc.asyncProperty(fc.nat(), async (seed) => {
      const program = new Program(seed);
      await program.open();
      await program.run(60);
      await program.close();
      for (const [what, count] of program.done) done.set(what, (done.get(what) ?? 0) + count);
    });
    await fc.assert(property, { numRuns: 40, seed: 21 });
    expect(recorder.findCycle()).toBeUndefined();
    expect(recorder.edges).toEqual(
      expect.arrayContaining(['dma_resv -> dma_fence', 'dma_buf_unmap -> dma_resv']),
    );
    const kinds = ['export', 'register', 'dereg', 'import', 'unmap', 'sync', 'revoke'];
    for (const kind of kinds) expect(done.get(`${kind} ok`)).toBeGreaterThan(20);
    expect(done.get('copy COMPLETED')).toBeGreaterThan(20);
  });
});
