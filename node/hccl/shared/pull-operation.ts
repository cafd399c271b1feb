/**
 * Runs a pull plan (`collectives/pull-plan.ts`): kernels read the peers' buffers where they lie, in the
 * import aperture of this rank's device, and write its own.
 */
import type { Pull, PullCell, PullPlan, PullRange } from '../../../collectives/pull-plan.ts';
import type { Rank } from '../../../collectives/schedule.ts';
import type { Kernel } from '../../device/kernels/kernels.ts';
import type { OperationTrace } from '../program/operation-trace.ts';
import type { MailboxHeader } from './mailbox.ts';
import { type SharedCall, SharedOperation } from './shared-operation.ts';
import type { SharedRank } from './shared-rank.ts';

export interface PullCall extends SharedCall {
  readonly plan: PullPlan;
  readonly elementBytes: number;
  /** dst = a (op) b; absent if nothing is reduced. */
  readonly reduce: Kernel | undefined;
  /** What an average does to the sum in the output, when nobody reads it any more. */
  readonly finish: ((output: number) => void) | undefined;
}

/** The header and the end. */
const FRAME_CELLS = 2;

/** Where the buffers of a rank lie in this device's memory. */
interface Bases {
  input: number;
  output: number;
}

export class PullOperation extends SharedOperation {
  readonly #cells: number;
  readonly #call: PullCall;
  readonly #bases: Bases[];
  #cell = 0;

  constructor(place: SharedRank, call: PullCall, sequence: number) {
    super(place, call, sequence);
    this.#call = call;
    this.#cells = call.plan.cells.length + FRAME_CELLS;
    this.#bases = Array.from({ length: place.nranks }, () => ({ input: 0, output: 0 }));
    this.#bases[place.rank] = { input: call.input.offset, output: call.output.offset };
  }

  protected prepare(): void {
    // Operands are read where they lie.
  }

  protected greeted(peer: Rank, header: MailboxHeader): void {
    const { place } = this;
    const { inputWindow, inputOffset, outputWindow, outputOffset } = header;
    const bases = this.#bases[peer] as Bases;
    const { plan, elementBytes } = this.#call;
    const { input = 0, output = 0 } = plan.reach[peer] ?? {};
    if (input > 0) bases.input = place.reach(peer, inputWindow, inputOffset, input * elementBytes);
    if (output > 0)
      bases.output = place.reach(peer, outputWindow, outputOffset, output * elementBytes);
  }

  protected run(): boolean {
    const { plan, elementBytes, finish, output } = this.#call;
    for (; this.#cell < plan.cells.length; this.#cell++) {
      const cell = plan.cells[this.#cell];
      if (cell === undefined || !this.#runCell(cell)) return false;
      this.place.publish(2 + this.#cell);
    }
    for (const { peer, cells } of plan.last) if (!this.has(peer, 1 + cells)) return false;
    finish?.(output.offset);
    this.place.note(this.#cells);
    this.place.advance(this.#cells);
    const { elementsRead, elementsServed } = plan;
    this.place.control.count(elementsRead * elementBytes, elementsServed * elementBytes);
    return true;
  }

  #runCell({ needs, pulls }: PullCell): boolean {
    for (const { peer, cells } of needs) if (!this.has(peer, 1 + cells)) return false;
    for (const pull of pulls) {
      if (this.trace === undefined) this.#pull(pull);
      else this.#pullNoted(this.trace, pull);
    }
    // A peer that is gone does not come back: nobody hears of this cell.
    for (const { src } of pulls) if (src !== this.place.rank && !this.isIntact(src)) return false;
    return true;
  }

  #pullNoted(trace: OperationTrace, pull: Pull): void {
    const { src: peer, operand, length } = pull;
    const bytes = length * this.#call.elementBytes;
    const what = { cell: this.#cell, peer, bytes, isReduced: operand !== undefined };
    trace.read(what, () => this.#pull(pull));
  }

  #pull({ src, from, to, operand, length }: Pull): void {
    const { elementBytes, reduce } = this.#call;
    const { rank, kernels } = this.place;
    const source = this.#at(src, from);
    const target = this.#at(rank, to);
    if (operand !== undefined) reduce?.(target, source, this.#at(rank, operand), length);
    else if (source !== target) kernels.copy_u8(target, source, length * elementBytes);
  }

  #at(rank: Rank, { buffer, offset }: PullRange): number {
    return (this.#bases[rank] as Bases)[buffer] + offset * this.#call.elementBytes;
  }
}
