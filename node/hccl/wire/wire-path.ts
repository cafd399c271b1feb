/**
 * The wires of a rank, as the host's main thread sees them: how they are opened, who can, and how access ends.
 * The bytes are moved by the program's thread (`wire-rank.ts`).
 *
 *   agreeing ---- every rank has all its wires ----> on ----> closed
 *      |
 *      +-- one has not: no koffi, another medium, progress auto --> off
 */
import type { Rank } from '../../../collectives/schedule.ts';
import { assert } from '../../../common/assert.ts';
import { KiB } from '../../../common/bytes.ts';
import type { FiMr } from '../../fabric/fabric.ts';
import { fi_mr_watch } from '../../fabric/mr.ts';
import type { WireMessage } from '../control-message.ts';
import type { HcclFailure } from '../failure.ts';
import { NO_TRAFFIC, PROGRAM_RANKS_MAX, type ProgramTraffic } from '../program/control-page.ts';
import { type OwnPage, ownPage } from '../program/own-page.ts';
import { PathAgreement } from '../program/path-agreement.ts';
import { openGate, type ProgramGate, type ProgramGateInit } from '../program/program-gate.ts';
import type { ProgressMode } from '../settings.ts';
import type { SharedMachine } from '../shared/shared-machine.ts';
import type { WireMachine } from './wire-machine.ts';
import { stageBytes } from './wire-stage.ts';

/**
 * Send buffer of a wire to this very machine, where ranks outnumber cores. Bytes wait in it for no network, and as
 * few of them as this are still in a cache when the peer's thread copies them; the system's own limit, of some MiB,
 * is not. Where every rank has a core, both ends run at once, and a small buffer makes them wait for each other.
 */
const NEAR_BUFFER_BYTES = 448 * KiB;

export interface WirePathInit extends ProgramGateInit {
  readonly nranks: number;
  /** Absent: this rank can have no wires. */
  readonly machine: SharedMachine | undefined;
  /** Of this machine; absent: unknown. */
  readonly cores?: number | undefined;
  /** Who moves the bytes: the program's thread, or its host's. */
  readonly progress: ProgressMode;
  nodeIdOf(rank: Rank): string;
  send(peer: Rank, message: WireMessage): void;
  fail(failure: HcclFailure): void;
}

/** What the program's thread has to know. Descriptors by rank, -1 at its own. */
export interface WirePlaces {
  readonly path: 'wire';
  /** Index of the device in its host. */
  readonly device: number;
  readonly controlOffset: number;
  readonly stageOffset: number;
  readonly inbound: readonly number[];
  readonly outbound: readonly number[];
}

interface WireParts {
  readonly device: number;
  readonly gate: ProgramGate;
  readonly stage: OwnPage;
}

export class WirePath {
  readonly #init: WirePathInit;
  readonly #agreement: PathAgreement;
  #state: 'agreeing' | 'on' | 'off' | 'closed' = 'agreeing';
  #parts: WireParts | undefined;
  /** Ends when what it needs of the device has come. */
  #opening: Promise<void> = Promise.resolve();
  /** What peers have offered before this rank could dial. */
  readonly #tickets = new Map<Rank, string>();
  readonly #inbound = new Map<Rank, number>();
  readonly #outbound = new Map<Rank, number>();
  /** Offers that nobody has dialled. */
  readonly #offers = new Set<() => void>();
  readonly #watched = new WeakSet<FiMr>();
  #stopWatching: () => void = () => undefined;

  constructor(init: WirePathInit) {
    this.#init = init;
    this.#agreement = new PathAgreement(init.rank, init.nranks);
  }

  /** This rank can have wires. */
  get isPossible(): boolean {
    const { machine, nranks, progress } = this.#init;
    return machine?.wires !== undefined && nranks <= PROGRAM_RANKS_MAX && progress === 'manual';
  }

  get isOn(): boolean {
    return this.#state === 'on';
  }

  get traffic(): ProgramTraffic {
    return this.#parts?.gate.control.traffic ?? NO_TRAFFIC;
  }

