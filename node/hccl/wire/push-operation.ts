/**
 * Runs a push plan (`collectives/push-plan.ts`) on wires. What is copied goes from the socket to its place;
 * what is reduced comes into a slot that is small enough to be still in a cache, and is summed from there.
 */
import type { Pull, PullRange } from '../../../collectives/pull-plan.ts';
import type { PushCell, PushMessage, PushPlan } from '../../../collectives/push-plan.ts';
import type { Rank } from '../../../collectives/schedule.ts';
import type { Kernel } from '../../device/kernels/kernels.ts';
import { type WireCall, WireOperation } from './wire-operation.ts';
import type { WireRank } from './wire-rank.ts';
import { SLOT_BYTES, SMALL_BYTES } from './wire-stage.ts';

export interface PushCall extends WireCall {
  readonly plan: PushPlan;
  readonly elementBytes: number;
  /** dst = a (op) b; absent if nothing is reduced. */
  readonly reduce: Kernel | undefined;
  readonly finish: ((output: number) => void) | undefined;
}

/** Messages that are sent to each peer before what has come is taken. */
const SENDS_MAX = 2;
/** Pieces that are received between two looks at what there is to send. */
const READS_MAX = 4;
/** Times that it does so in one `advance`: whoever takes memory back waits for no longer. */
const TURNS_MAX = 16;

export class PushOperation extends WireOperation {
  readonly #call: PushCall;
  /** Cells that are done. */
  #cells = 0;
  /** Pulls of the next one that are done. */
  #pulls = 0;
  /** By rank, messages that were begun, and that are on their way altogether. */
  readonly #begun: number[];
  readonly #sent: number[];
  readonly #received: number[];
  /** Messages to all peers that are not on their way. */
  #left: number;
  /** Of the message that comes now: whether its head has come, and how much of its payload. */
  #arrival: 'head' | 'payload' = 'head';
  #arrived = 0;
  /** Bytes in the slot. */
  #held = 0;
  #beginMs = 0;

  constructor(place: WireRank, call: PushCall, sequence: number) {
    super(place, call, sequence);
    this.#call = call;
    const none = () => Array.from({ length: place.nranks }, () => 0);
    this.#begun = none();
    this.#sent = none();
    this.#received = none();
    this.#left = call.plan.outbound.reduce((sum, { length }) => sum + length, 0);
  }

  protected start(): void {
    // Everything lies where it is sent from.
  }

