/**
 * Long work in short submissions. What is submitted at once the device runs without a break for anything
 * else, and a host's device, NIC and engine share a thread: between two submissions the engine gets its
 * turn, so that what is on the wire goes on. Pure.
 */
import type { Job } from '../node/device/job.ts';

/** Multiply-adds of one submission, about half a millisecond. A single job may have as many, or more. */
export const SUBMISSION_WORK = 2 ** 21;

/** The jobs in their order, cut so that none does more than `SUBMISSION_WORK`, or is a single job. */
export function submissionsOf(jobs: readonly Job[]): readonly (readonly Job[])[] {
  const submissions: Job[][] = [];
  let work = Number.POSITIVE_INFINITY;
  for (const job of jobs) {
    work += workOf(job);
    if (work > SUBMISSION_WORK) {
      submissions.push([]);
      work = workOf(job);
    }
    submissions.at(-1)?.push(job);
  }
  return submissions;
}

/** Multiply-adds of a product of matrices; of anything else, bytes of what it writes. */
function workOf(job: Job): number {
  if (job.kind === 'dma') return job.bytes;
  const { kernel, scalars, tensors } = job;
  if (kernel !== 'matmul_f32') return tensors[0]?.bytes ?? 0;
  const [m = 0, k = 0, n = 0] = scalars;
  return m * k * n;
}
