/**
 * HCCL's system calls: the other end of `api.ts`. Arguments come from a user program and are checked
 * here; what fails is thrown as `SystemCallError`.
 */
import { nanoid } from 'nanoid';
import { z } from 'zod';
import { messageOf } from '../../common/errors.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import type { FiMr } from '../fabric/fabric.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { SystemCallError, type SystemCallValue } from '../process/system-call.ts';
import { inlineChannel, type SystemCallTable } from '../process/system-call-table.ts';
import { type CheckedCall, type CollectiveArguments, checkCall } from './collective-call.ts';
import { apiName } from './control-message.ts';
import type { Nic } from './device-session.ts';
import type { EngineObserver } from './events.ts';
import { type HcclFailure, hcclError, invalidArgument } from './failure.ts';
import { HCCL_DEFAULT_STREAM, HCCL_RANKS_MAX, hcclSum, isHcclResult } from './hccl.ts';
import type { JobRank, JobServices } from './job-services.ts';
import type { LocalBuffer } from './operation.ts';
import { COMMUNICATORS_MAX, HcclProcess, type OpenCommunicator } from './process-state.ts';
import { HCCL_STREAMS_MAX, type Stream } from './stream.ts';

/** Setting of a job that overrides the choice of algorithm. */
const ALGORITHM_VARIABLE = 'HLSIM_ALGORITHM';

export interface HcclLibraryInit {
  readonly table: SystemCallTable;
  readonly nic: Nic;
  readonly nodeId: string;
  readonly scheduler: Scheduler;
  readonly services: JobServices;
  readonly observe?: EngineObserver;
  /** Makes unique ids; injected where runs must repeat. */
  readonly uniqueId?: () => string;
}

const commArgument = z.object({ comm: z.int() });
const streamArgument = z.object({ stream: z.int() });
const initArgument = z.object({
  fd: z.int(),
  nranks: z.int().min(1).max(HCCL_RANKS_MAX),
  uniqueId: z.string().min(1).max(128),
  rank: z.int().nonnegative(),
});
const collectiveArgument = z.object({
  sendBuffer: z.number(),
  recvBuffer: z.number(),
  count: z.number(),
  dataType: z.int(),
  reduceOp: z.int().default(hcclSum),
  root: z.int().default(0),
  comm: z.int(),
  stream: z.int().default(HCCL_DEFAULT_STREAM),
});

export class HcclLibrary {
  readonly #init: HcclLibraryInit;
  readonly #processes = new Map<SimProcess, HcclProcess>();

  constructor(init: HcclLibraryInit) {
    this.#init = init;
    this.#register();
  }

  /** The program of a process has ended by itself: its communicators take leave. Bounded. */
  async finalize(process: SimProcess): Promise<void> {
    await this.#processes.get(process)?.finalize();
  }

