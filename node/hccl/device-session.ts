/**
 * HCCL's hold on one open device of one process: its libfabric domain, the registrations of device
 * memory, and the device work it launches. All of it in the process's name, by system calls.
 *
 * Registration life: the first collective that uses an allocation has it exported as a dma-buf and
 * registered as a whole; it stays so until it is dropped (hcclDropRegistration), the device's last
 * communicator is destroyed, or the process ends.
 */
import { assert } from '../../common/assert.ts';
import { formatBytes } from '../../common/bytes.ts';
import { messageOf } from '../../common/errors.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import {
  hlthunk_command_submission,
  hlthunk_device_mapped_memory_export_dmabuf_fd,
  hlthunk_device_memory_alloc,
  hlthunk_device_memory_free,
  hlthunk_device_memory_lookup,
  hlthunk_device_memory_map,
  hlthunk_get_dram_usage,
  hlthunk_memory_unmap,
  hlthunk_wait_for_cs,
} from '../device/hlthunk.ts';
import type { CsStatus, Job } from '../device/job.ts';
import { fi_close } from '../fabric/close.ts';
import { type FiDomain, fi_domain, fi_fabric } from '../fabric/domain.ts';
import { type FiInfo, type FiMr, isFiErrno } from '../fabric/fabric.ts';
import { fi_getinfo } from '../fabric/info.ts';
import { fi_mr_regattr } from '../fabric/mr.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { type SystemCallChannel, SystemCallError } from '../process/system-call.ts';
import { fabricFailure, type HcclFailure, hcclError, invalidArgument } from './failure.ts';

/** The host's NIC, as libfabric names it: HCCL hands it on and never touches it. */
export type Nic = FiDomain['nic'];

/** What HCL asks of libfabric for "gaudi direct" (hl_ofi.cpp), plus RMA, which the engine writes with. */
const HINTS: FiInfo = {
  ep_attr: { type: 'FI_EP_RDM' },
  caps: ['FI_MSG', 'FI_TAGGED', 'FI_RMA', 'FI_HMEM'],
  mode: ['FI_CONTEXT'],
  tx_attr: { msg_order: ['FI_ORDER_SAS'] },
  rx_attr: { msg_order: ['FI_ORDER_SAS'] },
  domain_attr: {
    control_progress: 'FI_PROGRESS_AUTO',
    data_progress: 'FI_PROGRESS_AUTO',
    mr_mode: ['FI_MR_LOCAL', 'FI_MR_VIRT_ADDR', 'FI_MR_ALLOCATED', 'FI_MR_PROV_KEY', 'FI_MR_HMEM'],
  },
};

/** Time a kernel launched by HCCL may take. */
const COMPUTE_TIMEOUT_US = 30_000_000;
/** Pause before a submission that the device was too busy for is tried again. */
const SUBMIT_RETRY_MS = 1;
/** Jobs of one command submission. */
const JOBS_MAX = 512;
/** O_RDWR | O_CLOEXEC, the only flags hl-thunk lets through. */
const DMABUF_FLAGS = 0o2000002;

interface Registration {
  readonly address: number;
  readonly size: number;
  readonly mr: FiMr;
  /** Collectives that use it now. */
  users: number;
}

interface PendingJob {
  readonly job: Job;
  readonly done: () => void;
  readonly failed: (failure: HcclFailure) => void;
}

export interface DeviceSessionInit {
  readonly process: SimProcess;
  readonly channel: SystemCallChannel;
  readonly nic: Nic;
  readonly scheduler: Scheduler;
  readonly fd: number;
}

export class DeviceSession {
  readonly fd: number;
  readonly info: FiInfo;
  readonly domain: FiDomain;
  readonly #init: DeviceSessionInit;
  readonly #registrations = new Map<number, Registration>();
  /** Allocations whose registration is under way, so that two users make one. */
  readonly #registering = new Map<number, Promise<Registration>>();
  readonly #queue: PendingJob[] = [];
  /** Jobs launched and ended so far: they end in the order of their launch. */
  #launched = 0;
  #ended = 0;
  readonly #whenIdle: { readonly through: number; readonly resume: () => void }[] = [];
  #state: 'open' | 'closed' = 'open';
  #submission: 'idle' | 'scheduled' | 'running' = 'idle';

  constructor(init: DeviceSessionInit) {
    this.#init = init;
    this.fd = init.fd;
    const infos = fi_getinfo(init.nic, HINTS);
    if (isFiErrno(infos)) throw hcclError(fabricFailure('fi_getinfo for gaudi direct', infos));
    const info = infos[0];
    assert(info !== undefined, 'Expected fi_getinfo to answer FI_ENODATA rather than nothing');
    this.info = info;
    const domain = fi_domain(fi_fabric(info), info, { nic: init.nic, process: init.process });
    if (isFiErrno(domain)) throw hcclError(fabricFailure('fi_domain', domain));
    this.domain = domain;
  }

