/** How the program's thread waits for other processes; given by whoever starts the host. */

/** How a thread waits for another process. */
export interface ProgramWait {
  /** Sleeps while the 32-bit word at `offset` of the device's memory is `expected`, for `timeoutMs` at most. */
  sleep(offset: number, expected: number, timeoutMs: number): void;
  /** Lets another thread that wants this core have it; comes back at once if there is none (sched_yield(2)). */
  giveWay(): void;
  /** Wakes whoever sleeps on the word. */
  wake(offset: number): void;
  /** Milliseconds, of any origin. */
  now(): number;
}
