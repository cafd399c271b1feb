/** What one operation notes down, in the program's thread. */
import type { Rank } from '../../../collectives/schedule.ts';
import { isWanted } from '../events.ts';
import type { ControlPage } from './control-page.ts';
import type { ProgramWait } from './program-wait.ts';
import { TraceRing } from './trace-ring.ts';

export interface TracePlace {
  readonly memory: SharedArrayBuffer;
  readonly control: ControlPage;
  readonly wait: ProgramWait;
}

/** What is read, and what becomes of it. */
export interface TracedRead {
  readonly cell: number;
  readonly peer: Rank;
  readonly bytes: number;
  readonly isReduced: boolean;
}

/** `undefined` if nobody wants to know of this call. */
export function operationTrace(place: TracePlace, call: number): OperationTrace | undefined {
  const offset = place.control.traceOffset;
  if (offset === 0) return undefined;
  const ring = new TraceRing(place.memory, offset);
  return isWanted(ring.window, call) ? new OperationTrace(place, ring, offset, call) : undefined;
}

export class OperationTrace {
  readonly #place: TracePlace;
  readonly #ring: TraceRing;
  readonly #offset: number;
  readonly #call: number;
  readonly #beginMs: number;
  /** Since when it has waited, and for whom. */
  #waiting: { readonly beginMs: number; readonly peer: Rank } | undefined;

  constructor(place: TracePlace, ring: TraceRing, offset: number, call: number) {
    this.#place = place;
    this.#ring = ring;
    this.#offset = offset;
    this.#call = call;
    this.#beginMs = place.wait.now();
  }

  /** Notes down what `work` reads. */
  read(what: TracedRead, work: () => void): void {
    const beginMs = this.#place.wait.now();
    this.#endWait(beginMs);
    work();
    const endMs = this.#place.wait.now();
    this.#write({ kind: 'read', call: this.#call, beginMs, endMs, ...what });
  }

  /** Notes down what has come since `beginMs`; at once if it came in one piece. */
  arrived(what: TracedRead, beginMs: number | undefined): void {
    const endMs = this.#place.wait.now();
    const from = beginMs ?? endMs;
    this.#endWait(from);
    this.#write({ kind: 'read', call: this.#call, beginMs: from, endMs, ...what });
  }

  /** It cannot go on without `peer`. */
  waitsFor(peer: Rank): void {
    this.#waiting ??= { beginMs: this.#place.wait.now(), peer };
  }

  /** It is over: `name` is the collective and the algorithm. */
  ended(name: string, bytes: number): void {
    const endMs = this.#place.wait.now();
    this.#endWait(endMs);
    const { call, beginMs } = { call: this.#call, beginMs: this.#beginMs };
    this.#write({ kind: 'call', call, beginMs, endMs, name, bytes });
  }

  #endWait(endMs: number): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    this.#write({ kind: 'wait', call: this.#call, ...waiting, endMs });
  }

  /** The memory is there as long as the control page says so: until the thread has left this operation. */
  #write(record: Parameters<TraceRing['write']>[0]): void {
    if (this.#place.control.traceOffset === this.#offset) this.#ring.write(record);
  }
}
