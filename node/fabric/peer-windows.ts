/** Windows of one peer: memory of its regions that is mapped here, by key. Nobody waits for one. */
import {
  MACHINE_PAGE_BYTES,
  type MachineMemory,
  type MappedMemory,
} from '../verbs/machine-memory.ts';
import { wordsOf } from './window-grants.ts';
import type { WindowGrant } from './window-message.ts';

/** Windows of one peer that are mapped at a time, and questions that may be open. */
export const WINDOWS_MAX = 256;
export const QUESTIONS_MAX = 16;
/** Refusals that are remembered. */
const REFUSALS_MAX = 1_024;

export class PeerWindow {
  /** First address, and bytes, that the key covers. */
  readonly address: number;
  readonly length: number;
  readonly #memory: MappedMemory;
  readonly #words: Int32Array;
  readonly #word: number;
  readonly #value: number;

  constructor(
    { address, length, word, value }: WindowGrant,
    memory: MappedMemory,
    words: Int32Array,
  ) {
    this.address = address;
    this.length = length;
    this.#memory = memory;
    this.#words = words;
    this.#word = word;
    this.#value = value;
  }

  /**
   * The peer still lets this side in. Everything that was stored through the window before is in its memory
   * then: this reads by a read-modify-write, which no earlier store is left behind by, and the peer
   * closes a window by another one before it moves the memory.
   */
  get isOpen(): boolean {
    return Atomics.or(this.#words, this.#word, 0) === this.#value;
  }

  covers(address: number, length: number): boolean {
    return address >= this.address && address + length <= this.address + this.length;
  }

  /** Of a range that it covers. */
  bytes(address: number, length: number): Uint8Array {
    const offset = address - this.address;
    return this.#memory.bytes.subarray(offset, offset + length);
  }

  unmap(): void {
    this.#memory.unmap();
  }
}

export class PeerWindows {
  readonly #machine: MachineMemory;
  readonly #nodeId: string;
  readonly #windows = new Map<number, PeerWindow>();
  readonly #asked = new Set<number>();
  /** Asked before the peer started anew; it may have answered all the same. */
  #askedBefore = new Set<number>();
  readonly #refused = new Set<number>();
  /** The page with the words of the peer's windows. */
  #page: { readonly number: number; readonly memory: MappedMemory } | undefined;
  #isClosed = false;

  constructor(machine: MachineMemory, nodeId: string) {
    this.#machine = machine;
    this.#nodeId = nodeId;
  }

  /** Windows that are mapped. */
  get count(): number {
    return this.#windows.size;
  }

  /** The window of a key, if there is one that is open. */
  find(key: number): PeerWindow | undefined {
    const window = this.#windows.get(key);
    if (window === undefined || window.isOpen) return window;
    this.#drop(key);
    return undefined;
  }

  /** Whether the peer is worth asking for a window of this key; if so it is taken as asked. */
  ask(key: number): boolean {
    if (this.#windows.has(key) || this.#asked.has(key) || this.#refused.has(key)) return false;
    if (this.#asked.size >= QUESTIONS_MAX) return false;
    if (this.#windows.size + this.#asked.size >= WINDOWS_MAX) this.#sweep();
    if (this.#windows.size + this.#asked.size >= WINDOWS_MAX) return false;
    this.#asked.add(key);
    return true;
  }

  /** The question could not be asked. */
  notAsked(key: number): void {
    this.#asked.delete(key);
  }

  /** The peer has started anew: it may have forgotten what it was asked. */
  peerRestarted(): void {
    this.#askedBefore = new Set(this.#asked);
    this.#asked.clear();
  }

  /** What the peer says. An answer that nobody waits for, or that does not hold, opens nothing. */
  answered(key: number, grant: WindowGrant | undefined): void {
    const isAwaited = [this.#asked, this.#askedBefore].some((keys) => keys.delete(key));
    if (!isAwaited || this.#isClosed || this.find(key) !== undefined) {
      if (grant !== undefined) this.#machine.discard(this.#nodeId, grant.file);
      return;
    }
    const window = grant === undefined ? undefined : this.#open(grant);
    if (window === undefined) this.#refuse(key);
    else this.#windows.set(key, window);
  }

  close(): void {
    this.#isClosed = true;
    for (const key of [...this.#windows.keys()]) this.#drop(key);
    this.#page?.memory.unmap();
    this.#page = undefined;
  }

  /** Maps the memory, and the page if it is another than before. */
  #open(grant: WindowGrant): PeerWindow | undefined {
    const page = this.#pageOf(grant.page);
    if (page === undefined) {
      this.#machine.discard(this.#nodeId, grant.file);
      return undefined;
    }
    const memory = this.#machine.map(this.#nodeId, grant.file, grant.length);
    return memory && new PeerWindow(grant, memory, wordsOf(page.bytes));
  }

  #pageOf(number: number): MappedMemory | undefined {
    if (this.#page?.number === number) return this.#page.memory;
    const memory = this.#machine.map(this.#nodeId, number, MACHINE_PAGE_BYTES);
    if (memory === undefined) return undefined;
    // The peer takes this side for a new one: what it opened before is closed.
    for (const key of [...this.#windows.keys()]) this.#drop(key);
    this.#page?.memory.unmap();
    this.#page = { number, memory };
    return memory;
  }

  #refuse(key: number): void {
    this.#refused.add(key);
    const [oldest] = this.#refused;
    if (this.#refused.size > REFUSALS_MAX && oldest !== undefined) this.#refused.delete(oldest);
  }

  #sweep(): void {
    for (const key of [...this.#windows.keys()]) this.find(key);
  }

  #drop(key: number): void {
    this.#windows.get(key)?.unmap();
    this.#windows.delete(key);
  }
}
