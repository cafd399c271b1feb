/**
 * HCCL's system calls: the other end of `api.ts` and its neighbours. Arguments come from a user program
 * and are checked by each family of calls; what fails is thrown as `SystemCallError`.
 */
import { nanoid } from 'nanoid';
import { messageOf } from '../../common/errors.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import type { SimProcess } from '../process/sim-process.ts';
import {
  inlineChannel,
  type SystemCallHandler,
  type SystemCallTable,
} from '../process/system-call-table.ts';
import type { CallHost } from './call-host.ts';
import { registerCollectiveCalls } from './collective-calls.ts';
import { registerCommunicatorCalls } from './communicator-calls.ts';
import type { Nic } from './device-session.ts';
import { hcclError } from './failure.ts';
import type { HostTracing } from './host-tracing.ts';
import { registerJobCalls } from './job-calls.ts';
import type { JobRank, JobServices } from './job-services.ts';
import { registerMessageCalls } from './message-calls.ts';
import { HcclProcess } from './process-state.ts';
import { registerProgramCalls } from './program/program-calls.ts';
import { STRICT_VARIABLE } from './settings.ts';
import type { SharedMachine } from './shared/shared-machine.ts';
import { registerStreamCalls } from './stream-calls.ts';
import { refuseCall } from './strict.ts';

export interface HcclLibraryInit {
  readonly table: SystemCallTable;
  readonly nic: Nic;
  readonly nodeId: string;
  readonly scheduler: Scheduler;
  readonly services: JobServices;
  readonly tracing: HostTracing;
  /** Absent: ranks of one machine share no memory. */
  readonly machine?: SharedMachine;
  /** Of this machine; absent: the event loop is never kept awake. */
  readonly cores?: number;
  /** Makes unique ids; injected where runs must repeat. */
  readonly uniqueId?: () => string;
}

export class HcclLibrary implements CallHost {
  readonly #init: HcclLibraryInit;
  readonly #processes = new Map<SimProcess, HcclProcess>();

  constructor(init: HcclLibraryInit) {
    this.#init = init;
    registerCommunicatorCalls(this);
    registerCollectiveCalls(this);
    registerMessageCalls(this);
    registerStreamCalls(this);
    registerJobCalls(this);
    registerProgramCalls(this);
  }

  /** The program of a process has ended by itself: its communicators take leave. Bounded. */
  async finalize(process: SimProcess): Promise<void> {
    await this.#processes.get(process)?.finalize();
  }

  get services(): JobServices {
    return this.#init.services;
  }

  uniqueId(): string {
    return (this.#init.uniqueId ?? nanoid)();
  }

  /** Registers a call that a strict job may refuse, and whose failure is its process's last error. */
  register(name: string, handler: SystemCallHandler): void {
    this.#init.table.register(name, async (caller, argument) => {
      try {
        if (this.#isStrict(caller)) refuseCall(name);
        return await handler(caller, argument);
      } catch (reason) {
        if (caller.state === 'running') this.state(caller).lastError = messageOf(reason);
        throw reason;
      }
    });
  }

  jobRank(caller: SimProcess): JobRank {
    const rank = this.#init.services.jobRankOf(caller);
    if (rank !== undefined) return rank;
    throw hcclError({
      result: 'hcclInvalidUsage',
      message: 'Expected the process to belong to a job',
    });
  }

  state(caller: SimProcess): HcclProcess {
    const known = this.#processes.get(caller);
    if (known !== undefined) return known;
    const { table, nic, nodeId, scheduler, services, tracing, machine, cores } = this.#init;
    const channel = inlineChannel(table, caller);
    const made = new HcclProcess({
      process: caller,
      channel,
      nic,
      nodeId,
      scheduler,
      services,
      observe: tracing.tapOf(services.jobRankOf(caller)?.rank),
      machine,
      cores,
    });
    this.#processes.set(caller, made);
    caller.onExit(() => {
      made.abort();
      this.#processes.delete(caller);
    });
    return made;
  }

  #isStrict(caller: SimProcess): boolean {
    return this.#init.services.jobRankOf(caller)?.environment[STRICT_VARIABLE] === '1';
  }
}
