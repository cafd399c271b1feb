/** What HCCL holds for one user process: its device sessions, communicators and streams. */
import { defined } from '../../common/assert.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import type { CommMember } from '../../coordinator/hlcp/messages.ts';
import { fi_av_insert, fi_av_open } from '../fabric/av.ts';
import { fi_close } from '../fabric/close.ts';
import { fi_cq_open } from '../fabric/cq.ts';
import { fi_enable, fi_endpoint, fi_ep_bind, fi_getname } from '../fabric/endpoint.ts';
import { type FiAddr, type Fid, type FiErrno, isFiErrno } from '../fabric/fabric.ts';
import type { SimProcess } from '../process/sim-process.ts';
import type { SystemCallChannel } from '../process/system-call.ts';
import { Planner } from './collective-call.ts';
import { Communicator, type CommunicatorPort } from './communicator.ts';
import { DeviceSession, type Nic } from './device-session.ts';
import type { EngineObserver } from './events.ts';
import type { FlushPlace, PeerSlots } from './exchange.ts';
import { fabricFailure, hcclError } from './failure.ts';
import { FLUSH_BYTES, FLUSH_VARIABLE } from './flush.ts';
import type { HcclComm } from './hccl.ts';
import type { CommKey, JobServices } from './job-services.ts';
import { slotPoolBytes } from './lanes.ts';
import type { SlotPool } from './memory-map.ts';
import { StreamTable } from './stream.ts';

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
  readonly observe: EngineObserver | undefined;
}

/** A communicator with what belongs to it alone. */
export interface OpenCommunicator {
  readonly communicator: Communicator;
  readonly planner: Planner;
  readonly session: DeviceSession;
  readonly slots: SlotPool | undefined;
  /** Ends when every operation queued so far has ended. */
  tail: Promise<void>;
}

export class HcclProcess {
  readonly streams = new StreamTable();
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

  communicator(comm: HcclComm): OpenCommunicator | undefined {
    return this.#communicators.get(comm);
  }

  /** Those that are being opened or closed too. */
  get communicatorCount(): number {
    return [...this.#users.values()].reduce((sum, users) => sum + users, 0);
  }

  /** hcclCommInitRank: slots, endpoint, rendezvous, addresses, hello. */
  async openCommunicator(
    fd: number,
    key: CommKey,
    nranks: number,
    rank: number,
  ): Promise<HcclComm> {
    const session = this.#acquire(fd);
    const { scheduler, services, observe } = this.init;
    const slots = await this.#allocateSlots(session, nranks);
    const communicator = new Communicator({
      key,
      rank,
      nranks,
      session,
      scheduler,
      services,
      observe,
    });
    const comm = this.#nextComm++;
    const planner = new Planner(rank, nranks);
    const open = { communicator, planner, session, slots, tail: Promise.resolve() };
    this.#communicators.set(comm, open);
    try {
      await this.#wire(open, key, nranks, rank);
      return comm;
    } catch (reason) {
      await this.closeCommunicator(comm);
      throw reason;
    }
  }

  /** A rank alone needs none. */
  async #allocateSlots(session: DeviceSession, nranks: number): Promise<SlotPool | undefined> {
    try {
      await session.verify();
      const bytes = slotPoolBytes(nranks) + (this.#flushes ? FLUSH_BYTES : 0);
      return nranks > 1 ? await session.allocate(bytes) : undefined;
    } catch (reason) {
      await this.#release(session);
      throw reason;
    }
  }

  /** Says goodbye, closes, and gives the slots back. */
  async closeCommunicator(comm: HcclComm): Promise<void> {
    const open = this.#communicators.get(comm);
    if (open === undefined) return;
    this.#communicators.delete(comm);
    const { communicator, session, slots } = open;
    try {
      await communicator.leave();
      // Kernels of an operation that was given up may still use the slots.
      await session.idle();
      if (slots !== undefined && this.init.process.state === 'running') {
        await session.release(slots.address);
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
    }
    this.#communicators.clear();
    for (const session of this.#sessions.values()) void session.close();
    this.#sessions.clear();
    this.#users.clear();
  }

  async #wire(open: OpenCommunicator, key: CommKey, nranks: number, rank: number): Promise<void> {
    const { communicator, slots } = open;
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
    const flush = this.#flushPlace(open, port, nranks);
    await communicator.connect({ slots, flush, addresses, peerSlots, nodeIds });
  }

  /** Whether the job asks for flushes. */
  get #flushes(): boolean {
    const { process, services } = this.init;
    return services.jobRankOf(process)?.environment[FLUSH_VARIABLE] === '1';
  }

  /** Behind the slots there is room for it; the endpoint reads through a connection to itself. */
  #flushPlace(
    { slots }: OpenCommunicator,
    { av, endpoint }: CommunicatorPort,
    nranks: number,
  ): FlushPlace | undefined {
    if (!this.#flushes || slots === undefined) return undefined;
    const [self] = expectFabric('fi_av_insert', fi_av_insert(av, [fi_getname(endpoint)]));
    const address = slots.address + slotPoolBytes(nranks);
    return { self: defined(self, 'the address of itself'), memory: { mr: slots.mr, address } };
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
