/**
 * Ranges of a device's memory that lie on files of the operating system, so that another process can have
 * them mapped and reaches these bytes and no others. Every allocation is put on a file of its own when
 * it is made, before anybody can write to it: to share it is then only to hand out the descriptor. Parts
 * of an allocation, and memory that was taken back before, are moved to a file when they are shared.
 *
 * Whoever keeps a mapping when the memory is taken back keeps the old file, in which nothing is left.
 */
import { assert } from '../../common/assert.ts';
import { MiB } from '../../common/bytes.ts';
import type { Errno } from '../../common/errno.ts';
import { HlsimError } from '../../common/errors.ts';
import type { OperatingSystem, SharedMemory } from '../os/operating-system.ts';

/** Ranges of one device that lie on files, ready to be shared; others are moved when they are shared. */
export const FILES_MAX = 1024;

/** Moved at a time off a file: so much memory is there twice for a moment. */
const MOVE_BYTES = 64 * MiB;

interface FileRange {
  readonly offset: number;
  readonly memory: SharedMemory;
}

interface Share extends FileRange {
  /** Of a loan: called before it is taken back for somebody else. */
  readonly recalled?: (() => void) | undefined;
}

export class SharedRanges {
  readonly #os: OperatingSystem;
  readonly #start: bigint;
  /** Multiple of which offsets and sizes are. */
  readonly #pageBytes: number;
  /** Ready to be shared. */
  readonly #files = new Map<number, FileRange>();
  readonly #shares = new Map<number, Share>();

  /** Of the memory with the address `start`. */
  constructor(os: OperatingSystem, start: bigint, pageBytes: number) {
    this.#os = os;
    this.#start = start;
    this.#pageBytes = pageBytes;
  }

  /** Ranges that other processes may have mapped. */
  get count(): number {
    return this.#shares.size;
  }

