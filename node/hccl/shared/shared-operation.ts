/**
 * An operation of one rank on shared memory: its header, and what comes after. It never waits itself:
 * `advance` goes as far as it can and says for whom it waits.
 */
import type { Rank } from '../../../collectives/schedule.ts';
import type { OperationTrace } from '../program/operation-trace.ts';
import { ProgramFault } from '../program/program-fault.ts';
import type { ProgramOperation } from '../program/program-operation.ts';
import type { MailboxHeader } from './mailbox.ts';
import type { SharedRank } from './shared-rank.ts';

/** Memory of this rank as peers know it. */
export type SharedBuffer = {
  /** In this device's memory. */
  readonly offset: number;
  /** Number of the window, 0 for an empty buffer, and where the buffer starts in it. */
  readonly window: number;
  readonly windowOffset: number;
};

/** A call that all ranks make alike, but for their buffers. */
export interface SharedCall {
  /** Equal on all ranks exactly if the calls are. */
  readonly digest: number;
  /** The call in words, for messages. */
  readonly text: string;
  /** Collective and algorithm, and the bytes of the output, for traces. */
  readonly name?: string;
  readonly outputBytes?: number;
  readonly input: SharedBuffer;
  readonly output: SharedBuffer;
}

/** In a header: the rank does not make the call on shared memory. No call has this digest. */
export const DECLINED_DIGEST = 0;

export abstract class SharedOperation implements ProgramOperation {
  readonly sequence: number;
  /** When it is given up if it has not ended, on the clock of whoever runs it; set by them. */
  deadline: number | undefined;
  protected readonly place: SharedRank;
  /** Absent unless somebody wants to know what this operation does. */
  protected trace: OperationTrace | undefined;
  readonly #call: SharedCall;
  #started = false;
  /** Peers whose header has been seen, from the first on. */
  #greeted = 0;
  #waitingFor: Rank | undefined;

  constructor(place: SharedRank, call: SharedCall, sequence: number) {
    this.place = place;
    this.#call = call;
    this.sequence = sequence;
  }

  get text(): string {
    return this.#call.text;
  }

  /** The peer for which `advance` has stopped. */
  get waitingFor(): Rank | undefined {
    return this.#waitingFor;
  }

  /** Goes as far as it can; true at the end. Throws a `ProgramFault`. */
  advance(): boolean {
    if (!this.#started) this.#start();
    // Who has declined waits for nobody.
    if (this.#call.digest === DECLINED_DIGEST) return this.run();
    const isOver = this.#greet() && this.run();
    if (this.trace !== undefined) this.#noteDown(this.trace, isOver);
    return isOver;
  }

  #noteDown(trace: OperationTrace, isOver: boolean): void {
    const { name = '', outputBytes = 0 } = this.#call;
    if (isOver) trace.ended(name, outputBytes);
    else if (this.#waitingFor !== undefined) trace.waitsFor(this.#waitingFor);
  }

  /** What must be in the mailbox with the header. */
  protected abstract prepare(): void;
  /** Goes on after all headers are there; true at the end. */
  protected abstract run(): boolean;
  /** The header of a peer that makes the same call. */
  protected abstract greeted(peer: Rank, header: MailboxHeader): void;

  /** True if the peer has done so many cells; if not, it is waited for. */
  protected has(peer: Rank, cells: number): boolean {
    if (this.place.hasReached(peer, cells)) return true;
    this.#waitingFor = peer;
    return false;
  }

  /** True if all that was read of the peer was its own; if not, its end is waited for. */
  protected isIntact(peer: Rank): boolean {
    if (this.place.isIntact(peer)) return true;
    this.#waitingFor = peer;
    return false;
  }

  #start(): void {
    this.#started = true;
    this.trace = this.place.traceOf(this.sequence);
    const { digest, text, input, output } = this.#call;
    this.prepare();
    this.place.own.writeHeader(
      {
        sequence: this.sequence,
        digest,
        inputWindow: input.window,
        outputWindow: output.window,
        inputOffset: input.windowOffset,
        outputOffset: output.windowOffset,
      },
      text,
    );
    this.place.publish(1);
  }

  #greet(): boolean {
    const { peers } = this.place;
    for (let peer = peers[this.#greeted]; peer !== undefined; peer = peers[this.#greeted]) {
      if (!this.has(peer, 1)) return false;
      const header = this.place.header(peer, this.sequence);
      if (!this.isIntact(peer)) return false;
      if (header.digest === DECLINED_DIGEST) throw new ProgramFault({ kind: 'declined' });
      if (header.sequence !== this.sequence || header.digest !== this.#call.digest) {
        const theirs = this.place.mailbox(peer).readText(this.sequence);
        throw new ProgramFault({ kind: 'mismatch', peer, theirs });
      }
      this.greeted(peer, header);
      this.#greeted++;
    }
    return true;
  }
}
