/** What can be wrong in the traffic of a communicator, in words; each goes to its one `fail`. */
import type { Rank } from '../../collectives/schedule.ts';
import type { FiErrno } from '../fabric/fabric.ts';
import { fabricFailure, type HcclFailure } from './failure.ts';
import { describeCall, type Operation } from './operation.ts';
import { apiName, type OperationCall } from './operation-call.ts';
import type { Header } from './operation-header.ts';

export class Faults {
  readonly #rank: Rank;
  readonly #fail: (failure: HcclFailure) => void;

  constructor(rank: Rank, fail: (failure: HcclFailure) => void) {
    this.#rank = rank;
    this.#fail = fail;
  }

  /** A peer called something else as the same operation. */
  mismatch(operation: Operation, peer: Rank, theirs: OperationCall): void {
    const mine = operation.call;
    const difference = differenceOf(mine, theirs);
    const message =
      `Expected every rank to make the same call as operation ${operation.sequence} but ` +
      `rank ${peer} called ${apiName(theirs.collective)} (${describeCall(theirs)}) as its operation ` +
      `${operation.sequence} where rank ${this.#rank} called ${apiName(mine.collective)} ` +
      `(${describeCall(mine)})${difference}`;
    this.#fail({ result: 'hcclInvalidUsage', message });
  }

  /** What one rank sends to the other is not what the other expects. */
  pairMismatch(operation: Operation, peer: Rank, { sends, expects }: Header): void {
    const { pairs } = operation.call;
    const [mineSent = 0, mineReceived = 0] = [pairs?.sent[peer], pairs?.received[peer]];
    const [from, to, sent, received] =
      sends === mineReceived
        ? [this.#rank, peer, mineSent, expects]
        : [peer, this.#rank, sends, mineReceived];
    const message =
      `Expected rank ${to} to receive what rank ${from} sends it in ${operation.describe()} but ` +
      `rank ${from} sends ${sent} elements and rank ${to} receives ${received}`;
    this.#fail({ result: 'hcclInvalidUsage', message });
  }

  /** A peer said goodbye after operation `last`, before the one under way here. */
  departed(operation: Operation, peer: Rank, last: number): void {
    const after = last === 0 ? 'without any operation' : `after operation ${last}`;
    const message = `Rank ${peer} left the communicator ${after} but rank ${this.#rank} called ${operation.describe()}`;
    this.#fail({ result: 'hcclInvalidUsage', message });
  }

  /** A post or its completion failed; `detail` is the provider's. */
  fabric(what: string, peer: Rank | undefined, error: FiErrno, detail: string): void {
    const towards = peer === undefined ? '' : ` to rank ${peer}`;
    this.#fail(fabricFailure(`${what} from rank ${this.#rank}${towards}`, error, detail));
  }

  /** A peer offers less memory than the operation needs. */
  shortRegion(
    operation: Operation,
    peer: Rank,
    name: string,
    expected: number,
    found: number,
  ): void {
    const message = `Expected rank ${peer} to offer ${expected} bytes of ${name} but found ${found} in ${operation.describe()}`;
    this.#fail({ result: 'hcclInternalError', message });
  }

  /** A peer, or somebody else, sent what the protocol does not allow. */
  nonsense(peer: Rank | undefined, what: string): void {
    const from = peer === undefined ? 'a stranger' : `rank ${peer}`;
    const message = `Expected the protocol to be kept but rank ${this.#rank} got ${what} from ${from}`;
    this.#fail({ result: 'hcclInternalError', message });
  }
}

/** What differs where the sentence about the calls does not show it. */
function differenceOf(mine: OperationCall, theirs: OperationCall): string {
  if (mine.collective !== theirs.collective || describeCall(mine) !== describeCall(theirs))
    return '';
  if (mine.countsDigest !== theirs.countsDigest) return ', with other counts';
  for (const field of ['channels', 'chunks', 'sliceBytes', 'dataType', 'reduceOp'] as const) {
    if (mine[field] !== theirs[field]) return `, with ${field} ${theirs[field]} and ${mine[field]}`;
  }
  return '';
}
