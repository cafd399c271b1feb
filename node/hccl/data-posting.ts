/** How an operation's data leaves: slices as RDMA writes with immediate, reductions as device work. */
import { defined } from '../../common/assert.ts';
import { isFiErrno } from '../fabric/fabric.ts';
import { fi_writedata } from '../fabric/rma.ts';
import { dataImmediate } from './control-message.ts';
import type { Computation, Outgoing, SliceId } from './engine-ports.ts';
import type { ExchangeInit, PeerSlots } from './exchange.ts';
import type { Faults } from './faults.ts';
import { computationJob, deviceAddress, remoteSlotAddress } from './memory-map.ts';
import { DataContext, type Operation } from './operation.ts';
import type { PlanConnection } from './plan.ts';

export class DataPosting {
  readonly #init: ExchangeInit;
  readonly #faults: Faults;
  #turnedAway = 0;

  constructor(init: ExchangeInit, faults: Faults) {
    this.#init = init;
    this.#faults = faults;
  }

  /** Posts that were answered FI_EAGAIN. */
  get turnedAway(): number {
    return this.#turnedAway;
  }

  /** `blocked`: nothing has happened. */
  post(operation: Operation, message: Outgoing): 'posted' | 'blocked' {
    if (operation.state !== 'running') return 'blocked';
    const connection = defined(operation.plan.outbound[message.outbound], 'the connection');
    const target = this.#target(operation, connection, message);
    if (target === undefined) return 'blocked';
    const { peer, channel } = connection;
    const local = deviceAddress(this.#init, operation, message.source);
    const error = fi_writedata(
      this.#init.endpoint,
      { kind: 'mr', mr: local.mr, address: local.address, length: message.bytes },
      dataImmediate(channel, operation.sequence),
      defined(this.#init.addresses.get(peer), 'the address of a peer'),
      target.address,
      target.key,
      new DataContext(operation, message.slice, peer),
    );
    if (error === 'FI_EAGAIN') {
      this.#turnedAway++;
      return 'blocked';
    }
    if (error !== undefined && isFiErrno(error)) {
      this.#faults.fabric(operation.describe(), peer, error, '');
      return 'blocked';
    }
    this.#init.observer.slice(operation, 'sendBegin', message.slice, peer);
    return 'posted';
  }

  #target(
    operation: Operation,
    { peer, channel }: PlanConnection,
    { target, bytes }: Outgoing,
  ): PeerSlots | undefined {
    if (target.kind === 'slot') {
      const slots = defined(this.#init.peerSlots.get(peer), 'the slots of a peer');
      return remoteSlotAddress(this.#init, slots, peer, channel, target.message);
    }
    const output = defined(operation.remoteOutputs.get(peer), 'the header of a peer');
    if (target.offset + bytes <= output.length) {
      return { address: output.address + target.offset, key: output.key };
    }
    this.#faults.shortOutput(operation, peer, target.offset + bytes, output.length);
    return undefined;
  }

  /** Launches device work; a failure of it is the communicator's. */
  compute(operation: Operation, work: Computation, slice: SliceId, done: () => void): void {
    const { session, observer, rank, fail } = this.#init;
    observer.slice(operation, 'computeBegin', slice);
    session.launch(
      computationJob(this.#init, operation, work),
      () => {
        observer.slice(operation, 'computeEnd', slice);
        done();
      },
      ({ result, message }) => {
        const what = `Device work of ${operation.describe()} on rank ${rank} failed`;
        fail({ result, message: `${what}: ${message}` });
      },
    );
  }
}
