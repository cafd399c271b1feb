/**
 * One rank of a communicator on shared memory, as operations see it: its own mailbox and its peers', and
 * how far everybody has come. Progress is counted in cells since the start of the communicator; all ranks
 * make the same operations, so they count alike.
 */
import type { Rank } from '../../../collectives/schedule.ts';
import { defined } from '../../../common/assert.ts';
import type { KernelSet } from '../../device/kernels/kernels.ts';
import type { ControlPage, Window } from '../program/control-page.ts';
import { type OperationTrace, operationTrace } from '../program/operation-trace.ts';
import { ProgramFault } from '../program/program-fault.ts';
import type { ProgramPlace } from '../program/program-operation.ts';
import type { ProgramWait } from '../program/program-wait.ts';
import type { Mailbox, MailboxHeader } from './mailbox.ts';

export interface SharedRankInit {
  readonly rank: Rank;
  readonly memory: SharedArrayBuffer;
  readonly kernels: KernelSet;
  readonly control: ControlPage;
  /** Of every rank, this one too. */
  readonly mailboxes: readonly Mailbox[];
  readonly wait: ProgramWait;
}

/** A rank that is waited for: it must have done so many cells. */
export interface Awaited {
  readonly peer: Rank;
  readonly progress: number;
}

/** To look again costs next to nothing here, and a peer that finds this rank asleep has a system call to make. */
const YIELDS = 100;

export class SharedRank implements ProgramPlace {
  readonly rank: Rank;
  readonly nranks: number;
  readonly yields = YIELDS;
  readonly kernels: KernelSet;
  readonly control: ControlPage;
  readonly own: Mailbox;
  readonly peers: readonly Rank[];
  readonly #init: SharedRankInit;
  /** Cells of the operations that are over, modulo 2^32. */
  #base = 0;
  /** As it was when this rank was about to sleep. */
  #doorbell = 0;
  readonly #header: MailboxHeader = {
    sequence: 0,
    digest: 0,
    inputWindow: 0,
    outputWindow: 0,
    inputOffset: 0,
    outputOffset: 0,
  };

  constructor(init: SharedRankInit) {
    this.#init = init;
    this.rank = init.rank;
    this.nranks = init.mailboxes.length;
    this.kernels = init.kernels;
    this.control = init.control;
    this.own = this.mailbox(init.rank);
    this.peers = init.mailboxes.flatMap((_, peer) => (peer === init.rank ? [] : [peer]));
  }

  get wait(): ProgramWait {
    return this.#init.wait;
  }

  hasNews(): boolean {
    // To look costs less.
    return true;
  }

  aboutToSleep(): void {
    // In this order, so that no ring is missed.
    this.own.isSleeping = true;
    this.#doorbell = this.own.doorbell;
  }

  sleep(timeoutMs: number): void {
    this.wait.sleep(this.own.doorbellOffset, this.#doorbell, timeoutMs);
  }

  awake(): void {
    this.own.isSleeping = false;
  }

  pause(timeoutMs: number): void {
    this.wait.sleep(this.own.doorbellOffset, this.own.doorbell, timeoutMs);
  }

  /** Where a call notes down what it does; `undefined` unless somebody wants to know. */
  traceOf(call: number): OperationTrace | undefined {
    return operationTrace(this.#init, call);
  }

  mailbox(rank: Rank): Mailbox {
    return defined(this.#init.mailboxes[rank], 'the mailbox of a rank');
  }

  /** Tells that so many cells of the operation are done, and wakes who sleeps. */
  publish(cells: number): void {
    this.own.progress = this.#base + cells;
    for (const peer of this.peers) {
      const mailbox = this.mailbox(peer);
      if (mailbox.ring()) this.wait.wake(mailbox.doorbellOffset);
    }
  }

  /** As `publish`, of a step that nobody waits for. */
  note(cells: number): void {
    this.own.progress = this.#base + cells;
  }

  /** The operation is over, after so many cells on every rank. */
  advance(cells: number): void {
    this.#base = (this.#base + cells) >>> 0;
    this.control.finished = this.#base;
  }

  /** Whether a peer has done so many cells of the operation. Throws a fault if it has left before. */
  hasReached(peer: Rank, cells: number): boolean {
    const mailbox = this.mailbox(peer);
    const target = this.#base + cells;
    // In this order: the mailbox of a rank that has left is empty.
    const { progress } = mailbox;
    if (mailbox.isThere && isAtLeast(progress, target)) return true;
    const last = this.control.lastProgress(peer);
    if (last === undefined) return false;
    if (isAtLeast(last, target)) return true;
    throw new ProgramFault({ kind: 'departed', peer });
  }

  /**
   * Whether what was just read of a peer was still its own: it withdraws its mailbox before all else. False
   * if it is gone, and somebody will say why; throws a fault if it has said so itself.
   */
  isIntact(peer: Rank): boolean {
    if (this.mailbox(peer).isThere) return true;
    if (this.control.lastProgress(peer) === undefined) return false;
    throw new ProgramFault({ kind: 'departed', peer });
  }

  /** The header of a peer's operation; valid until the next call. */
  header(peer: Rank, sequence: number): MailboxHeader {
    this.mailbox(peer).readHeader(sequence, this.#header);
    return this.#header;
  }

  /** Where `bytes` bytes of a peer's window lie in this device's memory. Throws a fault if they do not. */
  reach(peer: Rank, id: number, offset: number, bytes: number): number {
    const window: Window | undefined = id === 0 ? undefined : this.control.window(peer, id);
    const isInside =
      window !== undefined &&
      Number.isSafeInteger(offset) &&
      offset >= 0 &&
      offset + bytes <= window.bytes;
    if (isInside) return window.offset + offset;
    const found = window === undefined ? `no window ${id}` : `a window of ${window.bytes} bytes`;
    throw new ProgramFault({
      kind: 'window',
      peer,
      found: `${bytes} bytes at ${offset} of ${found}`,
    });
  }
}

/** `a` is `b` or later, of counts modulo 2^32. */
export function isAtLeast(a: number, b: number): boolean {
  return ((a - b) | 0) >= 0;
}