  /**
   * Allocates, maps and registers device memory of HCCL's own, which is used as `what`; hcclOutOfMemory
   * if there is too little.
   */
  async allocate(
    bytes: number,
    what = 'receive slots',
  ): Promise<{ readonly address: number; readonly mr: FiMr }> {
    const { channel } = this.#init;
    const handle = await hlthunk_device_memory_alloc(channel, this.fd, bytes).catch((reason) => {
      if (!(reason instanceof SystemCallError) || reason.code !== 'ENOMEM') throw reason;
      const message = `Expected ${formatBytes(bytes)} of free device memory for HCCL's ${what}: allocate less, or give the device more HBM`;
      throw hcclError({ result: 'hcclOutOfMemory', message });
    });
    try {
      const address = await hlthunk_device_memory_map(channel, this.fd, handle);
      try {
        return { address, mr: (await this.#registerOnce(address)).mr };
      } catch (reason) {
        await hlthunk_memory_unmap(channel, this.fd, address);
        throw reason;
      }
    } catch (reason) {
      await hlthunk_device_memory_free(channel, this.fd, handle);
      throw reason;
    }
  }

  /** Throws what the driver says if the descriptor is not that of a device with memory. */
  async verify(): Promise<void> {
    await hlthunk_get_dram_usage(this.#init.channel, this.fd);
  }

  /** Gives back what `allocate` gave. */
  async release(address: number): Promise<void> {
    const { channel } = this.#init;
    const { handle } = await hlthunk_device_memory_lookup(channel, this.fd, address);
    await this.drop(address);
    await hlthunk_memory_unmap(channel, this.fd, address);
    await hlthunk_device_memory_free(channel, this.fd, handle);
  }

  /**
   * The registration that covers device addresses [address, address + bytes), made if there is none.
   * It cannot be dropped until `unuse`. Throws hcclInvalidArgument if they are not one allocation.
   */
  async use(address: number, bytes: number): Promise<FiMr> {
    const registration = this.#covering(address) ?? (await this.#registerContaining(address));
    if (address + bytes > registration.address + registration.size) {
      throw invalidArgument(
        `Expected ${bytes} bytes at device address ${hex(address)} inside one allocation but found its end after ${registration.address + registration.size - address}`,
      );
    }
    registration.users++;
    return registration.mr;
  }

  unuse(mr: FiMr): void {
    const registration = this.#registrations.get(mr.address);
    if (registration !== undefined) registration.users--;
  }

  /**
   * Drops the registration of the allocation that contains `address`, if there is one; resolves when it
   * holds the allocation no more.
   */
  async drop(address: number): Promise<void> {
    const registration = this.#covering(address);
    if (registration === undefined) return;
    if (registration.users > 0) {
      throw hcclError({
        result: 'hcclBusy',
        message: `Expected no collective to use the allocation at ${hex(registration.address)}: synchronise its stream first`,
      });
    }
    this.#registrations.delete(registration.address);
    fi_close(registration.mr);
    await registration.mr.released;
  }

  /** Launches device work; `done` or `failed` follows, never at once. */
  launch(job: Job, done: () => void, failed: (failure: HcclFailure) => void): void {
    this.#queue.push({ job, done, failed });
    this.#launched++;
    if (this.#submission !== 'idle') return;
    this.#submission = 'scheduled';
    this.#init.scheduler.soon(() => void this.#submit());
  }

  /**
   * Resolves when no device work that was launched here before is queued or running. Does not wait
   * for what another communicator launches later.
   */
  idle(): Promise<void> {
    if (this.#ended === this.#launched) return Promise.resolve();
    const through = this.#launched;
    return new Promise((resume) => this.#whenIdle.push({ through, resume }));
  }

  /** Closes registrations and the domain. Endpoints must be closed before. */
  async close(): Promise<void> {
    this.#state = 'closed';
    const regions = [...this.#registrations.values()].map(({ mr }) => mr);
    for (const mr of regions) fi_close(mr);
    this.#registrations.clear();
    fi_close(this.domain);
    await Promise.all(regions.map(({ released }) => released));
  }

  /** Submits what is queued, in one command submission at a time, until nothing is left. */
  async #submit(): Promise<void> {
    this.#submission = 'running';
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, JOBS_MAX);
      await this.#run(batch);
      this.#ended += batch.length;
      while ((this.#whenIdle[0]?.through ?? Number.POSITIVE_INFINITY) <= this.#ended)
        this.#whenIdle.shift()?.resume();
    }
    this.#submission = 'idle';
  }

  /** Never rejects. A refused submission has had no effect: then each job goes alone, and fails alone. */
  async #run(batch: readonly PendingJob[]): Promise<void> {
    const jobs = batch.map(({ job }) => job);
    const { channel } = this.#init;
    const sequence = await this.#unlessBusy(() =>
      hlthunk_command_submission(channel, this.fd, jobs),
    );
    if (sequence instanceof SystemCallError && isRefusal(sequence) && batch.length > 1) {
      for (const one of batch) await this.#run([one]);
      return;
    }
    const failure = typeof sequence === 'number' ? await this.#end(sequence) : sequence;
    for (const pending of batch) {
      if (failure === undefined) pending.done();
      else pending.failed(deviceFailure(failure));
    }
  }

  /** Waits for the end of a submission; why it did not end well. Never rejects. */
  async #end(sequence: number): Promise<Error | CsStatus | undefined> {
    const { channel } = this.#init;
    const status = await this.#unlessBusy(() =>
      hlthunk_wait_for_cs(channel, this.fd, sequence, COMPUTE_TIMEOUT_US),
    );
    return status === 'COMPLETED' ? undefined : status;
  }

  /** Makes a call of the driver, again while it is too busy (EAGAIN). Never rejects. */
  async #unlessBusy<T>(call: () => Promise<T>): Promise<T | Error> {
    const { scheduler } = this.#init;
    const deadline = scheduler.clock.now() + COMPUTE_TIMEOUT_US / 1000;
    for (;;) {
      try {
        return await call();
      } catch (reason) {
        const busy = reason instanceof SystemCallError && reason.code === 'EAGAIN';
        if (!busy || scheduler.clock.now() >= deadline) return reason as Error;
        await new Promise<void>((resume) => scheduler.after(SUBMIT_RETRY_MS, resume));
      }
    }
  }

  #covering(address: number): Registration | undefined {
    for (const registration of this.#registrations.values()) {
      const { address: start, size } = registration;
      if (address >= start && address < start + size) return registration;
    }
    return undefined;
  }

