/** How a file says that it cannot be read. */
import { HlsimError } from '../../common/errors.ts';

/** `sentence` as in `Expected ... but found ...`; `line` counts from 1. */
export function unreadable(line: number, sentence: string, cause?: unknown): HlsimError {
  return new HlsimError('HLSIM_PROGRAM_UNREADABLE', `${sentence} on line ${line} of the schedule`, {
    fields: { line },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Text of a file in a message: short, on one line, in quotes. */
export function quoted(text: string): string {
  const QUOTED_MAX = 40;
  return JSON.stringify(text.length > QUOTED_MAX ? `${text.slice(0, QUOTED_MAX)}...` : text);
}
