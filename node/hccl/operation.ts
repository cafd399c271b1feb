/** One collective call under way in a communicator: its plan, its buffers, its engine, its outcome. */

import type { Rank } from '../../collectives/schedule.ts';
import { assert, defined } from '../../common/assert.ts';
import { type Deferred, deferred } from '../../common/deferred.ts';
import type { FiMr } from '../fabric/fabric.ts';
import { apiName, type OperationCall, type RemoteBuffer } from './control-message.ts';
import type { Engine } from './engine.ts';
import type { SliceId } from './engine-ports.ts';
import { HCCL_DATA_TYPES, HCCL_REDUCE_OPS } from './hccl.ts';
import type { Plan } from './plan.ts';

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
}

export class Operation {
  readonly sequence: number;
  readonly call: OperationCall;
  readonly plan: Plan;
  readonly input: LocalBuffer;
  readonly output: LocalBuffer;
  /** Where peers take what goes straight to its place, by their headers. */
  readonly remoteOutputs = new Map<Rank, RemoteBuffer>();
  /** Peers whose header has not come: they have not started this operation. */
  readonly awaited: Set<Rank>;
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
    this.awaited = new Set(init.plan.peers);
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

  engineFinished(): void {
    this.#engineState = 'finished';
    this.settleIfComplete();
  }

  /** Ends well once every slice is done and every peer has been seen to run the same operation. */
  settleIfComplete(): void {
    const complete = this.#engineState === 'finished' && this.awaited.size === 0;
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

  /** The caller's buffer that holds an engine operand. */
  buffer(name: 'input' | 'output' | 'scratch'): LocalBuffer {
    assert(name !== 'scratch', 'Expected a program without scratch buffers');
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
  const parts = [call.algorithm, `${call.count} x ${type}`];
  if (call.collective === 'allReduce') {
    parts.push(HCCL_REDUCE_OPS.get(call.reduceOp) ?? `reduction ${call.reduceOp}`);
  }
  if (call.collective === 'broadcast') parts.push(`root ${call.root}`);
  return parts.join(', ');
}

/** Context of a data write in the completion queue. */
export class DataContext {
  readonly operation: Operation;
  readonly slice: SliceId;
  readonly peer: Rank;

  constructor(operation: Operation, slice: SliceId, peer: Rank) {
    this.operation = operation;
    this.slice = slice;
    this.peer = peer;
  }
}
