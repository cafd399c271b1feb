/**
 * Device work that HCCL launches, in order. Short work runs inside its launch, because waiting for it
 * would cost more than it does; the rest is submitted, and waited for, in batches.
 */
import { MiB } from '../../common/bytes.ts';
import { messageOf } from '../../common/errors.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import { hlthunk_command_submission, hlthunk_wait_for_cs } from '../device/hlthunk.ts';
import { hlthunk_run_now } from '../device/hlthunk-now.ts';
import type { CsStatus, Job } from '../device/job.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { type SystemCallChannel, SystemCallError } from '../process/system-call.ts';
import type { HcclFailure } from './failure.ts';

/** Time a kernel launched by HCCL may take. */
const COMPUTE_TIMEOUT_US = 30_000_000;
/** Pause before a submission that the device was too busy for is tried again. */
const SUBMIT_RETRY_MS = 1;
/** A job up to this size is run inside its launch: waiting for it would cost more than it does. */
const NOW_JOB_BYTES = 2 * MiB;
/** Bytes of jobs that are run inside one launch, and what follows from it, before others get a turn. */
const NOW_TURN_BYTES = 8 * MiB;
/** Jobs of one command submission. */
const JOBS_MAX = 512;

interface PendingJob {
  readonly job: Job;
  readonly done: () => void;
  readonly failed: (failure: HcclFailure) => void;
}

export interface DeviceQueueInit {
  readonly process: SimProcess;
  readonly channel: SystemCallChannel;
  readonly scheduler: Scheduler;
  readonly fd: number;
}

export class DeviceQueue {
  readonly #init: DeviceQueueInit;
  readonly #queue: PendingJob[] = [];
  /** Jobs launched and ended so far: they end in the order of their launch. */
  #launched = 0;
  #ended = 0;
  readonly #whenIdle: { readonly through: number; readonly resume: () => void }[] = [];
  #submission: 'idle' | 'scheduled' | 'running' = 'idle';

  constructor(init: DeviceQueueInit) {
    this.#init = init;
  }

  /** Launches device work; `done` or `failed` follows, for short work at once. */
  launch(job: Job, done: () => void, failed: (failure: HcclFailure) => void): void {
    this.#queue.push({ job, done, failed });
    this.#launched++;
    if (this.#submission !== 'idle') return;
    if (jobBytes(job) <= NOW_JOB_BYTES) this.#runNow();
    if (this.#queue.length === 0) return;
    this.#submission = 'scheduled';
    this.#init.scheduler.soon(() => void this.#submit());
  }

  /**
   * Runs what is queued, and what is launched by what has ended, inside the call, as long as it is short
   * and the device has nothing else to do.
   */
  #runNow(): void {
    this.#submission = 'running';
    let left = NOW_TURN_BYTES;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      left -= jobBytes(next.job);
      if (left < 0) break;
      const outcome = this.#outcomeNow(next.job);
      if (outcome === 'BUSY') break;
      this.#queue.shift();
      this.#noteEnded(1);
      if (outcome === 'COMPLETED') next.done();
      else next.failed(deviceFailure(outcome));
    }
    this.#submission = 'idle';
  }

  #outcomeNow(job: Job): CsStatus | Error {
    try {
      return hlthunk_run_now(this.#init.process, this.#init.fd, [job]);
    } catch (reason) {
      return reason as Error;
    }
  }

  #noteEnded(jobs: number): void {
    this.#ended += jobs;
    while ((this.#whenIdle[0]?.through ?? Number.POSITIVE_INFINITY) <= this.#ended)
      this.#whenIdle.shift()?.resume();
  }

  /**
   * Resolves when no device work that was launched here before is queued or running. Does not wait
   * for what another communicator launches later.
   */
  idle(): Promise<void> {
    if (this.#ended === this.#launched) return Promise.resolve();
    const through = this.#launched;
    return new Promise((resume) => this.#whenIdle.push({ through, resume }));
  }

  /** Submits what is queued, in one command submission at a time, until nothing is left. */
  async #submit(): Promise<void> {
    this.#submission = 'running';
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, JOBS_MAX);
      await this.#run(batch);
      this.#noteEnded(batch.length);
    }
    this.#submission = 'idle';
  }

  /** Never rejects. A refused submission has had no effect: then each job goes alone, and fails alone. */
  async #run(batch: readonly PendingJob[]): Promise<void> {
    const jobs = batch.map(({ job }) => job);
    const { channel } = this.#init;
    const sequence = await this.#unlessBusy(() =>
      hlthunk_command_submission(channel, this.#init.fd, jobs),
    );
    if (sequence instanceof SystemCallError && isRefusal(sequence) && batch.length > 1) {
      for (const one of batch) await this.#run([one]);
      return;
    }
    const failure = typeof sequence === 'number' ? await this.#end(sequence) : sequence;
    for (const pending of batch) {
      if (failure === undefined) pending.done();
      else pending.failed(deviceFailure(failure));
    }
  }

  /** Waits for the end of a submission; why it did not end well. Never rejects. */
  async #end(sequence: number): Promise<Error | CsStatus | undefined> {
    const { channel } = this.#init;
    const status = await this.#unlessBusy(() =>
      hlthunk_wait_for_cs(channel, this.#init.fd, sequence, COMPUTE_TIMEOUT_US),
    );
    return status === 'COMPLETED' ? undefined : status;
  }

  /** Makes a call of the driver, again while it is too busy (EAGAIN). Never rejects. */
  async #unlessBusy<T>(call: () => Promise<T>): Promise<T | Error> {
    const { scheduler } = this.#init;
    const deadline = scheduler.clock.now() + COMPUTE_TIMEOUT_US / 1000;
    for (;;) {
      try {
        return await call();
      } catch (reason) {
        const busy = reason instanceof SystemCallError && reason.code === 'EAGAIN';
        if (!busy || scheduler.clock.now() >= deadline) return reason as Error;
        await new Promise<void>((resume) => scheduler.after(SUBMIT_RETRY_MS, resume));
      }
    }
  }
}

/** A job of the submission makes no sense, or has an address that is not mapped. */
function isRefusal({ code }: SystemCallError): boolean {
  return code === 'EINVAL' || code === 'EFAULT';
}

function deviceFailure(reason: Error | CsStatus): HcclFailure {
  if (typeof reason !== 'string')
    return { result: 'hcclUnhandledSynapseError', message: messageOf(reason) };
  const message = `Expected device work to complete but found ${reason}`;
  return { result: 'hcclStreamError', message };
}

/** Bytes that a job reads and writes. */
function jobBytes(job: Job): number {
  if (job.kind === 'dma') return 2 * job.bytes;
  let bytes = 0;
  for (const tensor of job.tensors) bytes += tensor.bytes;
  return bytes;
}
