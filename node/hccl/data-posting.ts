/** How an operation's data leaves: slices as RDMA writes with immediate, computations as device work. */
import { defined } from '../../common/assert.ts';
import { isFiErrno } from '../fabric/fabric.ts';
import { fi_writedata } from '../fabric/rma.ts';
import { dataImmediate } from './control-message.ts';
import type { Computation, Outgoing } from './engine-ports.ts';
import type { ExchangeInit, PeerSlots } from './exchange-init.ts';
import type { Faults } from './faults.ts';
import { addressOf, computationJob, registrationOf, remoteSlotOffset } from './memory-map.ts';
import { DataContext, type Operation } from './operation.ts';
import type { RemoteRegions } from './operation-header.ts';
import type { PlanSlice } from './plan.ts';

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
    const target = this.#target(operation, message);
    if (target === undefined) return 'blocked';
    const { slice, source } = message;
    const { peer, lane } = message.connection;
    const mr = registrationOf(this.#init, operation, source);
    const address = addressOf(this.#init, operation, source);
    const error = fi_writedata(
      this.#init.endpoint,
      { kind: 'mr', mr, address, length: slice.bytes },
      dataImmediate(lane, operation.sequence),
      defined(this.#init.addresses.get(peer), 'the address of a peer'),
      target.address,
      target.key,
      new DataContext(operation, slice, peer),
    );
    if (error === 'FI_EAGAIN') {
      this.#turnedAway++;
      return 'blocked';
    }
    if (error !== undefined && isFiErrno(error)) {
      this.#faults.fabric(operation.describe(), peer, error, '');
      return 'blocked';
    }
    this.#init.observer.slice(operation, 'sendBegin', slice, peer);
    return 'posted';
  }

  /** Where it goes; `undefined` as long as the peer's header must tell, and has not come. */
  #target(operation: Operation, message: Outgoing): PeerSlots | undefined {
    const { connection, slice, slotMessage } = message;
    const regions = operation.regions(connection.peerIndex);
    const { landing } = slice.step;
    if (landing === 'slot' || landing === undefined) {
      const offset = remoteSlotOffset(this.#init, connection, slotMessage);
      if (connection.slots !== undefined)
        return this.#within(operation, message, regions, 'slots', offset);
      const slots = defined(this.#init.peerSlots.get(connection.peer), 'the slots of a peer');
      return { address: slots.address + offset, key: slots.key };
    }
    const offset = landing.offset + slice.offset;
    return this.#within(operation, message, regions, landing.buffer, offset);
  }

  #within(
    operation: Operation,
    { connection, slice }: Outgoing,
    regions: RemoteRegions | undefined,
    name: keyof RemoteRegions,
    offset: number,
  ): PeerSlots | undefined {
    if (regions === undefined) return undefined;
    const region = regions[name];
    const end = offset + slice.bytes;
    if (region !== undefined && end <= region.length)
      return { address: region.address + offset, key: region.key };
    this.#faults.shortRegion(operation, connection.peer, name, end, region?.length ?? 0);
    return undefined;
  }

  /** Launches device work; a failure of it is the communicator's. */
  compute(operation: Operation, work: Computation, slice: PlanSlice): void {
    const { session, observer, rank, fail } = this.#init;
    observer.slice(operation, 'computeBegin', slice);
    session.launch(
      computationJob(this.#init, operation, work),
      () => {
        observer.slice(operation, 'computeEnd', slice);
        operation.engine.computed(slice);
      },
      ({ result, message }) => {
        const what = `Device work of ${operation.describe()} on rank ${rank} failed`;
        fail({ result, message: `${what}: ${message}` });
      },
    );
  }
}
