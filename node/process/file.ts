/**
 * Open files and the fd table of a simulated process, with the kernel's rules: an fd is a reference to
 * an open file; `dup` and passing an fd take another; the file's `release` runs when the last one goes.
 */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import type { SimProcess } from './sim-process.ts';
import type { SystemCallValue } from './system-call.ts';

/** RLIMIT_NOFILE of every simulated process. */
export const OPEN_FILES_MAX = 1024;

/** Events of poll(2). POLLERR and POLLHUP are reported whether asked for or not. */
export type PollEvent = 'POLLIN' | 'POLLOUT' | 'POLLERR' | 'POLLHUP';

/** From where lseek(2) counts. */
export type SeekWhence = 'SEEK_SET' | 'SEEK_CUR' | 'SEEK_END';

/** What kind of file it is, as `struct file_operations` in a kernel. */
export interface FileOperations {
  /** `accel`, `accel_control`, `dmabuf`, ...: what fdinfo would show. */
  readonly kind: string;
  /** Throws `SystemCallError` on failure. Absent: ENOTTY. */
  ioctl?(
    caller: SimProcess,
    request: string,
    argument: SystemCallValue,
  ): SystemCallValue | Promise<SystemCallValue>;
  /** The new position, in bytes. Absent: ESPIPE. */
  lseek?(offset: number, whence: SeekWhence): number | Errno;
  /**
   * Resolves with those of `events` that hold, at once if any does, else when one comes to hold; with
   * none as soon as `signal` aborts. Never rejects. Absent: always ready to read and to write.
   */
  poll?(events: readonly PollEvent[], signal: AbortSignal): Promise<readonly PollEvent[]>;
  /** Maps bytes of the file for `caller`: the user address. Absent: ENODEV. */
  mmap?(caller: SimProcess, offset: number, length: number): number | Errno;
  /** What `/proc/PID/fdinfo/FD` shows beyond the kind. */
  fdinfo?(): Readonly<Record<string, string | number>>;
  /** Files that live by this one: those in flight to whoever holds it. */
  carried?(): readonly OpenFile[];
  /** Files that live as long as this one does because of what was made with it, as a region's dma-buf. */
  holds?(): readonly OpenFile[];
  /** A descriptor is closed and another still names the file (`flush`). Never fails. */
  flush?(): void;
  /**
   * No descriptor names the file any more, in a table or in flight between processes; references of
   * other kinds may keep it. Never fails.
   */
  closed?(): void;
  /** The last reference is gone. Never fails. */
  release(): void;
  /**
   * Resolves when everything that the close of the last descriptor brought about is done: the `close`
   * call and a parent's wait return after it. Bounded by the file itself; never rejects.
   */
  settled?(): Promise<void>;
}

/** A reference-counted open file (`struct file`). Made with one reference, the maker's. */
export class OpenFile {
  readonly operations: FileOperations;
  #references = 1;
  #descriptors = 0;

  constructor(operations: FileOperations) {
    this.operations = operations;
  }

  get references(): number {
    return this.#references;
  }

