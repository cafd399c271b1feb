/**
 * What the two threads of one rank share about a communicator: the program's thread, which moves the bytes,
 * and the host's main thread, which knows who is alive. A page of device memory that no peer has mapped.
 *
 *     0     gate, busy, epoch, windows, progress at the end of the last operation, place of a trace
 *     64    bytes read and served, operations
 *     256   of each rank: whether it has left, and its last progress
 *     4096  windows: rank, number, offset in the device's memory, bytes
 */

import type { Rank } from '../../../collectives/schedule.ts';
import { assert } from '../../../common/assert.ts';
import { KiB } from '../../../common/bytes.ts';

export const CONTROL_PAGE_BYTES = 64 * KiB;
/** Ranks of a communicator whose collectives programs' threads may run. */
export const PROGRAM_RANKS_MAX = 64;
/** Windows of peers that may be known at a time. */
export const WINDOWS_MAX = 2048;

const WORDS = { gate: 0, busy: 1, epoch: 2, windows: 3, finished: 4, trace: 5 } as const;
const COUNTERS = { read: 8, served: 9, operations: 10 } as const;
const RANKS_WORD = 256 / 4;
const WINDOWS_OFFSET = 4 * KiB;
const WINDOW_BYTES = 24;

/** Memory of a peer that is mapped into this rank's device. */
export interface Window {
  readonly rank: Rank;
  /** The peer's number for it; never used again. */
  readonly id: number;
  /** In this device's memory. */
  readonly offset: number;
  readonly bytes: number;
}

export interface ProgramTraffic {
  readonly bytesRead: number;
  readonly bytesServed: number;
  readonly operations: number;
}

export const NO_TRAFFIC: ProgramTraffic = { bytesRead: 0, bytesServed: 0, operations: 0 };

export class ControlPage {
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  readonly #windows: DataView;

  constructor(memory: SharedArrayBuffer, offset: number) {
    this.#words = new Int32Array(memory, offset, CONTROL_PAGE_BYTES / 4);
    this.#numbers = new Float64Array(memory, offset, CONTROL_PAGE_BYTES / 8);
    this.#windows = new DataView(memory, offset + WINDOWS_OFFSET, WINDOWS_MAX * WINDOW_BYTES);
  }

  /** Closed: nothing may be read or written for the communicator any more. */
  get isClosed(): boolean {
    return Atomics.load(this.#words, WORDS.gate) !== 0;
  }

  close(): void {
    Atomics.store(this.#words, WORDS.gate, 1);
  }

  /** The program's thread is in the middle of something. */
  get isBusy(): boolean {
    return Atomics.load(this.#words, WORDS.busy) !== 0;
  }

  /** Enters, unless it is closed. Whoever closes it first waits until it is not busy. */
  enter(): boolean {
    Atomics.store(this.#words, WORDS.busy, 1);
    if (!this.isClosed) return true;
    this.leave();
    return false;
  }

  leave(): void {
    Atomics.store(this.#words, WORDS.busy, 0);
  }

  /** Changes with every mapping of this rank that goes away: what was looked up before means nothing. */
  get epoch(): number {
    return Atomics.load(this.#words, WORDS.epoch);
  }

  nextEpoch(): void {
    Atomics.add(this.#words, WORDS.epoch, 1);
  }

  /** Progress of this rank at the end of its last operation. */
  get finished(): number {
    return Atomics.load(this.#words, WORDS.finished) >>> 0;
  }

  set finished(progress: number) {
    Atomics.store(this.#words, WORDS.finished, progress | 0);
  }

  /** Where in the device's memory operations note down what they do (`trace-ring.ts`); 0 for nowhere. */
  get traceOffset(): number {
    return Atomics.load(this.#words, WORDS.trace) >>> 0;
  }

  set traceOffset(offset: number) {
    Atomics.store(this.#words, WORDS.trace, offset | 0);
  }

  /** Counts an operation, and its bytes. */
  count(bytesRead: number, bytesServed: number): void {
    this.#numbers[COUNTERS.read] = (this.#numbers[COUNTERS.read] as number) + bytesRead;
    this.#numbers[COUNTERS.served] = (this.#numbers[COUNTERS.served] as number) + bytesServed;
    this.#numbers[COUNTERS.operations] = (this.#numbers[COUNTERS.operations] as number) + 1;
  }

  get traffic(): ProgramTraffic {
    return {
      bytesRead: this.#numbers[COUNTERS.read] as number,
      bytesServed: this.#numbers[COUNTERS.served] as number,
      operations: this.#numbers[COUNTERS.operations] as number,
    };
  }

  /** A peer has left after so much progress. */
  departed(rank: Rank, progress: number): void {
    Atomics.store(this.#words, RANKS_WORD + 2 * rank + 1, progress | 0);
    Atomics.store(this.#words, RANKS_WORD + 2 * rank, 1);
  }

  /** The last progress of a peer that has left; `undefined` for one that has not. */
  lastProgress(rank: Rank): number | undefined {
    if (Atomics.load(this.#words, RANKS_WORD + 2 * rank) === 0) return undefined;
    return Atomics.load(this.#words, RANKS_WORD + 2 * rank + 1) >>> 0;
  }

  /** Makes a window known, in place of one that was withdrawn. False if there are `WINDOWS_MAX`. */
  addWindow({ rank, id, offset, bytes }: Window): boolean {
    const count = Atomics.load(this.#words, WORDS.windows);
    let index = 0;
    while (index < count && this.#windows.getUint32(index * WINDOW_BYTES + 4, true) !== 0) index++;
    if (index === WINDOWS_MAX) return false;
    const at = index * WINDOW_BYTES;
    this.#windows.setUint32(at, rank, true);
    this.#windows.setUint32(at + 8, offset, true);
    this.#windows.setFloat64(at + 16, bytes, true);
    this.#windows.setUint32(at + 4, id, true);
    if (index === count) Atomics.store(this.#words, WORDS.windows, count + 1);
    return true;
  }

  removeWindow(rank: Rank, id: number): void {
    const at = this.#indexOf(rank, id) * WINDOW_BYTES;
    if (at >= 0) this.#windows.setUint32(at + 4, 0, true);
  }

  window(rank: Rank, id: number): Window | undefined {
    assert(id > 0, 'Expected windows to be counted from 1');
    const at = this.#indexOf(rank, id) * WINDOW_BYTES;
    if (at < 0) return undefined;
    const offset = this.#windows.getUint32(at + 8, true);
    return { rank, id, offset, bytes: this.#windows.getFloat64(at + 16, true) };
  }

  #indexOf(rank: Rank, id: number): number {
    const count = Atomics.load(this.#words, WORDS.windows);
    for (let index = 0; index < count; index++) {
      const at = index * WINDOW_BYTES;
      const isIt =
        this.#windows.getUint32(at, true) === rank && this.#windows.getUint32(at + 4, true) === id;
      if (isIt) return index;
    }
    return -1;
  }
}
