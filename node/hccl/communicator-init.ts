/** What a communicator is given: at its start, once the rendezvous is done, and with each call. */
import type { Rank } from '../../collectives/schedule.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import type { FiAv } from '../fabric/av.ts';
import type { FiCq } from '../fabric/cq.ts';
import type { FiEndpoint } from '../fabric/endpoint.ts';
import type { FiAddr } from '../fabric/fabric.ts';
import type { DeviceSession } from './device-session.ts';
import type { EngineTap } from './events.ts';
import type { FlushPlace, PeerSlots } from './exchange-init.ts';
import type { CommKey, JobServices } from './job-services.ts';
import type { SlotPool } from './memory-map.ts';
import type { LocalBuffer } from './operation.ts';
import type { OperationCall } from './operation-call.ts';
import type { Plan } from './plan.ts';
import type { ProgressMode, ProviderChoice } from './settings.ts';
import type { SharedMachine } from './shared/shared-machine.ts';

export interface CommunicatorInit {
  readonly key: CommKey;
  readonly rank: Rank;
  readonly nranks: number;
  readonly session: DeviceSession;
  readonly scheduler: Scheduler;
  readonly services: JobServices;
  readonly observe: EngineTap | undefined;
  /** Absent: ranks of one machine share no memory, and nobody has wires. */
  readonly machine: SharedMachine | undefined;
  readonly provider: ProviderChoice;
  /** Who moves the bytes of collectives over links. */
  readonly progress: ProgressMode;
  /** Of this machine; absent: the event loop is never kept awake. */
  readonly cores: number | undefined;
}

/** A communicator's own libfabric objects, which close with it. */
export interface CommunicatorPort {
  readonly endpoint: FiEndpoint;
  readonly cq: FiCq;
  readonly av: FiAv;
}

/** What a rank has once the rendezvous is done. */
export interface CommunicatorWiring {
  readonly slots: SlotPool | undefined;
  readonly flush: FlushPlace | undefined;
  readonly addresses: ReadonlyMap<Rank, FiAddr>;
  readonly peerSlots: ReadonlyMap<Rank, PeerSlots>;
  /** Host of every rank, for the coordinator's verdicts. */
  readonly nodeIds: ReadonlyMap<Rank, string>;
}

/** A call that is ready to run. */
export interface OperationRequest {
  readonly call: OperationCall;
  readonly plan: Plan;
  readonly input: LocalBuffer;
  readonly output: LocalBuffer;
  /** At least `plan.scratchBytes`; absent if that is 0. */
  readonly scratch?: LocalBuffer | undefined;
}
