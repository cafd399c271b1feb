/** A program that cannot go on has no time: a failure, whatever else was predicted. */
import { HlsimError } from '../common/errors.ts';
import type { CaseResult } from './predict-run.ts';

/** @throws HlsimError `HLSIM_SCHEDULE_REFUTED` for the first row that is stuck */
export function expectNoneStuck(results: readonly CaseResult[]): void {
  for (const { settings, sections } of results) {
    for (const { outcome, algorithm, nranks } of sections.flatMap(({ rows }) => rows)) {
      if (outcome.kind !== 'stuck') continue;
      const { doneSlices, allSlices, waiting } = outcome;
      throw new HlsimError(
        'HLSIM_SCHEDULE_REFUTED',
        `Expected ${algorithm} on ${nranks} ranks to end with ${settings.slots} slots a connection but nothing goes on ` +
          `after ${doneSlices} of ${allSlices} slices: ${waiting.join('; ')}; give it more slots`,
        { fields: { ...outcome } },
      );
    }
  }
}
