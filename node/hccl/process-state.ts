/** What HCCL holds for one user process: its device sessions, communicators and streams. */
import { defined } from '../../common/assert.ts';
import { messageOf } from '../../common/errors.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import type { CommMember } from '../../coordinator/hlcp/messages.ts';
import {
  hlthunk_device_mapped_memory_export_dmabuf_fd,
  hlthunk_device_memory_lookup,
  hlthunk_get_dram_usage,
} from '../device/hlthunk.ts';
import { fi_av_insert, fi_av_open } from '../fabric/av.ts';
import { fi_close } from '../fabric/close.ts';
import { fi_cq_open } from '../fabric/cq.ts';
import { fi_enable, fi_endpoint, fi_ep_bind, fi_getname } from '../fabric/endpoint.ts';
import { type FiAddr, type Fid, type FiErrno, isFiErrno } from '../fabric/fabric.ts';
import { O_CLOEXEC, O_RDWR } from '../process/open-flags.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { type SystemCallChannel, SystemCallError } from '../process/system-call.ts';
import { topologyOf } from './boxes.ts';
import { Communicator } from './communicator.ts';
import type { CommunicatorPort } from './communicator-init.ts';
import { DeviceSession, type Nic } from './device-session.ts';
import type { EngineTap } from './events.ts';
import type { FlushPlace, PeerSlots } from './exchange-init.ts';
import { fabricFailure, hcclError, invalidArgument, resultOf } from './failure.ts';
import { FLUSH_VARIABLE } from './flush.ts';
import { CallGroup } from './group.ts';
import type { HcclComm } from './hccl.ts';
import type { CommKey, JobServices } from './job-services.ts';
import { Launcher } from './launch.ts';
import type { SlotPool } from './memory-map.ts';
import { OpenCommunicator } from './open-communicator.ts';
import { ownMemoryLayout } from './own-memory.ts';
import { callSettings } from './settings.ts';
import type { SharedMachine } from './shared/shared-machine.ts';
import { StreamTable } from './stream.ts';
import { EventTable } from './stream-event.ts';

/** Completion queue entries of one communicator. */
const CQ_SIZE = 16_384;
/** Communicators of one process (HCL's default). */
export const COMMUNICATORS_MAX = 16;

export interface HcclProcessInit {
  readonly process: SimProcess;
  readonly channel: SystemCallChannel;
  readonly nic: Nic;
  readonly nodeId: string;
  readonly scheduler: Scheduler;
  readonly services: JobServices;
  readonly observe: EngineTap | undefined;
  readonly machine: SharedMachine | undefined;
  readonly cores: number | undefined;
}

/** What hcclCommInitRank is asked for. */
export interface CommunicatorRequest {
  readonly fd: number;
  readonly key: CommKey;
  readonly nranks: number;
  readonly rank: number;
  /** `false`: the communicator is there at once, and connects in the background. */
  readonly blocking: boolean;
}

export class HcclProcess {
  readonly streams = new StreamTable();
  readonly events = new EventTable();
  readonly launcher = new Launcher();
  readonly group = new CallGroup();
  /** Of the last call of this process that failed. */
  lastError = '';
  readonly init: HcclProcessInit;
  readonly #sessions = new Map<number, DeviceSession>();
  /** Communicators of each session, those that are being opened or closed too. */
  readonly #users = new Map<DeviceSession, number>();
  readonly #communicators = new Map<HcclComm, OpenCommunicator>();
  #nextComm = 1;

  constructor(init: HcclProcessInit) {
    this.init = init;
  }

