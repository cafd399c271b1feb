/** One collective call under way in a communicator: its plan, its buffers, its engine, its outcome. */

import { BLOCKS } from '../../collectives/collective.ts';
import type { BufferName, Rank } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';
import { type Deferred, deferred } from '../../common/deferred.ts';
import type { FiMr } from '../fabric/fabric.ts';
import type { Engine } from './engine.ts';
import { HCCL_DATA_TYPES, HCCL_REDUCE_OPS } from './hccl.ts';
import { apiName, type OperationCall } from './operation-call.ts';
import type { Header, RemoteRegions } from './operation-header.ts';
import type { Plan, PlanSlice } from './plan.ts';

/** A buffer of the caller: device address and the registration that covers it. */
export interface LocalBuffer {
  readonly address: number;
  readonly bytes: number;
  /** Absent for an empty buffer. */
  readonly mr?: FiMr;
}

export interface OperationInit {
  readonly sequence: number;
  readonly call: OperationCall;
  readonly plan: Plan;
  readonly input: LocalBuffer;
  readonly output: LocalBuffer;
  /** At least `plan.scratchBytes`; absent if that is 0. */
  readonly scratch?: LocalBuffer | undefined;
}

export class Operation {
  readonly sequence: number;
  readonly call: OperationCall;
  readonly plan: Plan;
  readonly input: LocalBuffer;
  readonly output: LocalBuffer;
  readonly scratch: LocalBuffer | undefined;
  /** What peers let this rank write, by their index in the plan; absent until their header has come. */
  readonly #regions: (RemoteRegions | undefined)[];
  /** Peers whose header has not come. */
  #awaited: number;
  readonly #outcome: Deferred<void> = deferred();
  #engine: Engine | undefined;
  /** `opening`: headers are not out yet, so no data may be posted. */
  state: 'opening' | 'running' | 'finished' = 'opening';
  #engineState: 'running' | 'finished' = 'running';

  constructor(init: OperationInit) {
    this.sequence = init.sequence;
    this.call = init.call;
    this.plan = init.plan;
    this.input = init.input;
    this.output = init.output;
    this.scratch = init.scratch;
    this.#regions = init.plan.peers.map(() => undefined);
    this.#awaited = init.plan.peers.length;
  }

  set engine(engine: Engine) {
    this.#engine = engine;
  }

  get engine(): Engine {
    return defined(this.#engine, 'the engine');
  }

  get outcome(): Promise<void> {
    return this.#outcome.promise;
  }

  /** Peers that have not started this operation. */
  get awaited(): Rank[] {
    return this.plan.peers.flatMap(({ rank }, index) =>
      this.#regions[index] === undefined ? [rank] : [],
    );
  }

  /** A peer's header has come. `false`: it is not the first. */
  started(peer: number, { regions }: Header): boolean {
    if (this.#regions[peer] !== undefined) return false;
    this.#regions[peer] = regions;
    this.#awaited--;
    return true;
  }

  /** Whether the peer's header has come. */
  hasStarted(peer: number): boolean {
    return this.#regions[peer] !== undefined;
  }

  /** What a peer lets this rank write; `undefined` until its header has come. */
  regions(peer: number): RemoteRegions | undefined {
    return this.#regions[peer];
  }

  engineFinished(): void {
    this.#engineState = 'finished';
    this.settleIfComplete();
  }

  /** Ends well once every slice is done and every peer has been seen to run the same operation. */
  settleIfComplete(): void {
    const complete = this.#engineState === 'finished' && this.#awaited === 0;
    if (!complete || this.state !== 'running') return;
    this.state = 'finished';
    this.#outcome.resolve();
  }

  /** Stops the engine: nothing of this operation happens any more. */
  abort(): void {
    this.#engine?.abort();
  }

  fail(error: Error): void {
    this.state = 'finished';
    this.#outcome.reject(error);
  }

  /** The memory that holds an engine operand. */
  buffer(name: BufferName): LocalBuffer {
    if (name === 'scratch') return defined(this.scratch, 'the scratch memory of the plan');
    return name === 'input' ? this.input : this.output;
  }

  /** `hcclAllReduce operation 17 (ring, 1000 x float32, sum) at channel 0 step 3`. */
  describe(): string {
    const at = this.#engine?.position();
    const place = at === undefined ? '' : ` at channel ${at.channel} step ${at.step}`;
    return `${apiName(this.call.collective)} operation ${this.sequence} (${describeCall(this.call)})${place}`;
  }
}

/** `ring, 1000 x float32, sum`. */
export function describeCall(call: OperationCall): string {
  const type = HCCL_DATA_TYPES.get(call.dataType)?.name ?? `data type ${call.dataType}`;
  const parts = [call.algorithm];
  if (call.pairs === undefined) parts.push(`${call.count} x ${type}`);
  else parts.push(type);
  const { reduces, rooted } = BLOCKS[call.collective];
  if (reduces) parts.push(HCCL_REDUCE_OPS.get(call.reduceOp) ?? `reduction ${call.reduceOp}`);
  if (rooted) parts.push(`root ${call.root}`);
  return parts.join(', ');
}

/** Context of a data write in the completion queue. */
export class DataContext {
  readonly operation: Operation;
  readonly slice: PlanSlice;
  readonly peer: Rank;

  constructor(operation: Operation, slice: PlanSlice, peer: Rank) {
    this.operation = operation;
    this.slice = slice;
    this.peer = peer;
  }
}
