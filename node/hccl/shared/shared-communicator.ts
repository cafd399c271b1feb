/** One communicator on shared memory, as the program's thread has it. */
import type { CollectiveName } from '../../../collectives/collective.ts';
import { defined } from '../../../common/assert.ts';
import { bytesOfMemory } from '../../device/hbm.ts';
import { type KernelSet, loadKernels } from '../../device/kernels/kernels.ts';
import { type SystemCallChannel, SystemCallError } from '../../process/system-call.ts';
import type { HcclComm, HcclCommChoice } from '../hccl.ts';
import { KeptValues } from '../kept-values.ts';
import type { CallFields } from './call-fields.ts';
import { ControlPage } from './control-page.ts';
import { DeclinedOperation } from './declined-operation.ts';
import { MAILBOX_OPERAND_BYTES, Mailbox } from './mailbox.ts';
import type { ProgramMachine } from './program-machine.ts';
import { type PullCall, PullOperation } from './pull-operation.ts';
import { SHARED_COLLECTIVES, type SharedOffer } from './shared-collectives.ts';
import type { SharedFaultReason } from './shared-fault.ts';
import { PULL_SLICE_BYTES, planOf } from './shared-offer.ts';
import type { SharedCall, SharedOperation } from './shared-operation.ts';
import type { SharedPlaces } from './shared-path.ts';
import { SharedRank } from './shared-rank.ts';
import { SharedRunner } from './shared-runner.ts';
import { type SmallCall, SmallOperation, type SmallRule } from './small-operation.ts';

/** Calls that are kept ready. */
const CALLS_MAX = 256;

/** A call that only has to be made. */
type ReadyCall =
  | { readonly mode: 'small'; readonly call: SmallCall; readonly choice: HcclCommChoice }
  | { readonly mode: 'pull'; readonly call: PullCall; readonly choice: HcclCommChoice }
  | { readonly mode: 'declined'; readonly text: string };

/** `undefined`: its ranks share no memory. `connecting`: nobody knows yet. */
export async function openShared(
  channel: SystemCallChannel,
  machine: ProgramMachine,
  handle: HcclComm,
): Promise<SharedCommunicator | 'connecting' | undefined> {
  if (machine.memories.length === 0) return undefined;
  const answer = await channel.call('hcclSharedPlaces', { comm: handle });
  if (answer === null) return undefined;
  if (answer === 'connecting') return answer;
  const places = answer as unknown as SharedPlaces & { rank: number; nranks: number };
  const memory = defined(machine.memories[places.device], 'the memory of a device');
  const shared = bytesOfMemory(memory);
  const place = new SharedRank({
    rank: places.rank,
    memory: shared,
    kernels: kernelsOf(memory),
    control: new ControlPage(shared, places.controlOffset),
    mailboxes: places.mailboxOffsets.map((offset) => new Mailbox(shared, offset)),
    wait: machine.waitOn(shared),
  });
  return new SharedCommunicator(channel, handle, place, machine.cores >= places.nranks);
}

const KERNELS = new WeakMap<WebAssembly.Memory, KernelSet>();

function kernelsOf(memory: WebAssembly.Memory): KernelSet {
  const known = KERNELS.get(memory);
  if (known !== undefined) return known;
  const made = loadKernels(memory);
  KERNELS.set(memory, made);
  return made;
}

export class SharedCommunicator {
  readonly handle: HcclComm;
  readonly runner: SharedRunner;
  lastChoice: HcclCommChoice | undefined;
  readonly #channel: SystemCallChannel;
  readonly #place: SharedRank;
  /** `null`: the call goes to the host. */
  #calls = new KeptValues<ReadyCall | null>(CALLS_MAX);
  #epoch = 0;
  #sequence = 0;
  #hasHostWork = false;

  constructor(channel: SystemCallChannel, handle: HcclComm, place: SharedRank, hasCore: boolean) {
    this.#channel = channel;
    this.handle = handle;
    this.#place = place;
    this.runner = new SharedRunner(place, hasCore);
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
    await this.#channel.call('hcclSharedIdle', { comm: this.handle });
    this.#hasHostWork = false;
  }

  /** Nothing that was looked up before means anything any more. */
  forget(): void {
    this.#calls = new KeptValues<ReadyCall | null>(CALLS_MAX);
  }