  /** `fget`: takes a reference. */
  get(): this {
    assert(this.#references > 0, 'Expected a live file');
    this.#references++;
    return this;
  }

  /** `fput`: drops a reference; the last one releases the file. */
  put(): void {
    assert(this.#references > 0, 'Expected a live file');
    this.#references--;
    if (this.#references === 0) this.operations.release();
  }

  /** Descriptors that name it, those in flight between processes included. */
  get descriptors(): number {
    return this.#descriptors;
  }

  /** A descriptor has taken over a reference. For `FdTable`, and for files in flight. */
  descriptorOpened(): void {
    this.#descriptors++;
  }

  /** A descriptor is gone, and its reference with it. For `FdTable`, and for files in flight. */
  descriptorClosed(): void {
    assert(this.#descriptors > 0, 'Expected the file to have a descriptor');
    this.#descriptors--;
    if (this.#descriptors === 0) this.operations.closed?.();
    this.put();
    if (this.#descriptors > 0) this.operations.flush?.();
  }

  /** After a descriptor was closed: resolves when what that brought about is done. Never rejects. */
  async settled(): Promise<void> {
    if (this.#descriptors === 0) await this.operations.settled?.();
  }
}

/** `file` and all that lives by it, however often it was passed on inside something else. */
export function filesReachedFrom(file: OpenFile): ReadonlySet<OpenFile> {
  const reached = new Set([file]);
  for (const one of reached) {
    for (const inside of one.operations.carried?.() ?? []) reached.add(inside);
  }
  return reached;
}

/** One process's descriptors. Numbers are given lowest first, from 0: 0 is a valid dma-buf fd too. */
export class FdTable {
  readonly #files = new Map<number, OpenFile>();
  readonly #reserved = new Set<number>();
  #state: 'open' | 'ended' = 'open';

  /**
   * Reserves the lowest free number without showing a file there (`get_unused_fd_flags`). EMFILE if
   * there is none, or if the process has ended.
   */
  reserve(): number | Errno {
    if (this.#state === 'ended') return 'EMFILE';
    for (let fd = 0; fd < OPEN_FILES_MAX; fd++) {
      if (this.#files.has(fd) || this.#reserved.has(fd)) continue;
      this.#reserved.add(fd);
      return fd;
    }
    return 'EMFILE';
  }

  /**
   * Publishes `file` under a reserved number; the table takes over the caller's reference. If the
   * process has ended since the reservation, the file closes at once.
   */
  install(fd: number, file: OpenFile): void {
    assert(this.#reserved.delete(fd), `Expected fd ${fd} to be reserved`);
    this.#files.set(fd, file);
    file.descriptorOpened();
    if (this.#state === 'ended') this.close(fd);
  }

  /** Gives a reserved number back (`put_unused_fd`). */
  unreserve(fd: number): void {
    assert(this.#reserved.delete(fd), `Expected fd ${fd} to be reserved`);
  }

  /** The file, without taking a reference; EBADF if there is none. */
  lookup(fd: number): OpenFile | Errno {
    return this.#files.get(fd) ?? 'EBADF';
  }

  dup(fd: number): number | Errno {
    const file = this.#files.get(fd);
    if (file === undefined) return 'EBADF';
    const copy = this.reserve();
    if (typeof copy !== 'number') return copy;
    this.install(copy, file.get());
    return copy;
  }

  close(fd: number): Errno | undefined {
    const file = this.#files.get(fd);
    if (file === undefined) return 'EBADF';
    this.#files.delete(fd);
    file.descriptorClosed();
    return undefined;
  }

  /** `dup2`: makes `target` name the file of `fd`; what `target` named is closed, and returned. */
  dup2(fd: number, target: number): { readonly replaced?: OpenFile } | Errno {
    const file = this.#files.get(fd);
    if (file === undefined || target >= OPEN_FILES_MAX) return 'EBADF';
    // The number is taken by a call that has not published its file yet.
    if (this.#reserved.has(target)) return 'EBUSY';
    if (fd === target) return {};
    const replaced = this.#files.get(target);
    this.#files.set(target, file.get());
    file.descriptorOpened();
    replaced?.descriptorClosed();
    return replaced === undefined ? {} : { replaced };
  }

  /**
   * Process exit: closes everything, lowest number first, before it returns, and takes no new file.
   * Resolves when what that brought about is done. Never rejects.
   */
  closeAll(): Promise<unknown> {
    this.#state = 'ended';
    const files = this.entries().map(([, file]) => file);
    for (const [fd] of this.entries()) this.close(fd);
    return Promise.all(files.map((file) => file.settled()));
  }

  /** Descriptors and their files, lowest number first. */
  entries(): [number, OpenFile][] {
    return [...this.#files].sort(([a], [b]) => a - b);
  }

  get openCount(): number {
    return this.#files.size;
  }
}
