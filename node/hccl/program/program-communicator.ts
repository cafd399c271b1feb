/** One communicator whose collectives the program's thread runs, as that thread has it. */
import { defined } from '../../../common/assert.ts';
import { bytesOfMemory } from '../../device/hbm.ts';
import { type KernelSet, loadKernels } from '../../device/kernels/kernels.ts';
import { type SystemCallChannel, SystemCallError } from '../../process/system-call.ts';
import type { HcclComm, HcclCommChoice } from '../hccl.ts';
import { KeptValues } from '../kept-values.ts';
import { Mailbox } from '../shared/mailbox.ts';
import { SharedMaker } from '../shared/shared-maker.ts';
import { SharedRank } from '../shared/shared-rank.ts';
import { WireMaker } from '../wire/wire-maker.ts';
import { WireRank } from '../wire/wire-rank.ts';
import type { CallFields } from './call-fields.ts';
import { ControlPage } from './control-page.ts';
import { PROGRAM_COLLECTIVES, type ProgramOffer } from './program-collectives.ts';
import type { ProgramFaultReason } from './program-fault.ts';
import type { ProgramMachine } from './program-machine.ts';
import type { ProgramOperation } from './program-operation.ts';
import type { ProgramPlaces } from './program-path.ts';
import type { ProgramRunner } from './program-runner.ts';
import type { CallMaker, ReadyCall } from './ready-call.ts';

/** Calls that are kept ready. */
const CALLS_MAX = 256;

/** Where the program's thread finds what it needs of a communicator: the answer to hcclProgramPlaces. */
export type PlacesAnswer = ProgramPlaces & { readonly rank: number; readonly nranks: number };

/** `undefined`: its host runs all collectives. `connecting`: nobody knows yet. */
export async function programCommunicator(
  channel: SystemCallChannel,
  machine: ProgramMachine,
  handle: HcclComm,
): Promise<ProgramCommunicator | 'connecting' | undefined> {
  if (machine.memories.length === 0) return undefined;
  const answer = await channel.call('hcclProgramPlaces', { comm: handle });
  if (answer === null) return undefined;
  if (answer === 'connecting') return answer;
  const places = answer as unknown as PlacesAnswer;
  const memory = defined(machine.memories[places.device], 'the memory of a device');
  const control = new ControlPage(bytesOfMemory(memory), places.controlOffset);
  const maker = makerOf(machine, memory, control, places);
  return new ProgramCommunicator(channel, handle, control, maker);
}

function makerOf(
  machine: ProgramMachine,
  memory: WebAssembly.Memory,
  control: ControlPage,
  places: PlacesAnswer,
): CallMaker {
  const shared = bytesOfMemory(memory);
  const hasCore = machine.cores >= places.nranks;
  const { rank } = places;
  const common = { rank, memory: shared, kernels: kernelsOf(memory), control };
  const wait = machine.waitOn(shared);
  if (places.path === 'wire') {
    const sockets = machine.socketsOn(shared);
    return new WireMaker(new WireRank({ ...common, ...places, wait, sockets }), hasCore);
  }
  const mailboxes = places.mailboxOffsets.map((offset) => new Mailbox(shared, offset));
  return new SharedMaker(new SharedRank({ ...common, mailboxes, wait }), hasCore);
}

const KERNELS = new WeakMap<WebAssembly.Memory, KernelSet>();

function kernelsOf(memory: WebAssembly.Memory): KernelSet {
  const known = KERNELS.get(memory);
  if (known !== undefined) return known;
  const made = loadKernels(memory);
  KERNELS.set(memory, made);
  return made;
}

export class ProgramCommunicator {
  readonly handle: HcclComm;
  lastChoice: HcclCommChoice | undefined;
  readonly #channel: SystemCallChannel;
  readonly #control: ControlPage;
  readonly #maker: CallMaker;
  /** `null`: the call goes to the host. */
  #calls = new KeptValues<ReadyCall | null>(CALLS_MAX);
  #epoch = 0;
  #sequence = 0;
  #hasHostWork = false;

  constructor(
    channel: SystemCallChannel,
    handle: HcclComm,
    control: ControlPage,
    maker: CallMaker,
  ) {
    this.#channel = channel;
    this.handle = handle;
    this.#control = control;
    this.#maker = maker;
  }

  get runner(): ProgramRunner {
    return this.#maker.runner;
  }

  /** The host has been given calls of this communicator. */
  hostHasWork(): void {
    this.#hasHostWork = true;
    this.lastChoice = undefined;
  }

  get hasHostWork(): boolean {
    return this.#hasHostWork;
  }

  /** Resolves when the host has done what it was given. */
  async hostIdle(): Promise<void> {
    await this.#channel.call('hcclProgramIdle', { comm: this.handle });
    this.#hasHostWork = false;
  }

  /** Nothing that was looked up before means anything any more. */
  forget(): void {
    this.#calls = new KeptValues<ReadyCall | null>(CALLS_MAX);
  }

  /** An operation for a call that was made before, if the host has nothing to do with it. */
  known(name: string, argument: CallFields): ProgramOperation | undefined {
    if (this.#hasHostWork || this.#isStale) return undefined;
    const ready = this.#calls.peek(keyOf(name, argument));
    return ready ? this.#operation(ready) : undefined;
  }

  /** An operation for a call; `undefined`: it is the host's. Rejects as the host's call would. */
  async prepared(name: string, argument: CallFields): Promise<ProgramOperation | undefined> {
    if (this.#isStale) {
      this.#epoch = this.#control.epoch;
      this.forget();
    }
    const key = keyOf(name, argument);
    const known = this.#calls.peek(key);
    if (known !== undefined) return known === null ? undefined : this.#operation(known);
    const { sendBuffer, recvBuffer, count, dataType, reduceOp, root, comm } = argument;
    const collective = PROGRAM_COLLECTIVES[name as keyof typeof PROGRAM_COLLECTIVES];
    const offer = (await this.#channel.call('hcclProgramPrepare', {
      ...{ collective, sendBuffer, recvBuffer, count, dataType, comm },
      ...(reduceOp === undefined ? {} : { reduceOp }),
      ...(root === undefined ? {} : { root }),
    })) as unknown as ProgramOffer | null;
    const ready = offer === null ? null : this.#maker.ready(offer);
    this.#calls.get(key, () => ready);
    return ready === null ? undefined : this.#operation(ready);
  }

  /** Tells the host what an operation has failed with; the failure that the program gets. */
  async report(reason: ProgramFaultReason, { text, sequence }: ProgramOperation): Promise<Error> {
    const { kind } = reason;
    const peer = 'peer' in reason ? reason.peer : -1;
    const found = 'theirs' in reason ? reason.theirs : 'found' in reason ? reason.found : '';
    const argument = { comm: this.handle, kind, peer, found, text, sequence };
    try {
      await this.#channel.call('hcclProgramFault', argument);
    } catch (failure) {
      if (failure instanceof SystemCallError) return failure;
      throw failure;
    }
    throw new Error('Expected the host to say why the communicator has failed');
  }

  get #isStale(): boolean {
    return this.#epoch !== this.#control.epoch;
  }

  #operation({ choice, operation }: ReadyCall): ProgramOperation {
    const sequence = ++this.#sequence;
    if (choice !== undefined) this.lastChoice = choice;
    return operation(sequence);
  }
}

function keyOf(name: string, argument: CallFields): string {
  const { sendBuffer, recvBuffer, count, dataType, reduceOp, root } = argument;
  return `${name} ${sendBuffer} ${recvBuffer} ${count} ${dataType} ${reduceOp} ${root}`;
}