  #register(): void {
    const { table } = this.#init;
    table.register('hcclGetUniqueId', () => (this.#init.uniqueId ?? nanoid)());
    table.register('hcclCommInitRank', (caller, argument) => this.#commInitRank(caller, argument));
    table.register('hcclCommDestroy', async (caller, argument) => {
      await this.#commDestroy(caller, argument);
    });
    table.register('hcclCommAbort', async (caller, argument) => {
      await this.#commAbort(caller, argument);
    });
    table.register(
      'hcclCommCount',
      (caller, argument) => this.#comm(caller, argument).communicator.init.nranks,
    );
    table.register(
      'hcclCommUserRank',
      (caller, argument) => this.#comm(caller, argument).communicator.init.rank,
    );
    table.register('hcclCommGetAsyncError', (caller, argument) => ({
      ...this.#comm(caller, argument).communicator.asyncError,
    }));
    table.register('hcclCommGetCounters', (caller, argument) => ({
      ...this.#comm(caller, argument).communicator.counters(),
    }));
    for (const [name, collective] of [
      ['hcclAllReduce', 'allReduce'],
      ['hcclAllGather', 'allGather'],
      ['hcclBroadcast', 'broadcast'],
    ] as const) {
      table.register(name, async (caller, argument) => {
        await this.#collective(caller, collective, argument);
      });
    }
    table.register('synStreamCreate', (caller) => this.#streamCreate(caller));
    table.register('synStreamDestroy', async (caller, argument) => {
      await this.#streamDestroy(caller, argument);
    });
    table.register('synStreamSynchronize', async (caller, argument) => {
      await this.#stream(caller, parse(streamArgument, argument).stream).synchronize();
    });
    table.register('hcclDropRegistration', async (caller, argument) => {
      const { fd, address } = parse(z.object({ fd: z.int(), address: z.number() }), argument);
      await this.#processes.get(caller)?.existingSession(fd)?.drop(address);
    });
    this.#registerJobCalls();
  }

  #registerJobCalls(): void {
    const { table, services } = this.#init;
    table.register('jobBarrier', async (caller) => {
      await services.barrier(this.#jobRank(caller));
    });
    table.register('storeSet', (caller, argument) => {
      const { key, value } = parse(z.object({ key: z.string(), value: z.string() }), argument);
      services.storeSet(this.#jobRank(caller), key, value);
    });
    table.register('storeGet', (caller, argument) => {
      const { key } = parse(z.object({ key: z.string() }), argument);
      return services.storeGet(this.#jobRank(caller), key);
    });
    table.register('reportResult', (caller, argument) => {
      const { json } = parse(z.object({ json: z.string() }), argument);
      services.report(this.#jobRank(caller), json);
    });
  }

  async #commInitRank(caller: SimProcess, argument: SystemCallValue): Promise<number> {
    const { fd, nranks, uniqueId, rank } = parse(initArgument, argument);
    if (rank >= nranks) throw invalidArgument(`Expected a rank below ${nranks} but found ${rank}`);
    const state = this.#state(caller);
    if (state.communicatorCount >= COMMUNICATORS_MAX) {
      const message = `Expected at most ${COMMUNICATORS_MAX} communicators: destroy one first`;
      throw hcclError({ result: 'hcclInvalidUsage', message });
    }
    const { jobId } = this.#jobRank(caller);
    return await state.openCommunicator(fd, { jobId, uniqueId, epoch: 1 }, nranks, rank);
  }

  async #commDestroy(caller: SimProcess, argument: SystemCallValue): Promise<void> {
    const { comm } = parse(commArgument, argument);
    await this.#communicator(caller, comm).tail;
    await this.#state(caller).closeCommunicator(comm);
  }

  async #commAbort(caller: SimProcess, argument: SystemCallValue): Promise<void> {
    const { comm } = parse(commArgument, argument);
    const failure = {
      result: 'hcclInvalidUsage',
      message: 'The communicator was aborted',
    } as const;
    this.#communicator(caller, comm).communicator.abort(failure, 'told');
    // Calls that still wait on a stream fail when their turn comes; it may come late.
    await this.#state(caller).closeCommunicator(comm);
  }

  /** Checks the call, queues it, and returns; the stream's synchronisation gives its outcome. */
  async #collective(
    caller: SimProcess,
    collective: CollectiveArguments['collective'],
    argument: SystemCallValue,
  ): Promise<void> {
    const parsed = parse(collectiveArgument, argument);
    const open = this.#communicator(caller, parsed.comm);
    const stream = this.#stream(caller, parsed.stream);
    const { rank, nranks } = open.communicator.init;
    const override = this.#jobRank(caller).environment[ALGORITHM_VARIABLE];
    const algorithm = collective === 'broadcast' || override === '' ? undefined : override;
    const checked = checkCall({ collective, ...parsed }, rank, nranks, algorithm);
    open.communicator.throwIfFailed();
    await stream.room();
    open.tail = stream.enqueue(open.tail, () => runCall(open, checked, parsed));
  }

  #streamCreate(caller: SimProcess): number {
    const stream = this.#state(caller).streams.create();
    if (stream !== undefined) return stream;
    const message = `Expected at most ${HCCL_STREAMS_MAX} streams: destroy one first`;
    throw hcclError({ result: 'hcclStreamError', message });
  }

  async #streamDestroy(caller: SimProcess, argument: SystemCallValue): Promise<void> {
    const { stream } = parse(streamArgument, argument);
    const found = this.#stream(caller, stream);
    if (stream === HCCL_DEFAULT_STREAM)
      throw invalidArgument('Expected a stream other than the default');
    this.#state(caller).streams.delete(stream);
    await found.synchronize();
  }