  /** New zeros on a file of their own. ENOMEM: the system gives no file, and nothing has changed. */
  allocated(offset: number, bytes: number): Errno | undefined {
    if (!this.#hasFiles) return undefined;
    const memory = this.#onFile(bytes, (fd) => this.#os.mapFile(this.#at(offset), bytes, fd));
    if (memory === undefined) return 'ENOMEM';
    this.#files.set(offset, { offset, memory });
    return undefined;
  }

  /**
   * The file with the bytes [offset, offset + bytes), whose content stays. Nobody may write to them
   * meanwhile unless they are exactly an allocation of which no part was ever shared. With `recalled` it is
   * a loan: it moves nothing, and is taken back, after that has been called, when others share any of the bytes
   * for good. EINVAL: not whole pages; EBUSY: some of them are shared already, or would have to be moved for
   * a loan; ENOMEM: the system gives no file.
   */
  share(offset: number, bytes: number, recalled?: () => void): SharedMemory | Errno {
    if (bytes <= 0 || offset % this.#pageBytes !== 0 || bytes % this.#pageBytes !== 0) {
      return 'EINVAL';
    }
    const others = overlapping(this.#shares, offset, bytes);
    if (recalled !== undefined && others.length > 0) return 'EBUSY';
    if (others.some((other) => other.recalled === undefined)) return 'EBUSY';
    for (const loan of others) {
      loan.recalled?.();
      this.unshare(loan.memory, 'kept');
    }
    const own = this.#ownFile(offset, bytes);
    if (own === undefined && recalled !== undefined) return 'EBUSY';
    const memory = own ?? this.#movedToFile(offset, bytes);
    if (memory === undefined) return 'ENOMEM';
    this.#shares.set(offset, { offset, memory, recalled });
    return memory;
  }

  /**
   * Other processes reach the range no more, and read zeros where they did. `kept`: its content stays, but
   * for what this process's threads write meanwhile. Closes the descriptor. Nothing if it ended before.
   */
  unshare(memory: SharedMemory, content: 'kept' | 'zeroed'): void {
    const parts = this.unsharing(memory, content);
    while (parts.next().done !== true);
  }

  /**
   * As `unshare`, part by part: every `next` takes so long as moving `MOVE_BYTES`. If the range is freed in
   * between, nothing is left to do.
   */
  *unsharing(memory: SharedMemory, content: 'kept' | 'zeroed'): Generator<undefined, void> {
    const share = [...this.#shares.values()].find((one) => one.memory === memory);
    if (share === undefined) return;
    const { bytes, fd } = memory;
    // On a file again, if there is one, so that it can be shared again without a move.
    const next = content === 'kept' && this.#hasFiles ? this.#newFile(bytes) : undefined;
    for (let done = 0; done < bytes; ) {
      if (done > 0) yield;
      // Freed meanwhile.
      if (this.#shares.get(share.offset) !== share) return this.#drop(next);
      const length = Math.min(MOVE_BYTES, bytes - done);
      const address = this.#at(share.offset + done);
      if (content === 'zeroed') this.#os.mapFresh(address, length);
      else if (next === undefined) this.#os.moveToFresh(address, length);
      else this.#os.moveToFile(address, length, next.fd, done);
      done += length;
      // After the move: until then the device's bytes are those of the file.
      this.#os.punchHole(fd, done);
    }
    this.#os.closeFile(fd);
    this.#shares.delete(share.offset);
    if (next !== undefined) this.#files.set(share.offset, { offset: share.offset, memory: next });
  }

  #drop(file: SharedMemory | undefined): void {
    if (file !== undefined) this.#os.closeFile(file.fd);
  }

  /** Nobody owns [offset, offset + bytes) any more: it is zeros, on no file, and reached by no other process. */
  freed(offset: number, bytes: number): void {
    for (const { memory } of overlapping(this.#shares, offset, bytes)) {
      this.unshare(memory, 'zeroed');
    }
    this.#forgetFiles(offset, bytes);
    this.#os.mapFresh(this.#at(offset), bytes);
  }

  /** The file of exactly this range. */
  #ownFile(offset: number, bytes: number): SharedMemory | undefined {
    const file = this.#files.get(offset);
    if (file?.memory.bytes !== bytes) return undefined;
    this.#files.delete(offset);
    return file.memory;
  }

  #movedToFile(offset: number, bytes: number): SharedMemory | undefined {
    const memory = this.#onFile(bytes, (fd) => this.#os.moveToFile(this.#at(offset), bytes, fd));
    // A file that lies under part of an allocation only is not one to hand out.
    if (memory !== undefined) this.#forgetFiles(offset, bytes);
    return memory;
  }

  #forgetFiles(offset: number, bytes: number): void {
    for (const file of overlapping(this.#files, offset, bytes)) {
      this.#files.delete(file.offset);
      this.#os.closeFile(file.memory.fd);
    }
  }

  /** There may be one more file that is not shared. */
  get #hasFiles(): boolean {
    return this.#files.size < FILES_MAX;
  }

  /** A new sealed file on which `map` has put memory; `undefined` if the system refuses. */
  #onFile(bytes: number, map: (fd: number) => void): SharedMemory | undefined {
    const memory = this.#newFile(bytes);
    if (memory === undefined) return undefined;
    return this.#granted(() => map(memory.fd), memory.fd) ? memory : undefined;
  }

  #newFile(bytes: number): SharedMemory | undefined {
    let fd = -1;
    const make = () => {
      fd = this.#os.memoryFile('hlsim-hbm', bytes);
    };
    if (!this.#granted(make)) return undefined;
    return this.#granted(() => this.#os.seal(fd), fd) ? { fd, bytes } : undefined;
  }

  /** Whether the system does it; if not, the descriptor is closed. */
  #granted(call: () => void, fd?: number): boolean {
    try {
      call();
      return true;
    } catch (reason) {
      if (fd !== undefined) this.#os.closeFile(fd);
      if (reason instanceof HlsimError && reason.code === 'HLSIM_OS') return false;
      throw reason;
    }
  }

  #at(offset: number): bigint {
    assert(offset >= this.#pageBytes, `Expected an offset in HBM but found ${offset}`);
    return this.#start + BigInt(offset);
  }
}

function overlapping<Range extends FileRange>(
  ranges: ReadonlyMap<number, Range>,
  offset: number,
  bytes: number,
): Range[] {
  return [...ranges.values()].filter(
    (one) => one.offset < offset + bytes && offset < one.offset + one.memory.bytes,
  );
}
