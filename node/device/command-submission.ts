/**
 * Command submission: a context's queue of work for its device. Jobs run one after the other in
 * submission order, each in its own turn of the scheduler and never inside the submitting call. A
 * submission gets a sequence number, from 1, and a fence that signals when it has ended.
 */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import {
  type DmaFence,
  dma_fence_add_callback,
  dma_fence_init,
  dma_fence_remove_callback,
  dma_fence_set_error,
  dma_fence_signal,
  dma_resv_add_fence,
} from '../dmabuf/reservation.ts';
import { CS_IN_FLIGHT_MAX, type CsStatus, JOBS_PER_CS_MAX, type Job } from './job.ts';
import { type JobMemory, type PreparedJob, prepareJob } from './prepared-job.ts';

/** Waits of one context that may be pending at a time; one more fails with EAGAIN. */
export const CS_WAITS_MAX = 1024;
/** Aborted submissions that are remembered; of older ones nothing is known any more (EINVAL). */
export const CS_ABORTS_REMEMBERED = 1024;
/** How long the device may keep the host's thread before others (NIC, heartbeat) get a turn. */
const EXECUTION_SLICE_MS = 5;

interface Submission {
  readonly sequence: number;
  readonly jobs: readonly PreparedJob[];
  readonly fence: DmaFence;
  /** Index of the job to run next. */
  next: number;
}

export class CommandSubmissions {
  readonly #memory: JobMemory;
  readonly #scheduler: Scheduler;
  readonly #queue: Submission[] = [];
  readonly #aborted = new Set<number>();
  #forgottenThrough = 0;
  #lastSequence = 0;
  #waitCount = 0;
  #sliceStartMs = 0;
  #engine: 'idle' | 'scheduled' = 'idle';

  constructor(memory: JobMemory, scheduler: Scheduler) {
    this.#memory = memory;
    this.#scheduler = scheduler;
  }

  /** Submissions that have not ended. */
  get inFlightCount(): number {
    return this.#queue.length;
  }

  /**
   * Queues the jobs and returns their sequence number. EINVAL: no job, more than `JOBS_PER_CS_MAX`, or
   * one that makes no sense; EFAULT: an address that is not mapped; EAGAIN: `CS_IN_FLIGHT_MAX` are in
   * flight. A failure has no effect.
   */
  submit(jobs: readonly Job[]): number | Errno {
    if (jobs.length === 0 || jobs.length > JOBS_PER_CS_MAX) return 'EINVAL';
    if (this.#queue.length >= CS_IN_FLIGHT_MAX) return 'EAGAIN';
    const prepared: PreparedJob[] = [];
    for (const job of jobs) {
      const one = prepareJob(this.#memory, job);
      if (typeof one === 'string') return one;
      prepared.push(one);
    }
    const fence = dma_fence_init();
    const sequence = ++this.#lastSequence;
    showToExporters(prepared, fence);
    this.#queue.push({ sequence, jobs: prepared, fence, next: 0 });
    if (this.#engine === 'idle') {
      this.#sliceStartMs = this.#scheduler.clock.now();
      this.#schedule();
    }
    return sequence;
  }

  /**
   * How submission `sequence` stands, waiting up to `timeoutUs` microseconds for its end. EINVAL: no
   * such submission; EAGAIN: `CS_WAITS_MAX` waits are pending.
   */
  async wait(sequence: number, timeoutUs: number): Promise<CsStatus | Errno> {
    const submission = this.#queue.find((one) => one.sequence === sequence);
    if (submission === undefined) return this.#outcomeOf(sequence);
    if (timeoutUs === 0) return 'BUSY';
    if (this.#waitCount >= CS_WAITS_MAX) return 'EAGAIN';
    this.#waitCount++;
    const status = await this.#ending(submission.fence, timeoutUs / 1000);
    this.#waitCount--;
    return status;
  }

  /** Ends every submission in flight with EIO, between two jobs. */
  abortAll(): void {
    for (const submission of this.#queue.splice(0)) this.#end(submission, 'EIO');
  }

  #outcomeOf(sequence: number): CsStatus | Errno {
    if (sequence < 1 || sequence > this.#lastSequence) return 'EINVAL';
    if (this.#aborted.has(sequence)) return 'ABORTED';
    return sequence <= this.#forgottenThrough ? 'EINVAL' : 'COMPLETED';
  }

  #ending(fence: DmaFence, timeoutMs: number): Promise<CsStatus> {
    return new Promise((resolve) => {
      const signaled = () => {
        cancel();
        resolve(fence.error === undefined ? 'COMPLETED' : 'ABORTED');
      };
      const cancel = this.#scheduler.after(timeoutMs, () => {
        if (dma_fence_remove_callback(fence, signaled)) resolve('TIMEDOUT');
      });
      const errno = dma_fence_add_callback(fence, signaled);
      assert(errno === undefined, 'Expected the fence of a queued submission to be unsignaled');
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
      this.#queue.shift();
      this.#end(submission, errno);
    }
    if (this.#queue.length > 0 && this.#engine === 'idle') this.#schedule();
  }

  #end(submission: Submission, errno: Errno | undefined): void {
    if (errno !== undefined) {
      this.#remember(submission.sequence);
      dma_fence_set_error(submission.fence, errno);
    }
    dma_fence_signal(submission.fence);
  }

  #remember(sequence: number): void {
    this.#aborted.add(sequence);
    if (this.#aborted.size <= CS_ABORTS_REMEMBERED) return;
    const [oldest] = this.#aborted;
    assert(oldest !== undefined, 'Expected an oldest aborted submission');
    this.#aborted.delete(oldest);
    this.#forgottenThrough = oldest;
  }
}

/** Work on another device's memory shows in the dma-buf's reservation until it has ended. */
function showToExporters(jobs: readonly PreparedJob[], fence: DmaFence): void {
  for (const { ranges } of jobs) {
    for (const { mapping } of ranges) {
      if (mapping.kind !== 'import') continue;
      dma_resv_add_fence(mapping.attachment.dmaBuf.reservation, fence, 'BOOKKEEP');
    }
  }
}
