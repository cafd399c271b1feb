/**
 * A small collective on wires: whoever has an operand sends it to every other rank, and each rank makes its
 * output of all of them. One step for any number of ranks; reductions go in the order of the ranks, so all
 * ranks get the same bits.
 */
import type { Rank } from '../../../collectives/schedule.ts';
import type { Kernel } from '../../device/kernels/kernels.ts';
import { dataHeadBytes, writeDataHead } from './wire-frames.ts';
import { type WireCall, WireOperation } from './wire-operation.ts';
import type { WireRank } from './wire-rank.ts';

export interface SmallExchangeCall extends WireCall {
  readonly rule: 'reduce' | 'gather' | { readonly root: Rank };
  readonly elementBytes: number;
  /** Of every rank's operand; `SMALL_BYTES` at most. */
  readonly operandBytes: number;
  /** dst = a (op) b; absent if nothing is reduced. */
  readonly reduce: Kernel | undefined;
  readonly finish: ((output: number) => void) | undefined;
}

export class SmallExchange extends WireOperation {
  readonly #call: SmallExchangeCall;
  readonly #isSource: boolean;
  /** Peers whose operand is needed. */
  readonly #sources: readonly Rank[];
  #received = 0;
  #state: 'exchanging' | 'taken' = 'exchanging';

  constructor(place: WireRank, call: SmallExchangeCall, sequence: number) {
    super(place, call, sequence);
    const { rule } = call;
    this.#call = call;
    this.#isSource = typeof rule === 'string' || rule.root === place.rank;
    this.#sources = typeof rule === 'string' ? place.peers : this.#isSource ? [] : [rule.root];
  }

  protected start(): void {
    const { place, frame } = this;
    const { input, operandBytes, digest, text } = this.#call;
    frame.bytes = operandBytes;
    if (!this.#isSource) return;
    const { operand } = place.stage;
    const headBytes = dataHeadBytes(operandBytes);
    writeDataHead(place.view, operand - headBytes, frame);
    if (operandBytes > 0) place.kernels.copy_u8(operand, input, operandBytes);
    for (const peer of place.peers) {
      const wire = place.outbound(peer);
      wire.beginWhole(digest, text, operand - headBytes, headBytes + operandBytes);
      wire.flush();
    }
  }

  protected run(): boolean {
    const blocked = this.#isSource ? this.#flush() : undefined;
    if (!this.#receive()) return false;
    if (this.#state === 'exchanging') {
      this.#state = 'taken';
      this.#take();
    }
    if (blocked !== undefined) return this.awaitsRoom(blocked);
    const { place } = this;
    this.#call.finish?.(this.#call.output);
    const { operandBytes } = this.#call;
    const sent = this.#isSource ? operandBytes * place.peers.length : 0;
    place.control.count(operandBytes * this.#sources.length, sent);
    return true;
  }

  /** A peer to which something is left to send. */
  #flush(): Rank | undefined {
    let blocked: Rank | undefined;
    for (const peer of this.place.peers) if (!this.place.outbound(peer).flush()) blocked = peer;
    return blocked;
  }

  #receive(): boolean {
    const { place, frame } = this;
    for (; this.#received < this.#sources.length; this.#received++) {
      const peer = this.#sources[this.#received] as Rank;
      const payload = place.stage.incomingOperand(peer);
      if (!place.inbound(peer).message(frame, payload)) return this.awaitsMessage(peer);
    }
    place.awaited = undefined;
    return true;
  }

  #take(): void {
    const { rule, output, input, operandBytes, elementBytes, reduce } = this.#call;
    const { kernels, nranks, rank } = this.place;
    if (operandBytes === 0) return;
    if (rule === 'gather') {
      for (let one = 0; one < nranks; one++) {
        const target = output + one * operandBytes;
        const source = this.#operand(one);
        if (source !== target) kernels.copy_u8(target, source, operandBytes);
      }
    } else if (rule === 'reduce') {
      // This rank's own operand as it was sent: the output may lie where the input does.
      let sum = this.#operand(0);
      for (let one = 1; one < nranks; one++) {
        reduce?.(output, sum, this.#operand(one), operandBytes / elementBytes);
        sum = output;
      }
    } else {
      const source = rule.root === rank ? input : this.#operand(rule.root);
      if (source !== output) kernels.copy_u8(output, source, operandBytes);
    }
  }

  #operand(rank: Rank): number {
    const { stage } = this.place;
    return rank === this.place.rank ? stage.operand : stage.incomingOperand(rank);
  }
}
