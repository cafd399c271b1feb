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
  /** No descriptor names the file any more; references of other kinds may keep it. Never fails. */
  closed?(): void;
  /** The last reference is gone. Never fails. */
  release(): void;
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

  /** A descriptor has taken over a reference. For `FdTable`. */
  descriptorOpened(): void {
    this.#descriptors++;
  }

  /** A descriptor is gone, and its reference with it. For `FdTable`. */
  descriptorClosed(): void {
    assert(this.#descriptors > 0, 'Expected the file to have a descriptor');
    this.#descriptors--;
    if (this.#descriptors === 0) this.operations.closed?.();
    this.put();
  }
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

  /** Process exit: closes everything, lowest number first, and takes no new file. */
  closeAll(): void {
    this.#state = 'ended';
    for (const fd of [...this.#files.keys()].sort((a, b) => a - b)) this.close(fd);
  }

  get openCount(): number {
    return this.#files.size;
  }
}
