/**
 * Device memory in which the program's thread of a rank notes down what it does, while
 * somebody wants to know, and from which the host's main thread takes it. One writes, one reads, neither
 * waits: what finds no room is counted.
 *
 *     0    written, taken, dropped: records; first call, last call, every: which calls are wanted
 *     64   records of 64 bytes: kind, call, begin, end, four numbers; or kind, and 56 bytes of text
 */
import { KiB } from '../../../common/bytes.ts';
import type { CallWindow } from '../events.ts';

export const TRACE_RING_BYTES = 512 * KiB;
const HEAD_BYTES = 64;
const RECORD_BYTES = 64;
const NUMBERS = RECORD_BYTES / 8;
const TEXT_BYTES = RECORD_BYTES - 8;
const RECORDS = (TRACE_RING_BYTES - HEAD_BYTES) / RECORD_BYTES;

const WORDS = { written: 0, taken: 1, dropped: 2 } as const;
/** Calls may be more than a word holds. */
const WINDOW = { firstCall: 2, lastCall: 3, every: 4 } as const;
const KINDS = { read: 1, wait: 2, call: 3, name: 4 } as const;

interface OfCall {
  readonly call: number;
  readonly beginMs: number;
  readonly endMs: number;
}

export type TraceRecord =
  | (OfCall & {
      readonly kind: 'read';
      readonly cell: number;
      readonly peer: number;
      readonly bytes: number;
      readonly isReduced: boolean;
    })
  | (OfCall & { readonly kind: 'wait'; readonly peer: number })
  | (OfCall & { readonly kind: 'call'; readonly bytes: number; readonly name: string });

export class TraceRing {
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  readonly #bytes: Uint8Array;
  /** Of the call whose record comes next. */
  #name = '';

  constructor(memory: SharedArrayBuffer, offset: number) {
    this.#words = new Int32Array(memory, offset, HEAD_BYTES / 4);
    this.#numbers = new Float64Array(memory, offset, TRACE_RING_BYTES / 8);
    this.#bytes = new Uint8Array(memory, offset, TRACE_RING_BYTES);
  }

  /** Empty, and for these calls. Before anybody writes. */
  prepare({ firstCall, lastCall, every }: CallWindow): void {
    this.#words.fill(0);
    this.#numbers[WINDOW.firstCall] = firstCall;
    this.#numbers[WINDOW.lastCall] = lastCall;
    this.#numbers[WINDOW.every] = every;
  }

  get window(): CallWindow {
    return {
      firstCall: this.#numbers[WINDOW.firstCall] as number,
      lastCall: this.#numbers[WINDOW.lastCall] as number,
      every: this.#numbers[WINDOW.every] as number,
    };
  }

  /** Records that found no room. */
  get dropped(): number {
    return Atomics.load(this.#words, WORDS.dropped);
  }

  write(record: TraceRecord): void {
    const { kind, call, beginMs, endMs } = record;
    if (kind === 'call') {
      if (!this.#hasRoom(2)) return;
      const at = this.#nextOffset();
      this.#numbers[at / 8] = KINDS.name;
      const text = new TextEncoder().encode(record.name).subarray(0, TEXT_BYTES);
      this.#bytes.fill(0, at + 8, at + RECORD_BYTES);
      this.#bytes.set(text, at + 8);
      Atomics.add(this.#words, WORDS.written, 1);
      this.#put([KINDS.call, call, beginMs, endMs, record.bytes, 0, 0, 0]);
    } else if (this.#hasRoom(1)) {
      const more =
        kind === 'wait'
          ? [record.peer, 0, 0, 0]
          : [record.cell, record.peer, record.bytes, record.isReduced ? 1 : 0];
      this.#put([KINDS[kind], call, beginMs, endMs, ...more]);
    }
  }

  /** The next record that was not taken yet. */
  take(): TraceRecord | undefined {
    for (;;) {
      const taken = Atomics.load(this.#words, WORDS.taken);
      if (taken === Atomics.load(this.#words, WORDS.written)) return undefined;
      const record = this.#at(HEAD_BYTES + ((taken >>> 0) % RECORDS) * RECORD_BYTES);
      Atomics.store(this.#words, WORDS.taken, (taken + 1) | 0);
      if (record !== undefined) return record;
    }
  }

  #hasRoom(records: number): boolean {
    const taken = Atomics.load(this.#words, WORDS.taken);
    const held = (Atomics.load(this.#words, WORDS.written) - taken) >>> 0;
    if (held + records <= RECORDS) return true;
    Atomics.add(this.#words, WORDS.dropped, 1);
    return false;
  }

  #put(values: readonly number[]): void {
    this.#numbers.set(values, this.#nextOffset() / 8);
    Atomics.add(this.#words, WORDS.written, 1);
  }

  #nextOffset(): number {
    const written = Atomics.load(this.#words, WORDS.written) >>> 0;
    return HEAD_BYTES + (written % RECORDS) * RECORD_BYTES;
  }

  /** `undefined` for a name, which belongs to the record behind it. */
  #at(offset: number): TraceRecord | undefined {
    const [kind = 0, call = 0, beginMs = 0, endMs = 0, a = 0, b = 0, c = 0, d = 0] =
      this.#numbers.subarray(offset / 8, offset / 8 + NUMBERS);
    const times = { call, beginMs, endMs };
    if (kind === KINDS.read)
      return { kind: 'read', ...times, cell: a, peer: b, bytes: c, isReduced: d === 1 };
    if (kind === KINDS.wait) return { kind: 'wait', ...times, peer: a };
    if (kind === KINDS.call) return { kind: 'call', ...times, bytes: a, name: this.#name };
    const text = this.#bytes.slice(offset + 8, offset + RECORD_BYTES);
    this.#name = new TextDecoder().decode(text).replace(/\0+$/, '');
    return undefined;
  }
}
