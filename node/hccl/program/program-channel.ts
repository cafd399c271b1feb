/**
 * Collectives run by the program's own thread, on shared memory or on wires. It stands between the program and its
 * system-call channel: what it can do itself never goes to the host's main thread, everything else does,
 * in the order of the calls.
 *
 * A call is queued, as on a stream. It runs when the program synchronises, in that very call; or, if the
 * program goes on to something else, piece by piece whenever its event loop is free. So a call returns at
 * once, and two threads are never woken for a small message.
 */
import {
  type SystemCallChannel,
  SystemCallError,
  type SystemCallValue,
} from '../../process/system-call.ts';
import {
  HCCL_DEFAULT_STREAM,
  type HcclComm,
  type HcclCommChoice,
  type HcclStream,
} from '../hccl.ts';
import { type CallFields, fieldsOf } from './call-fields.ts';
import { CallOrder, type OrderKey } from './call-order.ts';
import { PROGRAM_COLLECTIVES } from './program-collectives.ts';
import { type ProgramCommunicator, programCommunicator } from './program-communicator.ts';
import { ProgramFault } from './program-fault.ts';
import type { ProgramMachine } from './program-machine.ts';
import type { ProgramOperation } from './program-operation.ts';

interface Pending {
  readonly comm: ProgramCommunicator;
  readonly stream: HcclStream;
  readonly operation: ProgramOperation;
  /** The call that it is, should the host have to make it after all. */
  readonly name: string;
  readonly argument: CallFields;
}

const OPENING = new Set(['hcclCommInitRank', 'hcclCommSplit']);
const CHOOSING = new Set(['hcclCommSetChoice', 'hcclCommLoadSchedule', 'hcclCommUnloadSchedule']);
const ENDING = new Set(['hcclCommDestroy', 'hcclCommFinalize', 'hcclCommAbort']);
const MESSAGES = new Set(['hcclSend', 'hcclRecv']);
/** Turns of all communicators before the event loop has its own. */
const TURNS_MAX = 20;
const DONE: Promise<undefined> = Promise.resolve(undefined);

/** A channel that runs what it can in this thread. Without any (`machine.memories` empty) it adds nothing. */
export function programChannel(
  channel: SystemCallChannel,
  machine: ProgramMachine,
): SystemCallChannel {
  const program = new ProgramChannel(channel, machine);
  return { ...channel, call: (name, argument) => program.call(name, argument) };
}

class ProgramChannel {
  readonly #channel: SystemCallChannel;
  readonly #machine: ProgramMachine;
  readonly #communicators = new Map<HcclComm, ProgramCommunicator>();
  /** Those that were not put together yet when their handle came. */
  readonly #connecting = new Set<HcclComm>();
  readonly #pending: Pending[] = [];
  /** First failure of each stream since it was last synchronised. */
  readonly #failures = new Map<HcclStream, Error>();
  readonly #streams = new Set<HcclStream>([HCCL_DEFAULT_STREAM]);
  /** Streams on which the host may still have work of ours. */
  readonly #hostStreams = new Set<HcclStream>();
  /** What the host is being asked about operations that failed. */
  readonly #reports = new Set<Promise<void>>();
  #groups = 0;
  /** Communicators of which the host has a collective of the group: it gets the rest of theirs too, in order. */
  readonly #hostsInGroup = new Set<HcclComm>();
  readonly #order = new CallOrder();
  #isScheduled = false;

  constructor(channel: SystemCallChannel, machine: ProgramMachine) {
    this.#channel = channel;
    this.#machine = machine;
  }

