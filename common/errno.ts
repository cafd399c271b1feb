/**
 * Linux error numbers by name (asm-generic/errno-base.h, errno.h), with the sentence that strerror(3)
 * gives. Kernel-side functions return one of these names where C returns `-E...`.
 */
export const ERRNO = {
  EPERM: [1, 'Operation not permitted'],
  ENOENT: [2, 'No such file or directory'],
  ESRCH: [3, 'No such process'],
  EINTR: [4, 'Interrupted system call'],
  EIO: [5, 'Input/output error'],
  ENXIO: [6, 'No such device or address'],
  EBADF: [9, 'Bad file descriptor'],
  ECHILD: [10, 'No child processes'],
  EAGAIN: [11, 'Resource temporarily unavailable'],
  ENOMEM: [12, 'Cannot allocate memory'],
  EACCES: [13, 'Permission denied'],
  EFAULT: [14, 'Bad address'],
  EBUSY: [16, 'Device or resource busy'],
  ENODEV: [19, 'No such device'],
  EINVAL: [22, 'Invalid argument'],
  EMFILE: [24, 'Too many open files'],
  ENOTTY: [25, 'Inappropriate ioctl for device'],
  ENOSPC: [28, 'No space left on device'],
  ESPIPE: [29, 'Illegal seek'],
  EPIPE: [32, 'Broken pipe'],
  EDEADLK: [35, 'Resource deadlock avoided'],
  ENOSYS: [38, 'Function not implemented'],
  ETIME: [62, 'Timer expired'],
  ENOTSOCK: [88, 'Socket operation on non-socket'],
  EMSGSIZE: [90, 'Message too long'],
  EOPNOTSUPP: [95, 'Operation not supported'],
  ECONNRESET: [104, 'Connection reset by peer'],
  ETOOMANYREFS: [109, 'Too many references: cannot splice'],
  ETIMEDOUT: [110, 'Connection timed out'],
  EALREADY: [114, 'Operation already in progress'],
} as const satisfies Record<string, readonly [number, string]>;

export type Errno = keyof typeof ERRNO;

export function isErrno(value: unknown): value is Errno {
  return typeof value === 'string' && Object.hasOwn(ERRNO, value);
}

/** `EBUSY: Device or resource busy`. */
export function errnoSentence(errno: Errno): string {
  return `${errno}: ${ERRNO[errno][1]}`;
}