  protected run(): boolean {
    const { plan, finish, output, elementBytes } = this.#call;
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      const { progress, blocked } = this.#send();
      let reads = 0;
      while (reads < READS_MAX && this.#cells < plan.cells.length && this.#receive()) reads++;
      if (this.#cells === plan.cells.length && this.#left === 0) {
        finish?.(output);
        const { elementsReceived, elementsSent } = plan;
        this.place.control.count(elementsReceived * elementBytes, elementsSent * elementBytes);
        return true;
      }
      if (progress || reads > 0) continue;
      if (this.#cells < plan.cells.length) return false;
      return this.awaitsRoom(blocked);
    }
    return this.pauses();
  }

  /**
   * Sends some messages to every peer, if they may go and find room: what has come meanwhile is taken before the
   * next ones, so that little waits in sockets. `blocked`: a peer for which there is no room.
   */
  #send(): { readonly progress: boolean; readonly blocked: Rank } {
    const { outbound } = this.#call.plan;
    const before = this.#left;
    let blocked = this.place.rank;
    for (const peer of this.place.peers) {
      const messages = outbound[peer] ?? [];
      const end = Math.min(messages.length, (this.#sent[peer] as number) + SENDS_MAX);
      while ((this.#sent[peer] as number) < end) {
        if (this.#sendTo(peer)) continue;
        blocked = peer;
        break;
      }
    }
    return { progress: this.#left < before, blocked };
  }

  /** True if the next message to the peer is on its way. */
  #sendTo(peer: Rank): boolean {
    const { plan, text, elementBytes } = this.#call;
    const wire = this.place.outbound(peer);
    const sent = this.#sent[peer] as number;
    if (sent === this.#begun[peer]) {
      const message = plan.outbound[peer]?.[sent] as PushMessage;
      if (message.afterCells > this.#cells) return false;
      this.frame.index = sent;
      this.frame.bytes = message.length * elementBytes;
      wire.begin(this.frame, text, this.#at(message.from));
      this.#begun[peer] = sent + 1;
    }
    if (!wire.flush()) return false;
    this.#sent[peer] = sent + 1;
    this.#left--;
    return true;
  }

  /** Receives one piece, or does what needs none; false if there is none. */
  #receive(): boolean {
    const cell = this.#call.plan.cells[this.#cells] as PushCell;
    const pull = cell.pulls[this.#pulls];
    if (pull === undefined) {
      this.#cells++;
      this.#pulls = 0;
      return true;
    }
    if (this.#pulls === 0 && this.#arrived === 0) {
      // What this cell overwrites must have left.
      for (const { peer, messages } of cell.sent)
        if ((this.#sent[peer] as number) < messages) return this.awaitsRoom(peer);
    }
    if (pull.src === this.place.rank) this.#local(pull);
    else if (!this.#remote(pull)) return false;
    else if (this.#arrived < pull.length * this.#call.elementBytes) return true;
    this.#pulls++;
    this.#arrived = 0;
    return true;
  }

  #local({ from, to, operand, length }: Pull): void {
    const source = this.#at(from);
    const target = this.#at(to);
    const { elementBytes, reduce } = this.#call;
    if (operand !== undefined) reduce?.(target, source, this.#at(operand), length);
    else if (source !== target) this.place.kernels.copy_u8(target, source, length * elementBytes);
  }

  /** One piece of a peer's message; false if there is none. */
  #remote(pull: Pull): boolean {
    const { src } = pull;
    const bytes = pull.length * this.#call.elementBytes;
    this.frame.index = this.#received[src] as number;
    this.frame.bytes = bytes;
    const isThere = bytes <= SMALL_BYTES ? this.#whole(pull, bytes) : this.#piece(pull, bytes);
    if (!isThere) return this.awaitsMessage(src);
    this.place.awaited = undefined;
    if (this.#arrived === bytes) {
      this.#received[src] = this.frame.index + 1;
      this.#arrival = 'head';
      this.#noteArrival(pull, bytes);
    }
    return true;
  }

  /** A message that comes together with its head. */
  #whole(pull: Pull, bytes: number): boolean {
    const payload = this.place.stage.incomingOperand(pull.src);
    if (!this.place.inbound(pull.src).message(this.frame, payload)) return false;
    this.#apply(pull, payload, 0, bytes);
    this.#arrived = bytes;
    return true;
  }

  #piece(pull: Pull, bytes: number): boolean {
    const wire = this.place.inbound(pull.src);
    if (this.#arrival === 'head') {
      if (!wire.head(this.frame)) return false;
      this.#arrival = 'payload';
      if (this.trace !== undefined) this.#beginMs = this.place.wait.now();
    }
    const left = bytes - this.#arrived;
    if (pull.operand === undefined) {
      const found = wire.take(this.#at(pull.to) + this.#arrived, left);
      this.#arrived += found;
      return found > 0;
    }
    const { slot } = this.place.stage;
    const wanted = Math.min(SLOT_BYTES, left);
    const found = wire.take(slot + this.#held, wanted - this.#held);
    if (found === 0) return false;
    this.#held += found;
    if (this.#held === wanted) {
      this.#apply(pull, slot, this.#arrived, wanted);
      this.#arrived += wanted;
      this.#held = 0;
    }
    return true;
  }

  /** What a pull does with `bytes` bytes at `source`, which are its bytes from `start` on. */
  #apply({ to, operand }: Pull, source: number, start: number, bytes: number): void {
    const { elementBytes, reduce } = this.#call;
    const target = this.#at(to) + start;
    if (operand === undefined) this.place.kernels.copy_u8(target, source, bytes);
    else reduce?.(target, source, this.#at(operand) + start, bytes / elementBytes);
  }

  #noteArrival({ src, operand }: Pull, bytes: number): void {
    if (this.trace === undefined) return;
    const what = { cell: this.#cells, peer: src, bytes, isReduced: operand !== undefined };
    this.trace.arrived(what, bytes <= SMALL_BYTES ? undefined : this.#beginMs);
  }

  #at({ buffer, offset }: PullRange): number {
    const { input, output, elementBytes } = this.#call;
    return (buffer === 'input' ? input : output) + offset * elementBytes;
  }
}
