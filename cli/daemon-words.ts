/** What a daemon says to its launcher: one line of JSON when it is ready, one line when it fails. */
import { HlsimError, isErrorCode } from '../common/errors.ts';

/** Lines of a dead daemon's log that go into the error. */
const LAST_LINES = 3;

/**
 * @throws HlsimError `HLSIM_PROTOCOL_ERROR` if the line is not a JSON object
 */
export function parseReadyLine(name: string, line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Reported below, together with JSON of another kind.
  }
  throw new HlsimError(
    'HLSIM_PROTOCOL_ERROR',
    `Expected the ${name} to say that it is ready in one line of JSON but found ${JSON.stringify(line)}`,
  );
}

/**
 * The address in the coordinator's ready line.
 *
 * @throws HlsimError `HLSIM_PROTOCOL_ERROR`
 */
export function readyUrl(line: Readonly<Record<string, unknown>>): string {
  const url = line['url'];
  if (typeof url === 'string') return url;
  throw new HlsimError(
    'HLSIM_PROTOCOL_ERROR',
    `Expected the coordinator to say its url when it is ready but found ${JSON.stringify(line)}`,
  );
}

/** Why a daemon ended before it was ready: its own last line if it has the form of `failure.ts`. */
export function deathError(name: string, how: string, log: readonly string[]): HlsimError {
  const said = /^hlsim: (.*) \[(HLSIM_[A-Z_]+)\]$/.exec(log.at(-1) ?? '');
  if (said !== null && isErrorCode(said[2])) {
    return new HlsimError(said[2], `The ${name} did not start: ${said[1]}`);
  }
  return new HlsimError(
    'HLSIM_CLUSTER_INCOMPLETE',
    `Expected the ${name} to start but it ended with ${how}${lastWords(log)}`,
  );
}

export function lateError(name: string, deadlineMs: number, log: readonly string[]): HlsimError {
  return new HlsimError(
    'HLSIM_TIMEOUT',
    `Expected the ${name} to be ready after ${deadlineMs} ms but it is not${lastWords(log)}`,
  );
}

function lastWords(log: readonly string[]): string {
  const last = log.slice(-LAST_LINES).join(' | ');
  return last === '' ? '' : `; its last words: ${last}`;
}