  /** The session of a device, for one more communicator. */
  #acquire(fd: number): DeviceSession {
    let session = this.#sessions.get(fd);
    if (session === undefined) {
      const { process, channel, nic, scheduler } = this.init;
      session = new DeviceSession({ process, channel, nic, scheduler, fd });
      this.#sessions.set(fd, session);
    }
    this.#users.set(session, (this.#users.get(session) ?? 0) + 1);
    return session;
  }

  /** The session of a device, if HCCL ever used it. */
  existingSession(fd: number): DeviceSession | undefined {
    return this.#sessions.get(fd);
  }

  /** hcclDeviceInit: throws what the driver says if the descriptor is not that of a device. */
  async verifyDevice(fd: number): Promise<void> {
    await hlthunk_get_dram_usage(this.init.channel, fd);
  }

  /**
   * hcclLookupDMABuff: a descriptor, the caller's own, of a dma-buf of the allocation that contains the
   * bytes, on a device that HCCL uses. Throws hcclInvalidArgument if there is no such allocation.
   */
  async exportMemory(address: number, bytes: number): Promise<number> {
    const { channel } = this.init;
    for (const fd of this.#sessions.keys()) {
      const found = await allocationAt(channel, fd, address);
      if (found === undefined || address + bytes > found.address + found.size) continue;
      const flags = O_RDWR | O_CLOEXEC;
      const { address: start, size } = found;
      return await hlthunk_device_mapped_memory_export_dmabuf_fd(
        channel,
        fd,
        start,
        size,
        0,
        flags,
      );
    }
    throw invalidArgument(
      `Expected ${bytes} bytes of an allocation of a device that HCCL uses but found none at 0x${address.toString(16)}`,
    );
  }

  communicator(comm: HcclComm): OpenCommunicator | undefined {
    return this.#communicators.get(comm);
  }

  /** Those that are being opened or closed too. */
  get communicatorCount(): number {
    return [...this.#users.values()].reduce((sum, users) => sum + users, 0);
  }

  /** hcclCommInitRank: memory, endpoint, rendezvous, addresses, hello. */
  async openCommunicator(request: CommunicatorRequest): Promise<HcclComm> {
    const { fd, key, nranks, rank, blocking } = request;
    const settings = callSettings(this.#environment);
    const session = this.#acquire(fd);
    const slots = await this.#allocateOwn(session, nranks);
    const { scheduler, services, observe, machine, cores } = this.init;
    const communicator = new Communicator({
      key,
      rank,
      nranks,
      session,
      scheduler,
      services,
      observe,
      machine,
      // A flush is of what a NIC has written: shared memory and wires have none.
      provider: this.#flushes ? 'ws' : settings.provider,
      progress: this.#flushes ? 'auto' : settings.progress,
      cores,
    });
    const comm = this.#nextComm++;
    const { barrierOffset } = ownMemoryLayout(nranks, this.#flushes);
    const barrierAddress = slots === undefined ? 0 : slots.address + barrierOffset;
    const open = new OpenCommunicator({ communicator, session, slots, barrierAddress, settings });
    this.#communicators.set(comm, open);
    const wired = this.#wire(open);
    if (!blocking) {
      // Whoever asks hears of it from hcclCommGetAsyncError.
      wired.catch((reason: unknown) => {
        communicator.giveUp({ result: resultOf(reason), message: messageOf(reason) });
      });
      return comm;
    }
    try {
      await wired;
      return comm;
    } catch (reason) {
      await this.closeCommunicator(comm);
      throw reason;
    }
  }

  /** A rank alone needs none. */
  async #allocateOwn(session: DeviceSession, nranks: number): Promise<SlotPool | undefined> {
    try {
      await session.verify();
      const { bytes } = ownMemoryLayout(nranks, this.#flushes);
      return nranks > 1 ? await session.allocate(bytes) : undefined;
    } catch (reason) {
      await this.#release(session);
      throw reason;
    }
  }

  /** hcclCommFinalize: what is queued ends, the peers are told; the communicator can only be destroyed. */
  async finalizeCommunicator(open: OpenCommunicator): Promise<void> {
    open.state = 'finalized';
    await open.idle();
    open.finalError = open.communicator.asyncError;
    await open.communicator.leave('The communicator was finalized');
  }

  /** Says goodbye, closes, and gives the slots back. */
  async closeCommunicator(comm: HcclComm): Promise<void> {
    const open = this.#communicators.get(comm);
    if (open === undefined) return;
    this.#communicators.delete(comm);
    const { communicator, session } = open;
    const { slots } = open.init;
    try {
      await communicator.leave();
      await open.settled();
      // Kernels of an operation that was given up may still use the memory.
      await session.idle();
      if (this.init.process.state === 'running') {
        await communicator.program.release();
        await open.scratch.release();
        if (slots !== undefined) await session.release(slots.address);
      }
    } finally {
      await this.#release(session);
    }
  }

  /**
   * Without a communicator HCCL holds nothing of a device: its registrations of the program's memory
   * would keep the device from its next user after the program has closed it.
   */
  async #release(session: DeviceSession): Promise<void> {
    const users = (this.#users.get(session) ?? 0) - 1;
    if (users > 0) this.#users.set(session, users);
    else this.#users.delete(session);
    if (users > 0 || this.#sessions.get(session.fd) !== session) return;
    this.#sessions.delete(session.fd);
    await session.close();
  }

  /** The program has ended: leaves every communicator in good order, in bounded time. */
  async finalize(): Promise<void> {
    const all = [...this.#communicators.values()];
    await Promise.all(all.map(({ communicator }) => communicator.leave()));
  }

  /** The process is gone: everything closes at once. */
  abort(): void {
    for (const { communicator } of this.#communicators.values()) {
      communicator.abort({ result: 'hcclInvalidUsage', message: 'The process has ended' });
      communicator.program.abandon();
    }
    this.#communicators.clear();
    for (const session of this.#sessions.values()) void session.close();
    this.#sessions.clear();
    this.#users.clear();
  }

  async #wire(open: OpenCommunicator): Promise<void> {
    const { communicator, nranks, rank } = open;
    const { slots } = open.init;
    const { key } = communicator.init;
    const port = openPort(open, key.epoch);
    communicator.attach(port);
    const { endpoint, av } = port;
    const pool = slots && {
      address: slots.address,
      rkey: String(slots.mr.key),
      bytes: slots.mr.length,
    };
    const member: CommMember = {
      rank,
      nodeId: this.init.nodeId,
      endpoint: fi_getname(endpoint),
      slots: pool ?? { address: 0, rkey: '0', bytes: 0 },
    };
    const members = await this.init.services.joinCommunicator(key, nranks, member);
    communicator.throwIfFailed();
    open.placed(topologyOf(members.map(({ nodeId }) => nodeId)));
    const peers = members.filter((one) => one.rank !== rank);
    const inserted = expectFabric(
      'fi_av_insert',
      fi_av_insert(
        av,
        peers.map((one) => one.endpoint),
      ),
    );
    const addresses = new Map<number, FiAddr>();
    const peerSlots = new Map<number, PeerSlots>();
    peers.forEach((peer, index) => {
      addresses.set(peer.rank, defined(inserted[index], 'the address of a peer'));
      peerSlots.set(peer.rank, { address: peer.slots.address, key: BigInt(peer.slots.rkey) });
    });
    const nodeIds = new Map(members.map((one) => [one.rank, one.nodeId]));
    const flush = this.#flushPlace(open, port);
    await communicator.connect({ slots, flush, addresses, peerSlots, nodeIds });
  }

  /** Whether the job asks for flushes. */
  get #flushes(): boolean {
    return this.#environment[FLUSH_VARIABLE] === '1';
  }

  get #environment(): Readonly<Record<string, string>> {
    const { process, services } = this.init;
    return services.jobRankOf(process)?.environment ?? {};
  }

  /** The endpoint reads through a connection to itself. */
  #flushPlace(
    { init, nranks }: OpenCommunicator,
    { av, endpoint }: CommunicatorPort,
  ): FlushPlace | undefined {
    const { slots } = init;
    const { flushOffset } = ownMemoryLayout(nranks, this.#flushes);
    if (flushOffset === undefined || slots === undefined) return undefined;
    const [self] = expectFabric('fi_av_insert', fi_av_insert(av, [fi_getname(endpoint)]));
    const address = slots.address + flushOffset;
    return { self: defined(self, 'the address of itself'), memory: { mr: slots.mr, address } };
  }
}

/** The mapped allocation around a device address; `undefined` if the driver knows none. */
async function allocationAt(channel: SystemCallChannel, fd: number, address: number) {
  try {
    return await hlthunk_device_memory_lookup(channel, fd, address);
  } catch (reason) {
    if (reason instanceof SystemCallError && reason.family === 'errno') return undefined;
    throw reason;
  }
}

/** Queue, vector and endpoint, enabled; none stays open if one of them fails. */
function openPort({ communicator, session }: OpenCommunicator, epoch: number): CommunicatorPort {
  const { domain, info } = session;
  const opened: Fid[] = [];
  const keep = <T extends Fid>(what: string, made: T | FiErrno): T => {
    const object = expectFabric(what, made);
    opened.unshift(object);
    return object;
  };
  try {
    const av = keep('fi_av_open', fi_av_open(domain));
    const queue = { size: CQ_SIZE, onCompletion: () => communicator.drain() };
    const cq = keep('fi_cq_open', fi_cq_open(domain, queue));
    const init = { epoch, onProgress: () => communicator.progress() };
    const endpoint = keep('fi_endpoint', fi_endpoint(domain, info, init));
    for (const error of [fi_ep_bind(endpoint, av), fi_ep_bind(endpoint, cq), fi_enable(endpoint)])
      expectFabric('fi_enable', error);
    return { endpoint, cq, av };
  } catch (reason) {
    for (const object of opened) fi_close(object);
    throw reason;
  }
}

function expectFabric<T>(what: string, value: T | FiErrno): T {
  if (isFiErrno(value)) throw hcclError(fabricFailure(what, value));
  return value;
}
