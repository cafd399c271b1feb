/**
 * A small collective through the mailboxes: every rank puts its operand beside its header, and takes what
 * it needs from all mailboxes once all headers are there. One step for any number of ranks; reductions go
 * in the order of the ranks, so all ranks get the same bits.
 *
 * A mailbox holds two operands, of even and odd operations. Whoever writes the one of operation k + 2 has
 * seen every peer's header of k + 1, which a peer writes only after it is done with k.
 */
import type { Rank } from '../../../collectives/schedule.ts';
import type { Kernel } from '../../device/kernels/kernels.ts';
import type { OperationTrace } from '../program/operation-trace.ts';
import { type SharedCall, SharedOperation } from './shared-operation.ts';
import type { SharedRank } from './shared-rank.ts';

/** What of the operands a rank's output is made of. */
export type SmallRule =
  /** The reduction of `bytes` bytes of all operands, from `offset` on. */
  | { readonly kind: 'reduce'; readonly offset: number; readonly bytes: number }
  /** All operands, one behind the other. */
  | { readonly kind: 'gather' }
  /** The operand of one rank. */
  | { readonly kind: 'copy'; readonly root: Rank };

export interface SmallCall extends SharedCall {
  readonly rule: SmallRule;
  readonly elementBytes: number;
  /** Of this rank's operand; `MAILBOX_OPERAND_BYTES` at most. */
  readonly operandBytes: number;
  /** dst = a (op) b; absent if nothing is reduced. */
  readonly reduce: Kernel | undefined;
  readonly finish: ((output: number) => void) | undefined;
}

const CELLS = 2;

export class SmallOperation extends SharedOperation {
  readonly #call: SmallCall;

  constructor(place: SharedRank, call: SmallCall, sequence: number) {
    super(place, call, sequence);
    this.#call = call;
  }

  protected prepare(): void {
    const { input, operandBytes } = this.#call;
    if (operandBytes === 0 || !this.#isRead) return;
    const target = this.place.own.operandOffset(this.sequence);
    this.place.kernels.copy_u8(target, input.offset, operandBytes);
  }

  protected greeted(): void {
    // Operands are where everybody knows.
  }

  protected run(): boolean {
    const { output, finish } = this.#call;
    if (this.trace === undefined) this.#take();
    else this.#takeNoted(this.trace);
    for (const peer of this.place.peers) if (!this.isIntact(peer)) return false;
    finish?.(output.offset);
    this.place.note(CELLS);
    this.place.advance(CELLS);
    const others = this.place.nranks - 1;
    this.place.control.count(
      this.#bytesRead(others),
      this.#call.operandBytes * (this.#isRead ? others : 0),
    );
    return true;
  }

  /** All operands are taken in one go: it is noted down as one read, of the rank's own mailbox if of several. */
  #takeNoted(trace: OperationTrace): void {
    const { rule } = this.#call;
    const peer = rule.kind === 'copy' ? rule.root : this.place.rank;
    const bytes = this.#bytesRead(this.place.nranks - 1);
    const what = { cell: 0, peer, bytes, isReduced: rule.kind === 'reduce' };
    trace.read(what, () => this.#take());
  }

  #take(): void {
    const { rule, output, operandBytes } = this.#call;
    const { kernels, nranks } = this.place;
    switch (rule.kind) {
      case 'reduce':
        this.#reduce(rule.offset, rule.bytes);
        return;
      case 'gather':
        for (let rank = 0; rank < nranks; rank++) {
          const target = output.offset + rank * operandBytes;
          kernels.copy_u8(target, this.#operand(rank), operandBytes);
        }
        return;
      case 'copy':
        if (rule.root !== this.place.rank || output.offset !== this.#call.input.offset)
          kernels.copy_u8(output.offset, this.#operand(rule.root), operandBytes);
    }
  }

  #reduce(offset: number, bytes: number): void {
    const { output, elementBytes, reduce } = this.#call;
    const count = bytes / elementBytes;
    if (count === 0 || reduce === undefined) return;
    let sum = this.#operand(0) + offset;
    for (let rank = 1; rank < this.place.nranks; rank++) {
      reduce(output.offset, sum, this.#operand(rank) + offset, count);
      sum = output.offset;
    }
  }

  #operand(rank: Rank): number {
    return this.place.mailbox(rank).operandOffset(this.sequence);
  }

  get #isRead(): boolean {
    const { rule } = this.#call;
    return rule.kind !== 'copy' || rule.root === this.place.rank;
  }

  #bytesRead(others: number): number {
    const { rule, operandBytes } = this.#call;
    if (rule.kind === 'reduce') return rule.bytes * others;
    if (rule.kind === 'gather') return operandBytes * others;
    return rule.root === this.place.rank ? 0 : operandBytes;
  }
}
