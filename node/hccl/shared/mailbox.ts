/**
 * A rank's mailbox: a page of its device memory that every peer on the same machine has mapped. The rank
 * writes how far it has come, what it calls, and the operands of small calls; peers read. Peers write one
 * word, the doorbell, to wake a rank that sleeps.
 *
 *     0     magic, doorbell, sleeping
 *     64    progress: cells done since the start, modulo 2^32
 *     128   header of the operation, twice: even and odd numbers
 *     1024  the call in words, twice, for the message if ranks do not agree
 *     4096  operand of a small operation, twice
 *
 * Whoever reads a peer's mailbox trusts nothing in it: offsets and sizes are checked before they are used.
 */
import { KiB } from '../../../common/bytes.ts';

/** Bytes of a mailbox: one page of device memory. */
export const MAILBOX_BYTES = 64 * KiB;
/** Longest operand that travels in a mailbox. */
export const MAILBOX_OPERAND_BYTES = 16 * KiB;

const MAGIC = 0x6d_61_69_6c;
const WORDS = { magic: 0, doorbell: 1, sleeping: 2, progress: 16 } as const;
const HEADER_OFFSET = 128;
const HEADER_BYTES = 128;
const TEXT_OFFSET = 1 * KiB;
/** With two bytes of length. */
const TEXT_BYTES = 1 * KiB;
const OPERAND_OFFSET = 4 * KiB;
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/** What a rank tells of its operation. Places are meaningless to operations whose operands travel in mailboxes. */
export interface MailboxHeader {
  /** Of the operations of this kind, from 1, modulo 2^32. */
  sequence: number;
  /** The call as ranks must agree on it: see `digestOf`. */
  digest: number;
  inputWindow: number;
  outputWindow: number;
  /** From the start of the window. */
  inputOffset: number;
  outputOffset: number;
}

/** One mailbox, of this rank or of a peer, at `offset` of the device's memory. */
export class Mailbox {
  /** Where its doorbell is, from the start of the device's memory. */
  readonly doorbellOffset: number;
  /** In the device's memory. */
  readonly offset: number;
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  readonly #bytes: Uint8Array;
  /** What was last written of each parity. */
  readonly #texts = ['', ''];

  constructor(memory: SharedArrayBuffer, offset: number) {
    this.offset = offset;
    this.#bytes = new Uint8Array(memory, offset, MAILBOX_BYTES);
    this.#words = new Int32Array(memory, offset, MAILBOX_BYTES / 4);
    this.#numbers = new Float64Array(memory, offset, MAILBOX_BYTES / 8);
    this.doorbellOffset = offset + 4 * WORDS.doorbell;
  }

  /** Before peers see it. */
  initialise(): void {
    Atomics.store(this.#words, WORDS.magic, MAGIC);
  }

  /** Its owner takes it back, before any other memory that peers have mapped. */
  withdraw(): void {
    Atomics.store(this.#words, WORDS.magic, 0);
  }

  /** False once its owner has taken the memory back. */
  get isThere(): boolean {
    return Atomics.load(this.#words, WORDS.magic) === MAGIC;
  }

  get progress(): number {
    return Atomics.load(this.#words, WORDS.progress) >>> 0;
  }

  set progress(cells: number) {
    Atomics.store(this.#words, WORDS.progress, cells | 0);
  }

  get doorbell(): number {
    return Atomics.load(this.#words, WORDS.doorbell);
  }

  /** Its owner is about to sleep, or awake again. */
  set isSleeping(sleeping: boolean) {
    Atomics.store(this.#words, WORDS.sleeping, sleeping ? 1 : 0);
  }

  /** Changes the doorbell; true if its owner sleeps and must be woken. */
  ring(): boolean {
    if (Atomics.load(this.#words, WORDS.sleeping) === 0) return false;
    Atomics.add(this.#words, WORDS.doorbell, 1);
    return true;
  }

  /** `text`: the call in words. */
  writeHeader(header: MailboxHeader, text: string): void {
    const word = headerWord(header.sequence);
    this.#writeText(header.sequence & 1, text);
    this.#words[word] = header.sequence | 0;
    this.#words[word + 1] = header.digest | 0;
    this.#words[word + 2] = header.inputWindow | 0;
    this.#words[word + 3] = header.outputWindow | 0;
    this.#numbers[word / 2 + 2] = header.inputOffset;
    this.#numbers[word / 2 + 3] = header.outputOffset;
  }

  /** Reads the header of operation `sequence` into `header`. */
  readHeader(sequence: number, header: MailboxHeader): void {
    const word = headerWord(sequence);
    header.sequence = (this.#words[word] as number) >>> 0;
    header.digest = (this.#words[word + 1] as number) >>> 0;
    header.inputWindow = (this.#words[word + 2] as number) >>> 0;
    header.outputWindow = (this.#words[word + 3] as number) >>> 0;
    header.inputOffset = this.#numbers[word / 2 + 2] as number;
    header.outputOffset = this.#numbers[word / 2 + 3] as number;
  }

  /** The call of operation `sequence` in words. */
  readText(sequence: number): string {
    const start = TEXT_OFFSET + (sequence & 1) * TEXT_BYTES;
    const low = this.#bytes[start] as number;
    const length = Math.min(low + 256 * (this.#bytes[start + 1] as number), TEXT_BYTES - 2);
    return DECODER.decode(this.#bytes.slice(start + 2, start + 2 + length));
  }

  #writeText(parity: number, text: string): void {
    if (this.#texts[parity] === text) return;
    this.#texts[parity] = text;
    const bytes = ENCODER.encode(text).subarray(0, TEXT_BYTES - 2);
    const start = TEXT_OFFSET + parity * TEXT_BYTES;
    this.#bytes[start] = bytes.byteLength & 0xff;
    this.#bytes[start + 1] = bytes.byteLength >> 8;
    this.#bytes.set(bytes, start + 2);
  }

  /** Where the operand of operation `sequence` lies in the device's memory. */
  operandOffset(sequence: number): number {
    return this.offset + OPERAND_OFFSET + (sequence & 1) * MAILBOX_OPERAND_BYTES;
  }
}

function headerWord(sequence: number): number {
  return (HEADER_OFFSET + (sequence & 1) * HEADER_BYTES) / 4;
}