  #stream(caller: SimProcess, stream: number): Stream {
    const found = this.#state(caller).streams.get(stream);
    if (found === undefined) throw invalidArgument(`Expected a stream but found ${stream}`);
    return found;
  }

  #comm(caller: SimProcess, argument: SystemCallValue): OpenCommunicator {
    return this.#communicator(caller, parse(commArgument, argument).comm);
  }

  #communicator(caller: SimProcess, comm: number): OpenCommunicator {
    const open = this.#processes.get(caller)?.communicator(comm);
    if (open === undefined) throw invalidArgument(`Expected a communicator but found ${comm}`);
    return open;
  }

  #jobRank(caller: SimProcess): JobRank {
    const rank = this.#init.services.jobRankOf(caller);
    if (rank !== undefined) return rank;
    throw hcclError({
      result: 'hcclInvalidUsage',
      message: 'Expected the process to belong to a job',
    });
  }

  #state(caller: SimProcess): HcclProcess {
    const known = this.#processes.get(caller);
    if (known !== undefined) return known;
    const { table, nic, nodeId, scheduler, services, observe } = this.#init;
    const channel = inlineChannel(table, caller);
    const made = new HcclProcess({
      process: caller,
      channel,
      nic,
      nodeId,
      scheduler,
      services,
      observe,
    });
    this.#processes.set(caller, made);
    caller.onExit(() => {
      made.abort();
      this.#processes.delete(caller);
    });
    return made;
  }
}

/** Registers the buffers for the time of the operation and runs it. */
async function runCall(
  open: OpenCommunicator,
  checked: CheckedCall,
  addresses: BufferAddresses,
): Promise<void> {
  const { session, communicator, planner } = open;
  communicator.throwIfFailed();
  const used: FiMr[] = [];
  try {
    // Buffers first: what they hold bounds the plan.
    const buffers = await localBuffers(open, checked, addresses, used);
    const plan = planner.plan(checked);
    await communicator.run({ call: checked.call, plan, ...buffers });
  } catch (reason) {
    // The other ranks are in this operation or will be: they must hear that this one is not.
    communicator.giveUp(startFailure(checked, communicator.init.rank, reason));
    throw reason;
  } finally {
    for (const mr of used) session.unuse(mr);
  }
}

interface BufferAddresses {
  readonly sendBuffer: number;
  readonly recvBuffer: number;
}

/** The call's buffers with their registrations, each of which is added to `used` at once. */
async function localBuffers(
  { session, communicator }: OpenCommunicator,
  { call, placement, inputBytes, outputBytes }: CheckedCall,
  { sendBuffer, recvBuffer }: BufferAddresses,
  used: FiMr[],
): Promise<{ readonly input: LocalBuffer; readonly output: LocalBuffer }> {
  const use = async (address: number, bytes: number): Promise<LocalBuffer> => {
    if (bytes === 0) return { address, bytes };
    const mr = await session.use(address, bytes);
    used.push(mr);
    return { address, bytes, mr };
  };
  const output = await use(recvBuffer, outputBytes);
  const reads = call.collective !== 'broadcast' || communicator.init.rank === call.root;
  const input =
    reads && placement === 'outOfPlace'
      ? await use(sendBuffer, inputBytes)
      : { ...output, address: sendBuffer, bytes: inputBytes };
  return { input, output };
}

function startFailure({ call }: CheckedCall, rank: number, reason: unknown): HcclFailure {
  const result =
    reason instanceof SystemCallError && isHcclResult(reason.code)
      ? reason.code
      : 'hcclInternalError';
  return {
    result,
    message: `Rank ${rank} failed in ${apiName(call.collective)}: ${messageOf(reason)}`,
  };
}

function parse<T>(schema: z.ZodType<T>, argument: SystemCallValue): T {
  const result = schema.safeParse(argument);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue?.path.join('.') ?? 'the arguments';
  throw invalidArgument(`Expected well-formed arguments but found, at ${where}: ${issue?.message}`);
}
