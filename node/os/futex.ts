/** Sleeping on a word of memory, across processes (futex(2)). Nothing here allocates. */
import { assert } from '../../common/assert.ts';
import { type Libc, OS_ERRNO, osError } from './libc.ts';
import type { OperatingSystem } from './operating-system.ts';

/** Number of the system call on the processors that are supported. */
const SYS_FUTEX: Readonly<Record<string, number>> = { x64: 202, arm64: 98 };

/** Not FUTEX_PRIVATE_FLAG: the word may be shared with other processes. */
const FUTEX_WAIT = 0;
const FUTEX_WAKE = 1;
const ALL_WAITERS = 0x7fff_ffff;
const NANOSECONDS_PER_MS = 1_000_000;

/** Whether hlsim knows how to make the system call. */
export function hasFutex(architecture: string): boolean {
  return Object.hasOwn(SYS_FUTEX, architecture);
}

export function futex(
  libc: Libc,
  architecture: string,
): Pick<OperatingSystem, 'futexWait' | 'futexWake' | 'yieldCpu'> {
  const call = SYS_FUTEX[architecture];
  assert(call !== undefined, `Expected to know the futex call of ${architecture}`);
  // `struct timespec`, whose 64-bit fields hold values below 2^31 here.
  const timespec = new Int32Array(new ArrayBuffer(16));
  const timespecAddress = libc.addressOf(new Uint8Array(timespec.buffer));
  const { futex: systemCall, sched_yield } = libc;

  return {
    futexWait(address, expected, timeoutMs) {
      const seconds = Math.floor(timeoutMs / 1000);
      timespec[0] = seconds;
      timespec[2] = (timeoutMs - seconds * 1000) * NANOSECONDS_PER_MS;
      const result = systemCall(call, address, FUTEX_WAIT, expected | 0, timespecAddress);
      // Time-out, a changed word and a signal are as good as a wake: the caller looks at the word.
      if (result < 0 && libc.errno() === OS_ERRNO.EINVAL) {
        throw osError(libc, 'futex', `wait ${timeoutMs} ms on a word`);
      }
    },
    futexWake(address) {
      if (systemCall(call, address, FUTEX_WAKE, ALL_WAITERS, 0) < 0) {
        throw osError(libc, 'futex', 'wake who waits on a word');
      }
    },
    yieldCpu: () => void sched_yield(),
  };
}
