/**
 * The memory that the ranks of a communicator share, as the host's main thread sees it: who can, who has
 * mapped whose mailbox, and how access ends. The bytes are moved by the program's thread
 * (`shared-program.ts`).
 *
 *   agreeing ---- every rank has mapped every mailbox ----> on ----> closed
 *      |
 *      +-- one cannot: another machine, no koffi, another provider --> off
 */
import type { Rank } from '../../../collectives/schedule.ts';
import { assert, defined } from '../../../common/assert.ts';
import { type Deferred, deferred } from '../../../common/deferred.ts';
import { delay, type Scheduler } from '../../../common/scheduler.ts';
import type { FiMr } from '../../fabric/fabric.ts';
import { verbsOf } from '../../fabric/mr.ts';
import type { DataPath, SharedMessage } from '../control-message.ts';
import type { DeviceSession } from '../device-session.ts';
import type { EngineTap } from '../events.ts';
import { type HcclFailure, hcclError } from '../failure.ts';
import { ranksText } from '../rank-text.ts';
import type { ProviderChoice } from '../settings.ts';
import {
  CONTROL_PAGE_BYTES,
  ControlPage,
  SHARED_RANKS_MAX,
  type SharedTraffic,
} from './control-page.ts';
import { MAILBOX_BYTES, Mailbox } from './mailbox.ts';
import type { SharedDevice, SharedMachine } from './shared-machine.ts';
import { isAtLeast } from './shared-rank.ts';
import { SharedTrace } from './shared-trace.ts';
import { SharedWindows } from './shared-windows.ts';

/** How long the program's thread may take to leave what it is in the middle of. */
const LEAVE_MS = 1_000;
/** The same, when nothing can be awaited. */
const ABANDON_MS = 20;
const NO_TRAFFIC: SharedTraffic = { bytesRead: 0, bytesServed: 0, operations: 0 };

export interface SharedPathInit {
  readonly rank: Rank;
  readonly nranks: number;
  readonly session: DeviceSession;
  readonly scheduler: Scheduler;
  /** Absent: this rank cannot share memory. */
  readonly machine: SharedMachine | undefined;
  readonly provider: ProviderChoice;
  readonly key: { readonly uniqueId: string };
  readonly observe: EngineTap | undefined;
  nodeIdOf(rank: Rank): string;
  send(peer: Rank, message: SharedMessage): void;
  fail(failure: HcclFailure): void;
}

/** Device memory of HCCL's own. */
interface OwnPage {
  readonly address: number;
  readonly mr: FiMr;
  readonly offset: number;
}

/** What this rank has made for it. */
interface SharedParts {
  readonly device: SharedDevice;
  readonly memory: SharedArrayBuffer;
  readonly mailbox: OwnPage;
  readonly page: OwnPage;
  readonly control: ControlPage;
  /** Of every rank that is mapped, and this one's own. */
  readonly mailboxes: Map<Rank, Mailbox>;
  readonly windows: SharedWindows;
}

/** What the program's thread has to know. */
export interface SharedPlaces {
  /** Index of the device in its host. */
  readonly device: number;
  readonly controlOffset: number;
  /** Of every rank. */
  readonly mailboxOffsets: readonly number[];
}

