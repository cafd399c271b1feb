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
import type { Scheduler } from '../../common/scheduler.ts';
import {
  hlthunk_device_mapped_memory_export_dmabuf_fd,
  hlthunk_device_memory_alloc,
  hlthunk_device_memory_free,
  hlthunk_device_memory_lookup,
  hlthunk_device_memory_map,
  hlthunk_get_dram_usage,
  hlthunk_memory_unmap,
} from '../device/hlthunk.ts';
import type { Job } from '../device/job.ts';
import { fi_close } from '../fabric/close.ts';
import { type FiDomain, fi_domain, fi_fabric } from '../fabric/domain.ts';
import { type FiInfo, type FiMr, isFiErrno } from '../fabric/fabric.ts';
import { fi_getinfo } from '../fabric/info.ts';
import { fi_mr_regattr } from '../fabric/mr.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { type SystemCallChannel, SystemCallError } from '../process/system-call.ts';
import { DeviceQueue } from './device-queue.ts';
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

/** O_RDWR | O_CLOEXEC, the only flags hl-thunk lets through. */
const DMABUF_FLAGS = 0o2000002;

interface Registration {
  readonly address: number;
  readonly size: number;
  readonly mr: FiMr;
  /** Collectives that use it now. */
  users: number;
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
  readonly #work: DeviceQueue;
  readonly #dropListeners = new Set<(mr: FiMr) => void>();
  #state: 'open' | 'closed' = 'open';

  constructor(init: DeviceSessionInit) {
    this.#init = init;
    this.fd = init.fd;
    this.#work = new DeviceQueue(init);
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
    for (const listener of this.#dropListeners) listener(registration.mr);
    fi_close(registration.mr);
    await registration.mr.released;
  }

  /** Calls `listener` with each registration that is about to go. Returns how to stop that. */
  whenDropped(listener: (mr: FiMr) => void): () => void {
    this.#dropListeners.add(listener);
    return () => this.#dropListeners.delete(listener);
  }

  /** As `DeviceQueue.launch`. */
  launch(job: Job, done: () => void, failed: (failure: HcclFailure) => void): void {
    this.#work.launch(job, done, failed);
  }

  /** As `DeviceQueue.idle`. */
  idle(): Promise<void> {
    return this.#work.idle();
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

function hex(address: number): string {
  return `0x${address.toString(16)}`;
}
