/**
 * Command submission: a context's queue of work for its device. Jobs run one after the other in
 * submission order, each in its own turn of the scheduler and never inside the submitting call. A
 * submission gets a sequence number, from 1, and a fence that signals when it has ended.
 *
 *     queued -> running -> COMPLETED | ABORTED (a job's memory went away, or the file closed)
 *                        | ETIMEDOUT (it ran for too long) | EIO (rolled back by a reset)
 */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import type { CancelTimer, Scheduler } from '../../common/scheduler.ts';
import {
  type DmaFence,
  dma_fence_add_callback,
  dma_fence_init,
  dma_fence_remove_callback,
  dma_fence_set_error,
  dma_fence_signal,
} from '../dmabuf/fence.ts';
import { SUBMISSION_ERRORS } from './errno-tables.ts';
import { CS_IN_FLIGHT_MAX, type CsStatus, JOBS_PER_CS_MAX, type Job, MULTI_CS_MAX } from './job.ts';
import { DEVICE_LIMITS } from './limits.ts';
import { type JobMemory, type PreparedJob, prepareJob } from './prepared-job.ts';
import { showToExporters } from './submission-fences.ts';

/** Waits of one context that may be pending at a time; one more fails with EAGAIN. */
export const CS_WAITS_MAX = 1024;
/** Failed submissions that are remembered; of older ones nothing is known any more (EINVAL). */
export const CS_ABORTS_REMEMBERED = 1024;
/** How long the device may keep the host's thread before others (NIC, heartbeat) get a turn. */
const EXECUTION_SLICE_MS = 5;

/** How a submission failed: the status, or the errno, that its waiters see. */
export type CsFailure = 'ABORTED' | 'EIO' | 'ETIMEDOUT';

/** Who wants to know what happens to submissions. */
export interface CsObserver {
  /** It was given up: ETIMEDOUT. The device is stuck. */
  timedOut(sequence: number): void;
  /** A job met memory that is not mapped any more. */
  faulted(sequence: number): void;
}

interface Submission {
  readonly sequence: number;
  readonly jobs: readonly PreparedJob[];
  readonly fence: DmaFence;
  readonly timeoutMs: number;
  /** Index of the job to run next. */
  next: number;
}

/** What a wait for several submissions found. */
export interface AnyEnded {
  readonly status: CsStatus;
  /** Bit n set: the n-th has ended. */
  readonly completedMask: number;
}

export class CommandSubmissions {
  readonly #memory: JobMemory;
  readonly #scheduler: Scheduler;
  readonly #observer: CsObserver | undefined;
  readonly #timeoutMs: number;
  readonly #queue: Submission[] = [];
  readonly #failed = new Map<number, CsFailure>();
  #forgottenThrough = 0;
  #lastSequence = 0;
  #waitCount = 0;
  #sliceStartMs = 0;
  #engine: 'idle' | 'scheduled' = 'idle';
  /** Of the first submission in the queue. */
  #cancelTimeout: CancelTimer = () => undefined;

  constructor(
    memory: JobMemory,
    scheduler: Scheduler,
    timeoutMs: number = DEVICE_LIMITS.csTimeoutMs,
    observer?: CsObserver,
  ) {
    this.#memory = memory;
    this.#scheduler = scheduler;
    this.#timeoutMs = timeoutMs;
    this.#observer = observer;
  }

  /** Submissions that have not ended. */
  get inFlightCount(): number {
    return this.#queue.length;
  }