export class SharedPath {
  readonly #init: SharedPathInit;
  readonly #peers: readonly Rank[];
  #state: 'agreeing' | 'on' | 'off' | 'closed' = 'agreeing';
  #parts: SharedParts | undefined;
  /** What peers have said: the first word is their hello, the second their verdict. */
  readonly #hellos = new Map<Rank, DataPath>();
  readonly #verdicts = new Map<Rank, DataPath>();
  readonly #agreed: Deferred<void> = deferred();
  /** Messages of peers that were quicker than this rank. */
  readonly #early: { readonly peer: Rank; readonly message: SharedMessage }[] = [];
  /** What became of this rank's mailbox at its peers, and of theirs here. */
  #mapping: { own: 'waiting' | 'mapped' | 'refused'; refused: boolean } = {
    own: 'waiting',
    refused: false,
  };
  #stopWatching: () => void = () => undefined;
  /** Of what the program's thread notes down, while somebody wants to know. */
  #trace: { readonly source: SharedTrace; end(): Promise<void> } | undefined;

  constructor(init: SharedPathInit) {
    this.#init = init;
    const ranks = Array.from({ length: init.nranks }, (_, rank) => rank);
    this.#peers = ranks.filter((rank) => rank !== init.rank);
  }

  /** The best that this rank can do. */
  get best(): DataPath {
    const { machine, nranks, provider } = this.#init;
    const isPossible = machine !== undefined && nranks <= SHARED_RANKS_MAX;
    return isPossible && provider !== 'ws' ? 'p2p' : 'ws';
  }

  /** How collectives travel, once that is agreed. */
  get path(): DataPath {
    return this.#state === 'on' ? 'p2p' : 'ws';
  }

  /** Cells that the program's thread has done. */
  get progress(): number {
    return this.#own?.progress ?? 0;
  }

  get traffic(): SharedTraffic {
    return this.#parts?.control.traffic ?? NO_TRAFFIC;
  }

  /** For the program's thread; `undefined` if nothing is shared. */
  get places(): SharedPlaces | undefined {
    const parts = this.#parts;
    if (this.#state !== 'on' || parts === undefined) return undefined;
    const { device, page, mailboxes } = parts;
    const mailboxOffsets = Array.from(
      { length: this.#init.nranks },
      (_, rank) => defined(mailboxes.get(rank), 'the mailbox of a rank').offset,
    );
    return { device: device.index, controlOffset: page.offset, mailboxOffsets };
  }

  /**
   * After every hello: resolves when all ranks know whether memory is shared. Throws hcclInvalidUsage if it
   * must be and is not.
   */
  async agree(): Promise<void> {
    const all = this.#peers.every((peer) => this.#hellos.get(peer) === 'p2p');
    if (this.best === 'ws' || !all || this.#peers.length === 0) {
      this.#state = 'off';
      this.#expectUnwanted();
      return;
    }
    await this.#open();
    for (const { peer, message } of this.#early.splice(0)) this.heard(peer, message);
    this.#settle();
    await this.#agreed.promise;
    if (this.#isClosed()) return;
    const isUnanimous = [...this.#verdicts.values()].every((path) => path === 'p2p');
    this.#state = isUnanimous ? 'on' : 'off';
    if (isUnanimous) {
      this.#openTrace();
      return;
    }
    await this.#release();
    this.#expectUnwanted();
  }

  /** A peer says something. */
  heard(peer: Rank, message: SharedMessage): void {
    if (this.#state === 'closed' || this.#state === 'off') return;
    if (message.kind === 'PATH') {
      if (this.#hellos.has(peer)) this.#verdict(peer, message.path);
      else this.#hellos.set(peer, message.path);
    } else if (this.#parts === undefined) {
      this.#early.push({ peer, message });
    } else {
      this.#windowMessage(this.#parts, peer, message);
    }
  }

  departed(peer: Rank, progress: number): void {
    this.#parts?.control.departed(peer, progress);
    this.#wakeOwn();
  }

  /** Number of the window through which every peer reaches a registration. */
  window(mr: FiMr): Promise<number> {
    return defined(this.#parts, 'shared memory').windows.window(mr, 'buffer');
  }

  /** Every peer has read what it has to of this rank's memory, which may go now. */
  get isRead(): boolean {
    const parts = this.#parts;
    if (this.#state !== 'on' || parts === undefined) return true;
    return this.#peers.every((peer) => {
      if (parts.control.lastProgress(peer) !== undefined) return true;
      return isAtLeast(parts.mailboxes.get(peer)?.progress ?? 0, parts.control.finished);
    });
  }

  /** From here on the program's thread begins nothing. */
  stop(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#stopWatching();
    this.#agreed.resolve();
    this.#parts?.control.close();
    this.#own?.withdraw();
    this.#wakeOwn();
  }

  /** The program's thread is in the middle of something. */
  get isBusy(): boolean {
    return this.#parts?.control.isBusy ?? false;
  }

  /** Resolves when the program's thread has left what it was in the middle of. */
  async idle(): Promise<void> {
    const { scheduler } = this.#init;
    const deadline = scheduler.clock.now() + LEAVE_MS;
    while (this.isBusy && scheduler.clock.now() < deadline) await delay(scheduler, 1);
  }

  /** Gives everything back, HCCL's own memory too. The process must be alive. */
  async release(): Promise<void> {
    this.stop();
    await this.idle();
    await this.#trace?.end();
    await this.#release();
  }

  /** The process has ended, and its memory goes with it: unmaps what is the peers'. */
  abandon(): void {
    this.stop();
    const { clock } = this.#init.scheduler;
    const deadline = clock.now() + ABANDON_MS;
    // Its thread is being stopped; what it is in the middle of takes less than this.
    while (this.isBusy && clock.now() < deadline);
    this.#trace?.source.abandon();
    void this.#trace?.end();
    this.#parts?.windows.close();
    this.#parts = undefined;
  }

  async #open(): Promise<void> {
    const { session, rank, nodeIdOf, send } = this.#init;
    const mailbox = await this.#page(MAILBOX_BYTES);
    const page = await this.#page(CONTROL_PAGE_BYTES);
    const memory = bytesOf(mailbox.mr).buffer as SharedArrayBuffer;
    const device = this.#machine.deviceOf(memory);
    const own = new Mailbox(memory, mailbox.offset);
    own.initialise();
    const control = new ControlPage(memory, page.offset);
    const windows = new SharedWindows({
      ...{ peers: this.#peers, machine: this.#machine, device, control, nodeIdOf, send },
      takenBack: () => this.#takenBack(),
    });
    const mailboxes = new Map([[rank, own]]);
    this.#parts = { device, memory, mailbox, page, control, mailboxes, windows };
    if (this.#isClosed()) return;
    this.#stopWatching = session.whenDropped((mr) => windows.drop(mr));
    windows.window(mailbox.mr, 'mailbox').then(
      () => this.#mailboxAnswered('mapped'),
      () => this.#mailboxAnswered('refused'),
    );
  }

  #openTrace(): void {
    const { observe, rank, key, session } = this.#init;
    const { memory, control } = defined(this.#parts, 'shared memory');
    const source = new SharedTrace({
      ...{ memory, control, rank, uniqueId: key.uniqueId },
      allocate: (bytes) => this.#page(bytes),
      release: (address) => session.release(address),
      idle: () => this.idle(),
    });
    const end = observe?.addSource(source) ?? (() => Promise.resolve());
    this.#trace = { source, end };
  }

  async #page(bytes: number): Promise<OwnPage> {
    const { address, mr } = await this.#init.session.allocate(bytes, 'shared memory');
    const view = bytesOf(mr);
    view.fill(0);
    return { address, mr, offset: view.byteOffset };
  }

  #windowMessage(
    { windows, mailboxes, memory }: SharedParts,
    peer: Rank,
    message: Exclude<SharedMessage, { readonly kind: 'PATH' }>,
  ): void {
    switch (message.kind) {
      case 'WINDOW': {
        const offset = windows.offered(peer, message.id, message.bytes);
        if (message.use === 'buffer') return;
        const fits = offset !== undefined && message.bytes >= MAILBOX_BYTES;
        if (fits) mailboxes.set(peer, new Mailbox(memory, offset));
        else this.#mapping.refused = true;
        this.#settle();
        return;
      }
      case 'WINDOW_ANSWER':
        windows.answered(peer, message.id, message.result);
        return;
      case 'WITHDRAW':
        windows.withdrawn(peer, message.id);
    }
  }

  #mailboxAnswered(result: 'mapped' | 'refused'): void {
    this.#mapping.own = result;
    this.#settle();
  }

  /** Once every mailbox is mapped both ways, or one cannot be, all hear of it. */
  #settle(): void {
    const { rank, nranks, send } = this.#init;
    if (this.#state !== 'agreeing' || this.#verdicts.has(rank)) return;
    const { own, refused } = this.#mapping;
    const isMapped = own === 'mapped' && this.#parts?.mailboxes.size === nranks;
    if (!isMapped && own !== 'refused' && !refused) return;
    const path = isMapped ? 'p2p' : 'ws';
    for (const peer of this.#peers) send(peer, { kind: 'PATH', path });
    this.#verdict(rank, path);
  }

  #verdict(rank: Rank, path: DataPath): void {
    this.#verdicts.set(rank, path);
    if (this.#verdicts.size === this.#init.nranks) this.#agreed.resolve();
  }

  /** Without shared memory a job that insists on it does not run. */
  #expectUnwanted(): void {
    const { provider, nranks, rank } = this.#init;
    if (provider !== 'p2p' || nranks === 1) return;
    const others = this.#peers.filter((peer) => this.#hellos.get(peer) === 'ws');
    const cannot = this.best === 'ws' ? [rank] : others;
    const who =
      cannot.length === 0 ? 'not every rank can map the others' : `${ranksText(cannot)} cannot`;
    const message = `Expected every rank to share memory (provider p2p) but ${who}: all hosts must be on one Linux machine, with koffi installed; provider auto takes ws where that is not so`;
    throw hcclError({ result: 'hcclInvalidUsage', message });
  }

  /** Peers may be reading it at this moment: no result of theirs can be trusted. */
  #takenBack(): void {
    const { rank, fail } = this.#init;
    const message = `Expected the memory of collectives to stay but the device of rank ${rank} has taken it back while its peers had it mapped`;
    fail({ result: 'hcclInvalidUsage', message });
  }

  async #release(): Promise<void> {
    const parts = this.#parts;
    this.#stopWatching();
    this.#parts = undefined;
    if (parts === undefined) return;
    parts.windows.close();
    await this.#init.session.release(parts.mailbox.address);
    await this.#init.session.release(parts.page.address);
  }

  get #own(): Mailbox | undefined {
    return this.#parts?.mailboxes.get(this.#init.rank);
  }

  #wakeOwn(): void {
    const own = this.#own;
    if (own?.ring())
      this.#machine.wake(defined(this.#parts, 'shared memory').memory, own.doorbellOffset);
  }

  get #machine(): SharedMachine {
    const { machine } = this.#init;
    assert(machine !== undefined, 'Expected a machine with shared memory');
    return machine;
  }

  /** A method, because callbacks may have changed it since the last look. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }
}

/** A registration's bytes in the device's memory: one piece, since HBM is contiguous. */
export function bytesOf(mr: FiMr): Uint8Array {
  const views = verbsOf(mr).views(mr.address, mr.length);
  const view = views[0];
  assert(view !== undefined && views.length === 1, 'Expected device memory in one piece');
  return view;
}
