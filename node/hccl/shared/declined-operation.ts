/**
 * A call that this rank cannot make on shared memory, because a peer has no room to map what it works on.
 * Its header says so. Nobody has moved a byte by then, so every rank gives the call to its host instead.
 */
import { ProgramFault } from '../program/program-fault.ts';
import { DECLINED_DIGEST, SharedOperation } from './shared-operation.ts';
import type { SharedRank } from './shared-rank.ts';

const NO_BUFFER = { offset: 0, window: 0, windowOffset: 0 };

export class DeclinedOperation extends SharedOperation {
  constructor(place: SharedRank, text: string, sequence: number) {
    super(place, { digest: DECLINED_DIGEST, text, input: NO_BUFFER, output: NO_BUFFER }, sequence);
  }

  protected prepare(): void {
    // Nothing goes with the header.
  }

  protected greeted(): void {
    // Whatever the others call: this rank has said what they must know.
  }

  protected run(): boolean {
    throw new ProgramFault({ kind: 'declined' });
  }
}
