/**
 * Windows that this endpoint has opened for one peer: regions of its domain whose memory the peer has been
 * handed. A page that both have mapped has a word for each; the peer looks at it after every access, and what
 * it has done while the word was another does not count. So a window is closed by one store, whether or not
 * the peer is listening.
 */
import type { MachineMemory } from '../verbs/machine-memory.ts';
import type { FiDomain } from './domain.ts';
import { isFiErrno } from './fabric.ts';
import { regionOfKey } from './mr.ts';
import { WINDOW_VALUE_MAX, WINDOW_WORDS, type WindowGrant } from './window-message.ts';

/** Windows that may be open for one peer. */
export const GRANTS_MAX = 1_024;

interface Page {
  readonly number: number;
  readonly words: Int32Array;
  unmap(): void;
}

export class WindowGrants {
  readonly #domain: FiDomain;
  readonly #machine: MachineMemory;
  readonly #nodeId: string;
  #page: Page | undefined;
  /** Nothing can be handed to the peer: it is on another machine. */
  #isElsewhere = false;
  /** By word. */
  readonly #open = new Map<number, () => void>();
  #lastWord = -1;
  #lastValue = 0;
  #longest = 0;

  constructor(domain: FiDomain, machine: MachineMemory, nodeId: string) {
    this.#domain = domain;
    this.#machine = machine;
    this.#nodeId = nodeId;
  }

  /** Windows that are open. */
  get count(): number {
    return this.#open.size;
  }

  /** A window on the region with this key. `undefined`: it cannot be, the peer has to use the link. */
  grant(key: number): WindowGrant | undefined {
    const region = regionOfKey(this.#domain, key);
    const page = region === undefined ? undefined : this.#pageOfPeer();
    if (region === undefined || page === undefined) return undefined;
    if (this.#open.size >= GRANTS_MAX || this.#lastValue >= WINDOW_VALUE_MAX) return undefined;
    const word = this.#freeWord();
    const ended = () => {
      this.#open.delete(word);
      // An exchange, so that whatever the peer stored before it last saw the word is seen from here on.
      Atomics.exchange(page.words, word, 0);
    };
    const file = region.lend(ended);
    if (isFiErrno(file)) return undefined;
    const handed = this.#machine.offer(this.#nodeId, file);
    if (handed === undefined) {
      region.returned(ended);
      return undefined;
    }
    this.#lastValue++;
    const value = this.#lastValue;
    Atomics.exchange(page.words, word, value);
    this.#open.set(word, () => {
      region.returned(ended);
      ended();
    });
    const { address, length } = region;
    this.#longest = Math.max(this.#longest, length);
    return { address, length, file: handed.number, page: page.number, word, value };
  }

  /** Whether the peer has ever had a window on so many bytes. */
  mayHaveWritten(length: number): boolean {
    return length <= this.#longest;
  }

  /** The peer has started anew: it may use none of them any more, and is handed another page. */
  restart(): void {
    for (const end of [...this.#open.values()]) end();
    this.#page?.unmap();
    this.#page = undefined;
  }

  /** The peer may use none of them any more, and gets no more. */
  close(): void {
    this.restart();
    this.#isElsewhere = true;
  }

  #pageOfPeer(): Page | undefined {
    if (this.#page !== undefined || this.#isElsewhere) return this.#page;
    const made = this.#machine.createFor(this.#nodeId);
    if (made === undefined) {
      this.#isElsewhere = true;
      return undefined;
    }
    this.#page = { number: made.number, words: wordsOf(made.bytes), unmap: () => made.unmap() };
    return this.#page;
  }

  #freeWord(): number {
    do this.#lastWord = (this.#lastWord + 1) % WINDOW_WORDS;
    while (this.#open.has(this.#lastWord));
    return this.#lastWord;
  }
}

/** The words of a page. */
export function wordsOf(bytes: Uint8Array): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, WINDOW_WORDS);
}
