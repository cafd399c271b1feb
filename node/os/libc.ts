/** The calls of the C library that hlsim makes through koffi, each prototyped once. */
import { createRequire } from 'node:module';
import { HlsimError, messageOf } from '../../common/errors.ts';

/** Addresses come back as numbers where they are safe integers, as on all processors of today. */
type Address = number | bigint;

/**
 * The C library. Addresses are `uintptr_t`; results are C's, so -1 and `errno()` for a failure. The
 * variadic ones among them take their arguments as any function does, on x64 and on arm64 of Linux.
 */
export interface Libc {
  readonly errno: () => number;
  readonly memfd_create: (name: string, flags: number) => number;
  readonly ftruncate: (fd: number, bytes: number) => number;
  readonly fallocate: (fd: number, mode: number, offset: number, bytes: number) => number;
  readonly fcntl: (fd: number, command: number, argument: number) => number;
  readonly fstatfs: (fd: number, status: Uint8Array) => number;
  readonly close: (fd: number) => number;
  readonly mmap: (
    address: Address,
    bytes: number,
    protection: number,
    flags: number,
    fd: number,
    offset: number,
  ) => Address;
  readonly mremap: (
    from: Address,
    bytes: number,
    bytesAfter: number,
    flags: number,
    to: Address,
  ) => Address;
  readonly munmap: (address: Address, bytes: number) => number;
  readonly memcpy: (destination: Address, source: Address, bytes: number) => void;
  readonly sched_yield: () => number;
  /** syscall(2) with the arguments of futex(2). */
  readonly futex: (
    call: number,
    word: Address,
    operation: number,
    value: number,
    timeout: Address,
  ) => number;
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly bind: (fd: number, name: Uint8Array, bytes: number) => number;
  readonly listen: (fd: number, backlog: number) => number;
  readonly connect: (fd: number, name: Uint8Array, bytes: number) => number;
  readonly accept4: (fd: number, name: Address, bytes: Address, flags: number) => number;
  readonly getsockopt: (
    fd: number,
    level: number,
    option: number,
    value: Uint8Array,
    bytes: Uint8Array,
  ) => number;
  readonly setsockopt: (
    fd: number,
    level: number,
    option: number,
    value: Uint8Array,
    bytes: number,
  ) => number;
  readonly sendmsg: (fd: number, message: Uint8Array, flags: number) => number;
  readonly recvmsg: (fd: number, message: Uint8Array, flags: number) => number;
  readonly send: (fd: number, bytes: Address, length: number, flags: number) => number;
  readonly recv: (fd: number, bytes: Address, length: number, flags: number) => number;
  /** sendmsg(2) of a `struct msghdr` at an address. */
  readonly sendmsgAt: (fd: number, message: Address, flags: number) => number;
  readonly shutdown: (fd: number, how: number) => number;
  readonly poll: (fds: Address, count: number, timeoutMs: number) => number;
  /** Address of the bytes, which must not be in V8's own heap: those of an `ArrayBuffer` made as such. */
  readonly addressOf: (bytes: Uint8Array) => bigint;
}

/** C prototypes, by the name in `Libc`. */
const PROTOTYPES = {
  memfd_create: 'int memfd_create(const char *name, unsigned int flags)',
  ftruncate: 'int ftruncate(int fd, int64_t length)',
  fallocate: 'int fallocate(int fd, int mode, int64_t offset, int64_t length)',
  fcntl: 'int fcntl(int fd, int command, int argument)',
  fstatfs: 'int fstatfs(int fd, void *buf)',
  close: 'int close(int fd)',
  mmap: 'uintptr_t mmap(uintptr_t addr, size_t length, int prot, int flags, int fd, int64_t offset)',
  mremap:
    'uintptr_t mremap(uintptr_t old, size_t old_size, size_t new_size, int flags, uintptr_t to)',
  munmap: 'int munmap(uintptr_t addr, size_t length)',
  memcpy: 'void memcpy(uintptr_t dest, uintptr_t src, size_t n)',
  sched_yield: 'int sched_yield()',
  futex: 'int64_t syscall(int64_t number, uintptr_t uaddr, int64_t op, int64_t val, uintptr_t t)',
  socket: 'int socket(int domain, int type, int protocol)',
  bind: 'int bind(int fd, const void *addr, uint32_t length)',
  listen: 'int listen(int fd, int backlog)',
  connect: 'int connect(int fd, const void *addr, uint32_t length)',
  accept4: 'int accept4(int fd, uintptr_t addr, uintptr_t length, int flags)',
  getsockopt: 'int getsockopt(int fd, int level, int name, void *value, void *length)',
  setsockopt: 'int setsockopt(int fd, int level, int name, const void *value, uint32_t length)',
  sendmsg: 'int64_t sendmsg(int fd, const void *msg, int flags)',
  recvmsg: 'int64_t recvmsg(int fd, void *msg, int flags)',
  send: 'int64_t send(int fd, uintptr_t buf, size_t length, int flags)',
  recv: 'int64_t recv(int fd, uintptr_t buf, size_t length, int flags)',
  sendmsgAt: 'int64_t sendmsg(int fd, uintptr_t msg, int flags)',
  shutdown: 'int shutdown(int fd, int how)',
  poll: 'int poll(uintptr_t fds, uint64_t count, int timeout)',
} as const;

/** As much of koffi as is used. */
interface Koffi {
  load(path: null): { func(prototype: string): unknown };
  errno(): number;
  address(bytes: Uint8Array): bigint;
}

/** The C library of this process, or why koffi does not give it. */
export function loadLibc(): Libc | { readonly unavailable: string } {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi;
    const library = koffi.load(null);
    const calls = Object.entries(PROTOTYPES).map(([name, prototype]) => [
      name,
      library.func(prototype),
    ]);
    return {
      ...(Object.fromEntries(calls) as Omit<Libc, 'errno' | 'addressOf'>),
      errno: koffi.errno,
      addressOf: koffi.address,
    };
  } catch (reason) {
    const [why] = messageOf(reason).split('\n');
    return { unavailable: `the optional package koffi cannot be loaded (${why})` };
  }
}

/** Numbers of errno(3) that decide something here. */
export const OS_ERRNO = {
  EINTR: 4,
  EBADF: 9,
  EAGAIN: 11,
  EFAULT: 14,
  EINVAL: 22,
  EPIPE: 32,
  ENOTSOCK: 88,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  ENOTCONN: 107,
  ETOOMANYREFS: 109,
  ECONNREFUSED: 111,
} as const;

/** The failure of `call`, which was to do `what`. */
export function osError(libc: Libc, call: string, what: string): HlsimError {
  const errno = libc.errno();
  return new HlsimError(
    'HLSIM_OS',
    `Expected the operating system to ${what} but ${call} failed with errno ${errno}: look at the limits of memory and open files (ulimit -a), or set HLSIM_OS=off to do without`,
    { fields: { call, errno } },
  );
}
