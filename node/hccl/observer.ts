/** Turns what happens to operations into `EngineEvent`s for the one observer, if there is one. */
import type { Rank } from '../../collectives/schedule.ts';
import type { Clock } from '../../common/clock.ts';
import type { EngineEvent, EngineTap } from './events.ts';
import type { HcclResult } from './hccl.ts';
import type { Operation } from './operation.ts';
import type { PlanSlice } from './plan.ts';

export interface OperationObserverInit {
  readonly clock: Clock;
  readonly rank: Rank;
  readonly uniqueId: string;
  readonly observe: EngineTap | undefined;
}

type SliceEventKind = 'sendBegin' | 'sendEnd' | 'arrived' | 'computeBegin' | 'computeEnd';

export class OperationObserver {
  readonly #init: OperationObserverInit;

  constructor(init: OperationObserverInit) {
    this.#init = init;
  }

  begin(operation: Operation): void {
    const observer = this.#init.observe?.observer;
    if (observer === undefined) return;
    const { collective, algorithm } = operation.call;
    const { bytes } = operation.output;
    observer({
      kind: 'collectiveBegin',
      ...this.#base(operation),
      collective,
      algorithm,
      bytes,
    });
  }

  end(operation: Operation, result: HcclResult): void {
    const observer = this.#init.observe?.observer;
    if (observer === undefined) return;
    observer({ kind: 'collectiveEnd', ...this.#base(operation), result });
  }

  slice(operation: Operation, kind: SliceEventKind, id: PlanSlice, peer?: Rank): void {
    const observer = this.#init.observe?.observer;
    if (observer === undefined) return;
    const { channel, step } = id.step;
    const where = { channel, step, slice: id.slice, bytes: id.bytes };
    const event = { kind, ...this.#base(operation), ...where, ...(peer !== undefined && { peer }) };
    observer(event as EngineEvent);
  }

  #base(operation: Operation) {
    const { clock, rank, uniqueId } = this.#init;
    return { atMs: clock.now(), rank, uniqueId, sequence: operation.sequence };
  }
}