  /**
   * Queues the jobs and returns their sequence number. EINVAL: no job, more than `JOBS_PER_CS_MAX`, or
   * one that makes no sense; EFAULT: an address that is not mapped; EAGAIN: `CS_IN_FLIGHT_MAX` are in
   * flight. A failure has no effect. The submission may be first in the queue for `timeoutMs`.
   */
  submit(jobs: readonly Job[], timeoutMs: number = this.#timeoutMs): number | Errno {
    if (jobs.length === 0 || jobs.length > JOBS_PER_CS_MAX) return SUBMISSION_ERRORS.jobs.errno;
    if (this.#queue.length >= CS_IN_FLIGHT_MAX) return SUBMISSION_ERRORS.inFlight.errno;
    const prepared: PreparedJob[] = [];
    for (const job of jobs) {
      const one = prepareJob(this.#memory, job);
      if (typeof one === 'string') return one;
      prepared.push(one);
    }
    const fence = dma_fence_init();
    const sequence = ++this.#lastSequence;
    this.#queue.push({ sequence, jobs: prepared, fence, timeoutMs, next: 0 });
    if (this.#queue.length === 1) this.#watchFirst();
    showToExporters(prepared, fence);
    if (this.#engine === 'idle') {
      this.#sliceStartMs = this.#scheduler.clock.now();
      this.#schedule();
    }
    return sequence;
  }

  /**
   * As `submit` and `wait` in one, for work that takes less time than a turn: runs the jobs inside the
   * call. BUSY, and nothing has happened: other submissions are in flight.
   */
  runNow(jobs: readonly Job[]): CsStatus | Errno {
    if (this.#queue.length > 0) return 'BUSY';
    if (jobs.length === 0 || jobs.length > JOBS_PER_CS_MAX) return SUBMISSION_ERRORS.jobs.errno;
    const prepared: PreparedJob[] = [];
    for (const job of jobs) {
      const one = prepareJob(this.#memory, job);
      if (typeof one === 'string') return one;
      prepared.push(one);
    }
    const sequence = ++this.#lastSequence;
    for (const job of prepared) {
      if (job.run() === undefined) continue;
      this.#remember(sequence, 'ABORTED');
      this.#observer?.faulted(sequence);
      return 'ABORTED';
    }
    return 'COMPLETED';
  }

  /**
   * How submission `sequence` stands, waiting up to `timeoutUs` microseconds for its end. EINVAL: no
   * such submission; EAGAIN: `CS_WAITS_MAX` waits are pending; EIO: rolled back by a reset; ETIMEDOUT:
   * given up.
   */
  async wait(sequence: number, timeoutUs: number): Promise<CsStatus | Errno> {
    const found = await this.waitAny([sequence], timeoutUs);
    return typeof found === 'string' ? found : found.status;
  }

  /** As `wait`, until any of 1 to `MULTI_CS_MAX` submissions has ended. */
  async waitAny(sequences: readonly number[], timeoutUs: number): Promise<AnyEnded | Errno> {
    if (sequences.length === 0 || sequences.length > MULTI_CS_MAX) {
      return SUBMISSION_ERRORS.unknown.errno;
    }
    const now = this.#endedOf(sequences);
    if (typeof now === 'string' || now.completedMask !== 0 || timeoutUs === 0) return now;
    if (this.#waitCount >= CS_WAITS_MAX) return SUBMISSION_ERRORS.waits.errno;
    this.#waitCount++;
    await this.#anyEnding(sequences, timeoutUs / 1000);
    this.#waitCount--;
    const then = this.#endedOf(sequences);
    if (typeof then === 'string' || then.completedMask !== 0) return then;
    return { status: 'TIMEDOUT', completedMask: 0 };
  }

  /** Ends every submission in flight, between two jobs. */
  abortAll(failure: CsFailure = 'ABORTED'): void {
    this.#cancelTimeout();
    for (const submission of this.#queue.splice(0)) this.#end(submission, failure);
  }

  /** What is known without waiting. */
  #endedOf(sequences: readonly number[]): AnyEnded | Errno {
    let completedMask = 0;
    let status: CsStatus = 'BUSY';
    for (const [index, sequence] of sequences.entries()) {
      const outcome = this.#outcomeOf(sequence);
      if (outcome === 'BUSY') continue;
      if (outcome !== 'COMPLETED' && outcome !== 'ABORTED') return outcome;
      completedMask += 2 ** index;
      if (status !== 'ABORTED') status = outcome;
    }
    return { status, completedMask };
  }

  #outcomeOf(sequence: number): 'BUSY' | 'COMPLETED' | CsFailure | Errno {
    if (this.#queue.some((one) => one.sequence === sequence)) return 'BUSY';
    const unknown = SUBMISSION_ERRORS.unknown.errno;
    if (sequence < 1 || sequence > this.#lastSequence) return unknown;
    const failure = this.#failed.get(sequence);
    if (failure !== undefined) return failure;
    return sequence <= this.#forgottenThrough ? unknown : 'COMPLETED';
  }

  /** Resolves when one of the submissions, all of them in the queue, ends, or after `timeoutMs`. */
  #anyEnding(sequences: readonly number[], timeoutMs: number): Promise<void> {
    const wanted = new Set(sequences);
    const fences = this.#queue.filter((one) => wanted.has(one.sequence)).map((one) => one.fence);
    return new Promise((resolve) => {
      const finish = () => {
        cancel();
        for (const fence of fences) dma_fence_remove_callback(fence, finish);
        resolve();
      };
      const cancel = this.#scheduler.after(timeoutMs, finish);
      for (const fence of fences) {
        const errno = dma_fence_add_callback(fence, finish);
        assert(errno === undefined, 'Expected the fence of a queued submission to be unsignaled');
      }
    });
  }

  #schedule(): void {
    this.#engine = 'scheduled';
    const { clock } = this.#scheduler;
    if (clock.now() - this.#sliceStartMs < EXECUTION_SLICE_MS) {
      this.#scheduler.soon(() => this.#runOneJob());
      return;
    }
    this.#scheduler.after(0, () => {
      this.#sliceStartMs = clock.now();
      this.#runOneJob();
    });
  }

  #runOneJob(): void {
    this.#engine = 'idle';
    const submission = this.#queue[0];
    if (submission === undefined) return;
    const errno = submission.jobs[submission.next]?.run();
    submission.next++;
    if (errno !== undefined || submission.next === submission.jobs.length) {
      this.#endFirst(submission, errno === undefined ? undefined : 'ABORTED');
      if (errno !== undefined) this.#observer?.faulted(submission.sequence);
    }
    if (this.#queue.length > 0 && this.#engine === 'idle') this.#schedule();
  }

  #endFirst(submission: Submission, failure: CsFailure | undefined): void {
    assert(this.#queue.shift() === submission, 'Expected submissions to end in their order');
    this.#watchFirst();
    this.#end(submission, failure);
  }

  /** The kernel's TDR work: looks after the submission that the device is at. */
  #watchFirst(): void {
    this.#cancelTimeout();
    const first = this.#queue[0];
    if (first === undefined) return;
    this.#cancelTimeout = this.#scheduler.after(first.timeoutMs, () => {
      this.#endFirst(first, 'ETIMEDOUT');
      this.#observer?.timedOut(first.sequence);
    });
  }

  #end(submission: Submission, failure: CsFailure | undefined): void {
    if (failure !== undefined) {
      this.#remember(submission.sequence, failure);
      dma_fence_set_error(submission.fence, failure === 'ABORTED' ? 'EIO' : failure);
    }
    dma_fence_signal(submission.fence);
  }

  #remember(sequence: number, failure: CsFailure): void {
    this.#failed.set(sequence, failure);
    if (this.#failed.size <= CS_ABORTS_REMEMBERED) return;
    const [oldest] = this.#failed.keys();
    assert(oldest !== undefined, 'Expected an oldest failed submission');
    this.#failed.delete(oldest);
    this.#forgottenThrough = oldest;
  }
}
