/** A communicator of one process, with what belongs to it alone. */
import type { CollectiveName } from '../../collectives/collective.ts';
import type { Rank } from '../../collectives/schedule.ts';
import type { Topology } from '../../collectives/topology.ts';
import { defined } from '../../common/assert.ts';
import { CallSizeTable } from './call-sizes.ts';
import { chooseFor, chooseLoaded, isChosen, type OwnChoice, type RunChoice } from './choice.ts';
import {
  type CallContext,
  type CheckedCall,
  type ChosenCall,
  type CollectiveArguments,
  checkCall,
  PLACEMENT_AGREED,
} from './collective-call.ts';
import type { Communicator } from './communicator.ts';
import type { DeviceSession } from './device-session.ts';
import { hcclError } from './failure.ts';
import type { HcclAsyncError, HcclCommChoice, HcclSchedule } from './hccl.ts';
import { KeptValues } from './kept-values.ts';
import { LoadedSchedule } from './loaded-schedule.ts';
import type { SlotPool } from './memory-map.ts';
import { MessageNumbers } from './message-numbers.ts';
import { Planner } from './planner.ts';
import { ReduceOps } from './reduce-ops.ts';
import { ScratchPool } from './scratch-pool.ts';
import type { CallSettings } from './settings.ts';

/** Choices kept per communicator. */
const CHOICES_MAX = 64;

export interface OpenCommunicatorInit {
  readonly communicator: Communicator;
  readonly session: DeviceSession;
  /** HCCL's device memory of this communicator; a rank alone needs none. */
  readonly slots: SlotPool | undefined;
  /** Where hcclBarrier works; 0 without `slots`. */
  readonly barrierAddress: number;
  readonly settings: CallSettings;
}

export class OpenCommunicator {
  readonly init: OpenCommunicatorInit;
  readonly reduceOps = new ReduceOps();
  readonly messageNumbers = new MessageNumbers();
  readonly scratch: ScratchPool;
  lastChoice: HcclCommChoice | null = null;
  /** Calls of hcclCommSplit so far: ranks must make them alike. */
  splits = 0;
  /** Calls that an open group has recorded. */
  recorded = 0;
  /** Ends when every collective queued so far has ended. */
  tail: Promise<void> = Promise.resolve();
  /** After hcclCommFinalize it can only be destroyed. */
  state: 'open' | 'finalized' = 'open';
  /** How it was when it was finalized. */
  finalError: HcclAsyncError | undefined;
  readonly #sizes: CallSizeTable;
  readonly #choices = new KeptValues<RunChoice>(CHOICES_MAX);
  readonly #loaded = new Map<CollectiveName, LoadedSchedule>();
  #ownChoice: OwnChoice | undefined;
  readonly #underWay = new Set<Promise<void>>();
  readonly #running = new Set<Promise<void>>();
  #planner: Planner | undefined;
  #topology: Topology | undefined;

  constructor(init: OpenCommunicatorInit) {
    this.init = init;
    this.scratch = new ScratchPool(init.session);
    this.#sizes = new CallSizeTable(this.rank, this.nranks);
  }

  get communicator(): Communicator {
    return this.init.communicator;
  }

  get session(): DeviceSession {
    return this.init.session;
  }

  get rank(): Rank {
    return this.communicator.init.rank;
  }

  get nranks(): number {
    return this.communicator.init.nranks;
  }

  /** Who sits in which box, once the rendezvous has told. */
  get topology(): Topology {
    return defined(this.#topology, 'the topology of a communicator that is connected');
  }

  get planner(): Planner {
    return defined(this.#planner, 'the planner of a communicator that is connected');
  }

  /** The rendezvous has told who sits where. */
  placed(topology: Topology): void {
    this.#topology = topology;
    this.#planner = new Planner(this.rank, topology);
  }

  /**
   * Throws why no call can be made: hcclTryAgain while it is being put together, hcclInvalidUsage after
   * hcclCommFinalize, else what it has failed with. `call` is named in that.
   */
  expectReady(call?: string): void {
    if (this.state === 'finalized') {
      const message = 'Expected a communicator to call but found one that was finalized';
      throw hcclError({ result: 'hcclInvalidUsage', message });
    }
    this.communicator.expectConnected(call);
  }

  /** hcclCommSetChoice: how all further calls are carried out, as far as it says. */
  set ownChoice(choice: OwnChoice | undefined) {
    this.#ownChoice = choice;
    this.#choices.clear();
  }

  /** Somebody has chosen the algorithm of a collective, or its channels: the job, or the program. */
  isChosen(collective: CollectiveName): boolean {
    return isChosen(collective, { settings: this.init.settings, own: this.#ownChoice });
  }

  /**
   * hcclCommLoadSchedule: calls of its collective, with buffers for which it is made, take it from now on.
   * Throws what the constructor of `LoadedSchedule` throws.
   */
  load(text: string): HcclSchedule {
    const loaded = new LoadedSchedule(text, this.rank, this.nranks);
    this.#loaded.set(loaded.collective, loaded);
    return loaded.describe();
  }

  /** Forgets every loaded schedule. Calls that are queued still have theirs. */
  unload(): void {
    this.#loaded.clear();
  }

  /** Throws hcclInvalidArgument for arguments that no call can have. */
  check(arguments_: CollectiveArguments): CheckedCall {
    const checked = checkCall(arguments_, this.#context);
    const { collective } = arguments_;
    const { loaded: _, ...choice } = checked.choice;
    this.lastChoice = { collective, ...choice };
    return checked;
  }

  /** Remembers work of the communicator for `idle`. */
  track(ended: Promise<void>): void {
    this.#underWay.add(ended);
    const forget = () => this.#underWay.delete(ended);
    ended.then(forget, forget);
  }

  /** Remembers a call that has come to its turn for `settled`. */
  running(call: Promise<void>): Promise<void> {
    const forget = () => void this.#running.delete(ended);
    const ended: Promise<void> = call.then(forget, forget);
    this.#running.add(ended);
    return call;
  }

  /**
   * Resolves when the calls that have come to their turn have ended: they may still hold memory when the
   * communicator has. What waits on a stream is not among them.
   */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** Resolves when everything that is queued now has ended, well or not. */
  async idle(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  get #context(): CallContext {
    const { rank, nranks } = this;
    return {
      rank,
      nranks,
      strict: this.init.settings.strict,
      sizes: this.#sizes,
      reduction: (op, dataType) => this.reduceOps.find(op, dataType),
      choose: (call) => this.#choose(call),
    };
  }

  #choose({ collective, bytes, root, placement }: ChosenCall): RunChoice {
    const sources = { settings: this.init.settings, own: this.#ownChoice };
    const { nranks } = this;
    const loaded = this.#loaded.get(collective);
    if (loaded?.root === root && loaded.program(placement) !== undefined) {
      return chooseLoaded(loaded, nranks, sources);
    }
    const agreed = PLACEMENT_AGREED.has(collective) ? placement : 'outOfPlace';
    return this.#choices.get(`${collective} ${bytes} ${agreed}`, () => {
      const { topology } = this;
      const { boxes } = topology;
      const request = { collective, bytes, nranks, boxes, topology, placement: agreed } as const;
      return chooseFor(request, sources);
    });
  }
}
