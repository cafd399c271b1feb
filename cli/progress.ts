/** `--progress`: who moves the bytes of a job's collectives where they go over links. */
import { PROGRESS_MODES, PROGRESS_VARIABLE, type ProgressMode } from '../node/hccl/settings.ts';
import { optional } from './flags.ts';
import { oneOf } from './readers.ts';

export const progressFlag = optional({
  name: 'progress',
  value: `<${PROGRESS_MODES.join('|')}>`,
  description:
    "who moves the bytes of collectives over ws: manual, the program's own thread in its calls; auto, its host's thread while the program goes on",
  reader: oneOf(PROGRESS_MODES),
  environment: PROGRESS_VARIABLE,
});

/** The variable that says so to every rank. */
export function progressEnvironment({
  progress,
}: {
  readonly progress: ProgressMode | undefined;
}): Record<string, string> {
  return progress === undefined ? {} : { [PROGRESS_VARIABLE]: progress };
}
