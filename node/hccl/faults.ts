/** What can be wrong in the traffic of a communicator, in words; each goes to its one `fail`. */
import type { Rank } from '../../collectives/schedule.ts';
import type { FiErrno } from '../fabric/fabric.ts';
import { apiName, type OperationCall } from './control-message.ts';
import { fabricFailure, type HcclFailure } from './failure.ts';
import { describeCall, type Operation } from './operation.ts';

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
    const message =
      `Expected every rank to make the same call as operation ${operation.sequence} but ` +
      `rank ${peer} called ${apiName(theirs.collective)} (${describeCall(theirs)}) and ` +
      `rank ${this.#rank} called ${apiName(mine.collective)} (${describeCall(mine)})`;
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

  /** A peer offers less output than the operation needs. */
  shortOutput(operation: Operation, peer: Rank, expected: number, found: number): void {
    const message = `Expected rank ${peer} to offer ${expected} bytes of output but found ${found} in ${operation.describe()}`;
    this.#fail({ result: 'hcclInternalError', message });
  }

  /** A peer, or somebody else, sent what the protocol does not allow. */
  nonsense(peer: Rank | undefined, what: string): void {
    const from = peer === undefined ? 'a stranger' : `rank ${peer}`;
    const message = `Expected the protocol to be kept but rank ${this.#rank} got ${what} from ${from}`;
    this.#fail({ result: 'hcclInternalError', message });
  }
}
