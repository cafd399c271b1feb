/**
 * The memory that the ranks of a communicator share, as the host's main thread sees it: who can, who has
 * mapped whose mailbox, and how access ends. The bytes are moved by the program's thread
 * (`program-channel.ts`).
 *
 *   agreeing ---- every rank has mapped every mailbox ----> on ----> closed
 *      |
 *      +-- one cannot: another machine, no koffi, another provider --> off
 */
import type { Rank } from '../../../collectives/schedule.ts';
import { assert, defined } from '../../../common/assert.ts';
import type { FiMr } from '../../fabric/fabric.ts';
import type { SharedMessage } from '../control-message.ts';
import { type HcclFailure, hcclError } from '../failure.ts';
import { NO_TRAFFIC, PROGRAM_RANKS_MAX, type ProgramTraffic } from '../program/control-page.ts';
import { type OwnPage, ownPage } from '../program/own-page.ts';
import { PathAgreement } from '../program/path-agreement.ts';
import { openGate, type ProgramGate, type ProgramGateInit } from '../program/program-gate.ts';
import { ranksText } from '../rank-text.ts';
import type { ProviderChoice } from '../settings.ts';
import { MAILBOX_BYTES, Mailbox } from './mailbox.ts';
import type { SharedDevice, SharedMachine } from './shared-machine.ts';
import { isAtLeast } from './shared-rank.ts';
import { SharedWindows } from './shared-windows.ts';

export interface SharedPathInit extends ProgramGateInit {
  readonly nranks: number;
  /** Absent: this rank cannot share memory. */
  readonly machine: SharedMachine | undefined;
  readonly provider: ProviderChoice;
  nodeIdOf(rank: Rank): string;
  send(peer: Rank, message: SharedMessage): void;
  fail(failure: HcclFailure): void;
}

/** What this rank has made for it. */
interface SharedParts {
  readonly device: SharedDevice;
  readonly memory: SharedArrayBuffer;
  readonly mailbox: OwnPage;
  readonly gate: ProgramGate;
  /** Of every rank that is mapped, and this one's own. */
  readonly mailboxes: Map<Rank, Mailbox>;
  readonly windows: SharedWindows;
}

/** What the program's thread has to know. */
export interface SharedPlaces {
  readonly path: 'p2p';
  /** Index of the device in its host. */
  readonly device: number;
  readonly controlOffset: number;
  /** Of every rank. */
  readonly mailboxOffsets: readonly number[];
}