  call(name: string, argument: SystemCallValue): Promise<SystemCallValue> {
    if (OPENING.has(name)) return this.#open(name, argument);
    const isOrdered = name.startsWith('hccl') || name.startsWith('syn');
    // Whoever watches over a communicator must not wait for what it watches.
    const isWatching = name.startsWith('hcclCommGet');
    if (!this.#isNeeded || !isOrdered || isWatching) return this.#channel.call(name, argument);
    const fields = fieldsOf(argument);
    if (name === 'hcclCommAbort') return this.#end(name, fields);
    if (name === 'synStreamSynchronize' && this.#communicators.size > 1)
      return this.#synchronizeAmongMany(fields);
    const keys = this.#keysOf(name, fields);
    if (this.#order.before(keys).length === 0) {
      const answer = this.#atOnce(name, fields);
      if (answer !== undefined) return answer;
    }
    return this.#order.run(keys, () => this.#later(name, fields));
  }

  /** There is something here that the host does not know. */
  get #isNeeded(): boolean {
    const communicators = this.#communicators.size + this.#connecting.size;
    return communicators + this.#reports.size + this.#failures.size > 0;
  }

  /** What needs nobody else; `undefined` if it does. */
  #atOnce(name: string, argument: CallFields): Promise<SystemCallValue> | undefined {
    if (name in PROGRAM_COLLECTIVES) {
      const comm = this.#communicators.get(argument['comm'] as HcclComm);
      const stream = this.#streamOf(argument);
      if (comm === undefined || this.#groups > 0 || !this.#streams.has(stream)) return undefined;
      if (this.#hostStreams.has(stream)) return undefined;
      const operation = comm.known(name, argument);
      if (operation === undefined) return undefined;
      this.#queue({ comm, stream, operation, name, argument });
      return DONE;
    }
    if (name === 'synStreamSynchronize') {
      const stream = this.#streamOf(argument);
      if (!this.#streams.has(stream) || this.#hostStreams.has(stream)) return undefined;
      if (this.#runThrough(stream) && this.#reports.size + this.#failures.size === 0) return DONE;
    }
    return undefined;
  }

  async #later(name: string, argument: CallFields): Promise<SystemCallValue> {
    if (name in PROGRAM_COLLECTIVES) return this.#collective(name, argument);
    if (name === 'synStreamSynchronize') return this.#synchronize(argument);
    if (ENDING.has(name)) return this.#end(name, argument);
    if (name === 'hcclCommLastChoice') {
      const choice = this.#communicators.get(argument['comm'] as HcclComm)?.lastChoice;
      if (choice !== undefined) return choice as HcclCommChoice & CallFields;
    }
    if (CHOOSING.has(name)) this.#communicators.get(argument['comm'] as HcclComm)?.forget();
    // In a group the host only writes down what is called, and the end of the group comes here too.
    if (this.#groups === 0 || name === 'hcclGroupEnd') await this.#drain();
    else if (!MESSAGES.has(name)) this.#hostsInGroup.add(argument['comm'] as HcclComm);
    this.#communicators.get(argument['comm'] as HcclComm)?.hostHasWork();
    return this.#toHost(name, argument);
  }

  /** What a call is about: one communicator and one stream, or everything. */
  #keysOf(name: string, argument: CallFields): readonly OrderKey[] {
    const { comm } = argument;
    const isOfOne = name.startsWith('hccl') && typeof comm === 'number' && this.#groups === 0;
    return isOfOne ? [`comm ${comm}`, `stream ${this.#streamOf(argument)}`] : ['all'];
  }

  async #open(name: string, argument: SystemCallValue): Promise<SystemCallValue> {
    const value = await this.#channel.call(name, argument);
    if (typeof value !== 'number') return value;
    const comm = await programCommunicator(this.#channel, this.#machine, value);
    this.#keep(value, comm);
    return value;
  }

  #keep(handle: HcclComm, comm: ProgramCommunicator | 'connecting' | undefined): void {
    this.#connecting.delete(handle);
    if (comm === 'connecting') this.#connecting.add(handle);
    else if (comm !== undefined) this.#communicators.set(handle, comm);
  }

  async #collective(name: string, argument: CallFields): Promise<SystemCallValue> {
    const handle = argument['comm'] as HcclComm;
    if (this.#connecting.has(handle))
      this.#keep(handle, await programCommunicator(this.#channel, this.#machine, handle));
    const comm = this.#communicators.get(handle);
    const stream = this.#streamOf(argument);
    const isOurs =
      comm !== undefined && this.#streams.has(stream) && !this.#hostsInGroup.has(handle);
    const operation = isOurs ? await this.#prepared(comm, name, argument) : undefined;
    if (comm === undefined || operation === undefined) {
      if (this.#groups > 0) this.#hostsInGroup.add(handle);
      else await this.#drain((one) => one.comm === comm || one.stream === stream);
      comm?.hostHasWork();
      return this.#toHost(name, argument);
    }
    if (comm.hasHostWork) await comm.hostIdle();
    await this.#hostStreamEnded(stream);
    this.#queue({ comm, stream, operation, name, argument });
    return undefined;
  }

  /** What the host has been given on a stream comes before what is queued here on it. */
  async #hostStreamEnded(stream: HcclStream): Promise<void> {
    if (!this.#hostStreams.delete(stream)) return;
    try {
      await this.#channel.call('synStreamSynchronize', { stream });
    } catch (failure) {
      if (!(failure instanceof SystemCallError)) throw failure;
      if (!this.#failures.has(stream)) this.#failures.set(stream, failure);
    }
  }

  /** In a group a refusal is the end of the group's to tell: the host records it. */
  async #prepared(
    comm: ProgramCommunicator,
    name: string,
    argument: CallFields,
  ): Promise<ProgramOperation | undefined> {
    if (this.#groups === 0) return comm.prepared(name, argument);
    return comm.prepared(name, argument).catch(() => undefined);
  }

  async #synchronize(argument: CallFields): Promise<SystemCallValue> {
    const stream = this.#streamOf(argument);
    while (!this.#runThrough(stream)) await this.#settleFaults();
    return this.#synchronized(stream, argument);
  }

  /**
   * As above, in a process with several communicators: what is waited for may need another of them, whose
   * call somebody else in this thread is still to make. So the thread is not kept, nor the order of calls.
   */
  async #synchronizeAmongMany(argument: CallFields): Promise<SystemCallValue> {
    const stream = this.#streamOf(argument);
    await Promise.all(this.#order.before([`stream ${stream}`]));
    await this.#ended((one) => one.stream === stream);
    return this.#synchronized(stream, argument);
  }

  /** What has run on a stream is over: the host's part too, and what went wrong. */
  async #synchronized(stream: HcclStream, argument: CallFields): Promise<SystemCallValue> {
    await this.#settleFaults();
    const failure = this.#failures.get(stream);
    this.#failures.delete(stream);
    if (this.#hostStreams.delete(stream) || !this.#streams.has(stream))
      await this.#channel.call('synStreamSynchronize', argument);
    if (failure !== undefined) throw failure;
    return undefined;
  }

  async #end(name: string, argument: CallFields): Promise<SystemCallValue> {
    const handle = argument['comm'] as HcclComm;
    const comm = this.#communicators.get(handle);
    if (name === 'hcclCommAbort') {
      for (let index = this.#pending.length - 1; index >= 0; index--)
        if (this.#pending[index]?.comm === comm) this.#pending.splice(index, 1);
    } else {
      await this.#drain((one) => one.comm === comm);
    }
    this.#connecting.delete(handle);
    if (name !== 'hcclCommFinalize') this.#communicators.delete(handle);
    else comm?.forget();
    return this.#channel.call(name, argument);
  }

  async #toHost(name: string, argument: CallFields): Promise<SystemCallValue> {
    if (name === 'hcclGroupStart') this.#groups++;
    if (name === 'hcclGroupEnd') this.#groups = Math.max(0, this.#groups - 1);
    if (this.#groups === 0) this.#hostsInGroup.clear();
    if ('stream' in argument || name === 'hcclGroupEnd')
      this.#hostStreams.add(this.#streamOf(argument));
    const value = await this.#channel.call(name, argument);
    if (name === 'synStreamCreate' && typeof value === 'number') this.#streams.add(value);
    if (name === 'synStreamDestroy') this.#streams.delete(this.#streamOf(argument));
    return value;
  }

  #streamOf({ stream }: CallFields): HcclStream {
    return typeof stream === 'number' ? stream : HCCL_DEFAULT_STREAM;
  }

  #queue(pending: Pending): void {
    this.#pending.push(pending);
    this.#schedule();
  }

  /** Runs what is queued up to the last call on `stream`, to its end. False: something has failed. */
  #runThrough(stream: HcclStream): boolean {
    let last = this.#pending.length - 1;
    while (last >= 0 && this.#pending[last]?.stream !== stream) last--;
    if (this.#communicators.size > 1) return this.#runAmongMany(this.#pending.slice(0, last + 1));
    for (; last >= 0; last--) if (!this.#finishFirst()) return false;
    return true;
  }

  #runAmongMany(calls: readonly Pending[]): boolean {
    while (calls.some((one) => this.#pending.includes(one)))
      if (this.#advanceFirsts() === 'failed') return false;
    return true;
  }

  /** Runs the first operation to its end; false if it has failed. */
  #finishFirst(): boolean {
    const next = this.#pending[0];
    if (next === undefined) return true;
    try {
      next.comm.runner.finish(next.operation);
    } catch (reason) {
      this.#failed(next, reason);
      return false;
    }
    this.#pending.shift();
    return true;
  }

  /** Goes on with the first operation of every communicator: ranks of one may wait for each other here. */
  #advanceFirsts(): 'advanced' | 'failed' {
    const firsts = new Map<ProgramCommunicator, Pending>();
    for (const one of this.#pending) if (!firsts.has(one.comm)) firsts.set(one.comm, one);
    let ended = 0;
    for (const one of firsts.values()) {
      try {
        if (!one.comm.runner.poll(one.operation)) continue;
      } catch (reason) {
        this.#failed(one, reason);
        return 'failed';
      }
      ended++;
      this.#pending.splice(this.#pending.indexOf(one), 1);
    }
    if (ended === 0) this.#pending[0]?.comm.runner.pause();
    return 'advanced';
  }

  /** Runs what is queued now and wanted to its end, well or not. */
  async #drain(isWanted: (one: Pending) => boolean = () => true): Promise<void> {
    if (this.#communicators.size > 1) {
      await this.#ended(isWanted);
      return;
    }
    for (let next = this.#pending[0]; next !== undefined; next = this.#pending[0])
      if (!this.#runThrough(next.stream)) await this.#settleFaults();
  }

  /** As `drain`, without keeping the thread. */
  async #ended(isWanted: (one: Pending) => boolean): Promise<void> {
    const wanted = this.#pending.filter(isWanted);
    const isWaiting = () => wanted.some((one) => this.#pending.includes(one));
    while (isWaiting()) {
      for (let turn = 0; turn < TURNS_MAX && isWaiting(); turn++) this.#advanceFirsts();
      if (isWaiting()) await new Promise<void>((resolve) => this.#machine.soon(resolve));
    }
  }

  #schedule(): void {
    if (this.#isScheduled || this.#pending.length === 0) return;
    this.#isScheduled = true;
    this.#machine.soon(() => {
      this.#isScheduled = false;
      this.#progress();
      this.#schedule();
    });
  }

  /** Goes on with what is queued, without waiting for anybody. */
  #progress(): void {
    for (let next = this.#pending[0]; next !== undefined; next = this.#pending[0]) {
      try {
        if (!next.comm.runner.poll(next.operation)) return;
      } catch (reason) {
        this.#failed(next, reason);
        return;
      }
      this.#pending.shift();
    }
  }

  /** An operation has failed, and with it its communicator. The host knows why, or must hear it. */
  #failed({ comm, stream, operation }: Pending, reason: unknown): void {
    if (!(reason instanceof ProgramFault)) throw reason;
    const dropped = this.#pending.filter((one) => one.comm === comm);
    for (const one of dropped) this.#pending.splice(this.#pending.indexOf(one), 1);
    this.#communicators.delete(comm.handle);
    const streams = new Set([stream, ...dropped.map((one) => one.stream)]);
    const isDeclined = reason.reason.kind === 'declined';
    const told = isDeclined
      ? this.#giveBack(dropped)
      : this.#report(comm, operation, reason, streams);
    const report = told.finally(() => this.#reports.delete(report));
    this.#reports.add(report);
  }

  /** Gives calls to the host after all; it has the communicator's from here on. */
  async #giveBack(calls: readonly Pending[]): Promise<void> {
    const answers = calls.map(({ name, argument, stream }) => {
      this.#hostStreams.add(stream);
      return this.#channel.call(name, argument).catch((failure: Error) => {
        if (!this.#failures.has(stream)) this.#failures.set(stream, failure);
      });
    });
    await Promise.all(answers);
  }

  async #report(
    comm: ProgramCommunicator,
    operation: ProgramOperation,
    { reason }: ProgramFault,
    streams: ReadonlySet<HcclStream>,
  ): Promise<void> {
    const failure = await comm.report(reason, operation);
    for (const one of streams) if (!this.#failures.has(one)) this.#failures.set(one, failure);
  }

  async #settleFaults(): Promise<void> {
    await Promise.all(this.#reports);
  }
}