  /** For the program's thread; `undefined` if there are none. */
  get places(): WirePlaces | undefined {
    const parts = this.#parts;
    if (this.#state !== 'on' || parts === undefined) return undefined;
    const { device, gate, stage } = parts;
    const byRank = (fds: ReadonlyMap<Rank, number>) =>
      Array.from({ length: this.#init.nranks }, (_, rank) => fds.get(rank) ?? -1);
    return {
      path: 'wire',
      device,
      controlOffset: gate.offset,
      stageOffset: stage.offset,
      inbound: byRank(this.#inbound),
      outbound: byRank(this.#outbound),
    };
  }

  /** A peer can have wires. */
  able(peer: Rank): void {
    this.#agreement.able(peer);
  }

  /** After every hello: resolves when all ranks know whether there are wires. */
  async agree(): Promise<void> {
    if (this.#state === 'closed') return;
    const { unable } = this.#agreement;
    if (!this.isPossible || unable.length > 0 || this.#peers.length === 0) {
      this.#state = 'off';
      return;
    }
    this.#opening = this.#open();
    await this.#opening;
    const outcome = await this.#agreement.outcome();
    if (this.#isClosed()) return;
    this.#state = outcome === 'made' ? 'on' : 'off';
    if (outcome === 'made') this.#parts?.gate.openTrace();
    else await this.#release();
  }

  heard(peer: Rank, message: WireMessage): void {
    if (this.#state !== 'agreeing') return;
    if (message.kind === 'WIRES')
      this.#agreement.verdict(peer, message.verdict === 'open' ? 'made' : 'refused');
    else if (this.#parts === undefined) this.#tickets.set(peer, message.ticket);
    else this.#dial(peer, message.ticket);
  }

  departed(peer: Rank, progress: number): void {
    this.#parts?.gate.control.departed(peer, progress);
  }

  /** The program's thread is about to use the memory of a registration: fails if it is taken back. */
  watch(mr: FiMr): void {
    if (this.#watched.has(mr)) return;
    this.#watched.add(mr);
    fi_mr_watch(mr, () => this.#takenBack());
  }

  /** From here on the program's thread begins nothing, and sleeps no longer. */
  stop(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#stopWatching();
    this.#agreement.end();
    this.#parts?.gate.control.close();
    for (const cancel of this.#offers) cancel();
    this.#offers.clear();
    for (const fd of this.#descriptors) this.#wires.shut(fd);
  }

  get isBusy(): boolean {
    return this.#parts?.gate.isBusy ?? false;
  }

  async idle(): Promise<void> {
    await this.#parts?.gate.idle();
  }

  /** Gives everything back. The process must be alive. */
  async release(): Promise<void> {
    this.stop();
    // Whoever waits for the agreement hears why there is none.
    await this.#opening.catch(() => undefined);
    await this.idle();
    await this.#release();
  }

  /** The process has ended, and its memory goes with it. */
  abandon(): void {
    this.stop();
    this.#parts?.gate.abandon();
    this.#parts = undefined;
    this.#close();
  }

  async #open(): Promise<void> {
    const { session, send, nranks, machine } = this.#init;
    assert(machine !== undefined, 'Expected a machine with wires');
    const stage = await ownPage(session, stageBytes(nranks));
    const gate = await openGate(this.#init, stage);
    const device = machine.deviceOf(gate.memory).index;
    this.#parts = { device, gate, stage };
    if (this.#isClosed()) return;
    this.#stopWatching = session.whenDropped(() => gate.control.nextEpoch());
    for (const peer of this.#peers) {
      const { ticket, accepted, cancel } = this.#wires.offer(this.#nearBufferBytes);
      this.#offers.add(cancel);
      void this.#keep(this.#outbound, peer, accepted).finally(() => this.#offers.delete(cancel));
      send(peer, { kind: 'WIRE', ticket });
    }
    for (const [peer, ticket] of this.#tickets) this.#dial(peer, ticket);
  }

  #dial(peer: Rank, ticket: string): void {
    const dialled = this.#wires.dial(this.#init.nodeIdOf(peer), ticket);
    void this.#keep(this.#inbound, peer, dialled);
  }

  /** Keeps a descriptor that comes; without it there are no wires. */
  async #keep(fds: Map<Rank, number>, peer: Rank, coming: Promise<number>): Promise<void> {
    try {
      const fd = await coming;
      if (this.#state !== 'agreeing' || fds.has(peer)) this.#wires.close(fd);
      else fds.set(peer, fd);
    } catch {
      // Wires are not needed: the links are there. All ranks hear of it.
      this.#settle('refused');
      return;
    }
    const isComplete =
      this.#inbound.size === this.#peers.length && this.#outbound.size === this.#peers.length;
    if (isComplete) this.#settle('made');
  }

  #settle(word: 'made' | 'refused'): void {
    const { rank, send } = this.#init;
    if (this.#state !== 'agreeing' || this.#agreement.isSaid) return;
    const verdict = word === 'made' ? 'open' : 'refused';
    for (const peer of this.#peers) send(peer, { kind: 'WIRES', verdict });
    this.#agreement.verdict(rank, word);
  }

  /** What the thread is in the middle of, it leaves before this returns: the memory is gone then. */
  #takenBack(): void {
    if (this.#state !== 'on') return;
    const { rank, fail } = this.#init;
    const message = `Expected the memory of collectives to stay but the device of rank ${rank} has taken it back`;
    fail({ result: 'hcclInvalidUsage', message });
    this.#parts?.gate.waitBusy();
  }

  async #release(): Promise<void> {
    const parts = this.#parts;
    this.#stopWatching();
    this.#parts = undefined;
    this.#close();
    if (parts === undefined) return;
    await this.#init.session.release(parts.stage.address);
    await parts.gate.release();
  }

  #close(): void {
    for (const fd of this.#descriptors) this.#wires.close(fd);
    this.#inbound.clear();
    this.#outbound.clear();
  }

  get #peers(): readonly Rank[] {
    return this.#agreement.peers;
  }

  get #descriptors(): readonly number[] {
    return [...this.#inbound.values(), ...this.#outbound.values()];
  }

  get #nearBufferBytes(): number | undefined {
    const { nranks, cores = 0 } = this.#init;
    return nranks > cores ? NEAR_BUFFER_BYTES : undefined;
  }

  get #wires(): WireMachine {
    const wires = this.#init.machine?.wires;
    assert(wires !== undefined, 'Expected a machine with wires');
    return wires;
  }

  /** A method, because callbacks may have changed it since the last look. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }
}