export class SharedPath {
  readonly #init: SharedPathInit;
  readonly #agreement: PathAgreement;
  #state: 'agreeing' | 'on' | 'off' | 'closed' = 'agreeing';
  #parts: SharedParts | undefined;
  #opening: Promise<void> = Promise.resolve();
  /** Messages of peers that were quicker than this rank. */
  readonly #early: { readonly peer: Rank; readonly message: SharedMessage }[] = [];
  /** What became of this rank's mailbox at its peers, and of theirs here. */
  #mapping: { own: 'waiting' | 'mapped' | 'refused'; refused: boolean } = {
    own: 'waiting',
    refused: false,
  };
  #stopWatching: () => void = () => undefined;

  constructor(init: SharedPathInit) {
    this.#init = init;
    this.#agreement = new PathAgreement(init.rank, init.nranks);
  }

  /** This rank can share memory. */
  get isPossible(): boolean {
    const { machine, nranks, provider } = this.#init;
    return machine !== undefined && nranks <= PROGRAM_RANKS_MAX && provider !== 'ws';
  }

  get isOn(): boolean {
    return this.#state === 'on';
  }

  /** Cells that the program's thread has done. */
  get progress(): number {
    return this.#own?.progress ?? 0;
  }

  get traffic(): ProgramTraffic {
    return this.#parts?.gate.control.traffic ?? NO_TRAFFIC;
  }

  /** For the program's thread; `undefined` if nothing is shared. */
  get places(): SharedPlaces | undefined {
    const parts = this.#parts;
    if (this.#state !== 'on' || parts === undefined) return undefined;
    const { device, gate, mailboxes } = parts;
    const mailboxOffsets = Array.from(
      { length: this.#init.nranks },
      (_, rank) => defined(mailboxes.get(rank), 'the mailbox of a rank').offset,
    );
    return { path: 'p2p', device: device.index, controlOffset: gate.offset, mailboxOffsets };
  }

  /**
   * After every hello: resolves when all ranks know whether memory is shared. Throws hcclInvalidUsage if it
   * must be and is not.
   */
  async agree(): Promise<void> {
    const { unable } = this.#agreement;
    if (!this.isPossible || unable.length > 0 || this.#peers.length === 0) {
      this.#state = 'off';
      this.#expectUnwanted();
      return;
    }
    this.#opening = this.#open();
    await this.#opening;
    for (const { peer, message } of this.#early.splice(0)) this.heard(peer, message);
    this.#settle();
    const outcome = await this.#agreement.outcome();
    if (this.#isClosed()) return;
    this.#state = outcome === 'made' ? 'on' : 'off';
    if (outcome === 'made') {
      this.#parts?.gate.openTrace();
      return;
    }
    await this.#release();
    this.#expectUnwanted();
  }

  /** A peer can share memory. */
  able(peer: Rank): void {
    this.#agreement.able(peer);
  }

  /** A peer says something. */
  heard(peer: Rank, message: SharedMessage): void {
    if (this.#state === 'closed' || this.#state === 'off') return;
    if (message.kind === 'PATH') {
      this.#agreement.verdict(peer, message.path === 'p2p' ? 'made' : 'refused');
    } else if (this.#parts === undefined) {
      this.#early.push({ peer, message });
    } else {
      this.#windowMessage(this.#parts, peer, message);
    }
  }

  departed(peer: Rank, progress: number): void {
    this.#parts?.gate.control.departed(peer, progress);
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
      const { control } = parts.gate;
      if (control.lastProgress(peer) !== undefined) return true;
      return isAtLeast(parts.mailboxes.get(peer)?.progress ?? 0, control.finished);
    });
  }

  /** From here on the program's thread begins nothing. */
  stop(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#stopWatching();
    this.#agreement.end();
    this.#parts?.gate.control.close();
    this.#own?.withdraw();
    this.#wakeOwn();
  }

  /** The program's thread is in the middle of something. */
  get isBusy(): boolean {
    return this.#parts?.gate.isBusy ?? false;
  }

  /** Resolves when the program's thread has left what it was in the middle of. */
  async idle(): Promise<void> {
    await this.#parts?.gate.idle();
  }

  /** Gives everything back, HCCL's own memory too. The process must be alive. */
  async release(): Promise<void> {
    this.stop();
    // Whoever waits for the agreement hears why there is none.
    await this.#opening.catch(() => undefined);
    await this.idle();
    await this.#release();
  }

  /** The process has ended, and its memory goes with it: unmaps what is the peers'. */
  abandon(): void {
    this.stop();
    this.#parts?.gate.abandon();
    this.#parts?.windows.close();
    this.#parts = undefined;
  }

  async #open(): Promise<void> {
    const { session, rank, nodeIdOf, send } = this.#init;
    const mailbox = await ownPage(session, MAILBOX_BYTES);
    const gate = await openGate(this.#init, mailbox);
    const { memory } = mailbox;
    const device = this.#machine.deviceOf(memory);
    const own = new Mailbox(memory, mailbox.offset);
    own.initialise();
    const windows = new SharedWindows({
      ...{
        peers: this.#peers,
        machine: this.#machine,
        device,
        control: gate.control,
        nodeIdOf,
        send,
      },
      takenBack: () => this.#takenBack(),
    });
    const mailboxes = new Map([[rank, own]]);
    this.#parts = { device, memory, mailbox, gate, mailboxes, windows };
    if (this.#isClosed()) return;
    this.#stopWatching = session.whenDropped((mr) => windows.drop(mr));
    windows.window(mailbox.mr, 'mailbox').then(
      () => this.#mailboxAnswered('mapped'),
      () => this.#mailboxAnswered('refused'),
    );
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
    if (this.#state !== 'agreeing' || this.#agreement.isSaid) return;
    const { own, refused } = this.#mapping;
    const isMapped = own === 'mapped' && this.#parts?.mailboxes.size === nranks;
    if (!isMapped && own !== 'refused' && !refused) return;
    const path = isMapped ? 'p2p' : 'ws';
    for (const peer of this.#peers) send(peer, { kind: 'PATH', path });
    this.#agreement.verdict(rank, isMapped ? 'made' : 'refused');
  }

  /** Without shared memory a job that insists on it does not run. */
  #expectUnwanted(): void {
    const { provider, nranks, rank } = this.#init;
    if (provider !== 'p2p' || nranks === 1) return;
    const cannot = this.isPossible ? this.#agreement.unable : [rank];
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
    await parts.gate.release();
  }

  get #peers(): readonly Rank[] {
    return this.#agreement.peers;
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