  /** An operation for a call that was made before, if the host has nothing to do with it. */
  known(name: string, argument: CallFields): SharedOperation | undefined {
    if (this.#hasHostWork || this.#isStale) return undefined;
    const ready = this.#calls.peek(keyOf(name, argument));
    return ready ? this.#operation(ready) : undefined;
  }

  /** An operation for a call; `undefined`: it is the host's. Rejects as the host's call would. */
  async prepared(name: string, argument: CallFields): Promise<SharedOperation | undefined> {
    if (this.#isStale) {
      this.#epoch = this.#place.control.epoch;
      this.forget();
    }
    const key = keyOf(name, argument);
    const known = this.#calls.peek(key);
    if (known !== undefined) return known === null ? undefined : this.#operation(known);
    const { sendBuffer, recvBuffer, count, dataType, reduceOp, root, comm } = argument;
    const collective = SHARED_COLLECTIVES[name as keyof typeof SHARED_COLLECTIVES];
    const offer = (await this.#channel.call('hcclSharedPrepare', {
      ...{ collective, sendBuffer, recvBuffer, count, dataType, comm },
      ...(reduceOp === undefined ? {} : { reduceOp }),
      ...(root === undefined ? {} : { root }),
    })) as unknown as SharedOffer | null;
    const ready = offer === null ? null : this.#ready(offer);
    this.#calls.get(key, () => ready);
    return ready === null ? undefined : this.#operation(ready);
  }

  /** Tells the host what an operation has failed with; the failure that the program gets. */
  async report(reason: SharedFaultReason, { text, sequence }: SharedOperation): Promise<Error> {
    const { kind } = reason;
    const peer = 'peer' in reason ? reason.peer : -1;
    const found = kind === 'mismatch' ? reason.theirs : kind === 'window' ? reason.found : '';
    const argument = { comm: this.handle, kind, peer, found, text, sequence };
    try {
      await this.#channel.call('hcclSharedFault', argument);
    } catch (failure) {
      if (failure instanceof SystemCallError) return failure;
      throw failure;
    }
    throw new Error('Expected the host to say why the communicator has failed');
  }

  get #isStale(): boolean {
    return this.#epoch !== this.#place.control.epoch;
  }

  #operation(ready: ReadyCall): SharedOperation {
    const sequence = ++this.#sequence;
    if (ready.mode === 'declined') return new DeclinedOperation(this.#place, ready.text, sequence);
    this.lastChoice = ready.choice;
    if (ready.mode === 'small') return new SmallOperation(this.#place, ready.call, sequence);
    return new PullOperation(this.#place, ready.call, sequence);
  }

  #ready(offer: SharedOffer): ReadyCall {
    const { mode, text, collective, algorithm, input, output, elementBytes } = offer;
    if (mode === 'declined') return { mode, text };
    const { kernels, rank } = this.#place;
    const { outputBytes } = offer;
    const name = `${collective} ${algorithm}`;
    const common: SharedCall = { digest: digestOf(text), text, name, outputBytes, input, output };
    const reduce = offer.reduceKernel === '' ? undefined : kernelOf(kernels, offer.reduceKernel);
    const finish = this.#finishOf(offer);
    const sliceBytes = mode === 'small' ? MAILBOX_OPERAND_BYTES : PULL_SLICE_BYTES;
    const choice = { collective, algorithm, channels: 1, sliceBytes };
    if (mode === 'small') {
      const rule = ruleOf(collective, rank, offer);
      const operandBytes = collective === 'broadcast' ? offer.outputBytes : offer.inputBytes;
      const call = { ...common, rule, elementBytes, operandBytes, reduce, finish };
      return { mode, call, choice };
    }
    const { root, count, topology } = offer;
    const plan = planOf({ collective, algorithm, topology, root, count, elementBytes }, rank);
    const call = { ...common, plan: defined(plan, 'a plan'), elementBytes, reduce, finish };
    return { mode, call, choice };
  }

  /** What an average does to the sums. */
  #finishOf({ averageKernel, averageScalars, outputBytes, elementBytes }: SharedOffer) {
    if (averageKernel === '') return undefined;
    const kernel = kernelOf(this.#place.kernels, averageKernel);
    const count = outputBytes / elementBytes;
    return (output: number): void => {
      if (count > 0) kernel(output, output, count, ...averageScalars);
    };
  }
}

function ruleOf(
  collective: CollectiveName,
  rank: number,
  { outputBytes, root }: SharedOffer,
): SmallRule {
  switch (collective) {
    case 'allGather':
      return { kind: 'gather' };
    case 'broadcast':
      return { kind: 'copy', root };
    case 'reduceScatter':
      return { kind: 'reduce', offset: rank * outputBytes, bytes: outputBytes };
    default:
      return { kind: 'reduce', offset: 0, bytes: outputBytes };
  }
}

function kernelOf(kernels: KernelSet, name: string): KernelSet[keyof KernelSet] {
  return defined(
    (kernels as Readonly<Record<string, KernelSet[keyof KernelSet]>>)[name],
    'a kernel',
  );
}

function keyOf(name: string, argument: CallFields): string {
  const { sendBuffer, recvBuffer, count, dataType, reduceOp, root } = argument;
  return `${name} ${sendBuffer} ${recvBuffer} ${count} ${dataType} ${reduceOp} ${root}`;
}

/** FNV-1a of Fowler, Noll and Vo, 32 bits. */
function digestOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  // 0 is no call's.
  return hash >>> 0 || 1;
}