  async #registerContaining(address: number): Promise<Registration> {
    try {
      const mapping = await hlthunk_device_memory_lookup(this.#init.channel, this.fd, address);
      return this.#covering(address) ?? (await this.#registerOnce(mapping.address));
    } catch (reason) {
      if (reason instanceof SystemCallError && reason.family === 'errno') {
        throw invalidArgument(
          `Expected a mapped device address but found ${hex(address)} (${reason.code})`,
        );
      }
      throw reason;
    }
  }

  #registerOnce(address: number): Promise<Registration> {
    const known = this.#registering.get(address);
    if (known !== undefined) return known;
    const made = this.#register(address).finally(() => this.#registering.delete(address));
    this.#registering.set(address, made);
    return made;
  }

  #checkOpen(): void {
    if (this.#state === 'open') return;
    const message = 'Expected a device that HCCL uses but its last communicator has gone';
    throw hcclError({ result: 'hcclInvalidUsage', message });
  }

  /** The chain of the thread: export as dma-buf, register the fd, let the fd go. */
  async #register(address: number): Promise<Registration> {
    const { channel } = this.#init;
    const { size } = await hlthunk_device_memory_lookup(channel, this.fd, address);
    const dmabufFd = await hlthunk_device_mapped_memory_export_dmabuf_fd(
      channel,
      this.fd,
      address,
      size,
      0,
      DMABUF_FLAGS,
    );
    try {
      this.#checkOpen();
      const mr = await fi_mr_regattr(
        this.domain,
        {
          dmabuf: { fd: dmabufFd, offset: 0, len: size, base_addr: address },
          access: [
            'FI_SEND',
            'FI_RECV',
            'FI_READ',
            'FI_WRITE',
            'FI_REMOTE_READ',
            'FI_REMOTE_WRITE',
          ],
          iface: 'FI_HMEM_SYNAPSEAI',
        },
        ['FI_MR_DMABUF'],
      );
      if (isFiErrno(mr))
        throw hcclError(fabricFailure(`Registering device memory at ${hex(address)}`, mr));
      try {
        this.#checkOpen();
      } catch (reason) {
        fi_close(mr);
        throw reason;
      }
      const registration = { address, size, mr, users: 0 };
      this.#registrations.set(address, registration);
      return registration;
    } finally {
      // The region holds the dma-buf from here on; the descriptor was only the way to name it.
      await channel.call('close', { fd: dmabufFd });
    }
  }
}

/** A job of the submission makes no sense, or has an address that is not mapped. */
function isRefusal({ code }: SystemCallError): boolean {
  return code === 'EINVAL' || code === 'EFAULT';
}

function deviceFailure(reason: Error | CsStatus): HcclFailure {
  if (typeof reason !== 'string')
    return { result: 'hcclUnhandledSynapseError', message: messageOf(reason) };
  const message = `Expected device work to complete but found ${reason}`;
  return { result: 'hcclStreamError', message };
}

function hex(address: number): string {
  return `0x${address.toString(16)}`;
}
