import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Job } from '../../node/device/job.ts';
import { SUBMISSION_WORK, submissionsOf } from '../../training/submissions.ts';

/** A product of matrices of `work` multiply-adds. */
function product(work: number): Job {
  return { kind: 'kernel', kernel: 'matmul_f32', tensors: [], scalars: [1, work, 1, 0, 0, 0] };
}

const workOf = (job: Job): number => (job.kind === 'kernel' ? (job.scalars[1] ?? 0) : 0);
const works = fc.array(fc.integer({ min: 1, max: 2 * SUBMISSION_WORK }), { maxLength: 40 });

describe('submissionsOf()', () => {
  it('keeps all jobs in their order, in submissions that are full and not too long', () => {
    fc.assert(
      fc.property(works, (all) => {
        const submissions = submissionsOf(all.map(product));
        expect(submissions.flat().map(workOf)).toEqual(all);
        const totals = submissions.map((jobs) => jobs.reduce((sum, job) => sum + workOf(job), 0));
        for (const [index, jobs] of submissions.entries()) {
          expect(jobs.length).toBeGreaterThan(0);
          if (jobs.length > 1) expect(totals[index]).toBeLessThanOrEqual(SUBMISSION_WORK);
          const next = submissions[index + 1]?.[0];
          if (next === undefined) continue;
          expect((totals[index] ?? 0) + workOf(next)).toBeGreaterThan(SUBMISSION_WORK);
        }
      }),
    );
  });
});
