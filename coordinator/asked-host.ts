/** A host of which something was asked, about its devices or for a trace, and why it may never answer. */
import { HlsimError } from '../common/errors.ts';
import type { PeerId } from './effect.ts';
import type { Member } from './membership.ts';

export interface AskedHost {
  readonly peer: PeerId;
  readonly index: number;
  readonly hostname: string;
}

export function askedHost({ peer, entry }: Member): AskedHost {
  return { peer, index: entry.index, hostname: entry.hostname };
}

/** The failure of whoever waited for an answer of `host` in vain. */
export function silentHostError(
  { index, hostname }: AskedHost,
  timeoutMs: number,
  about = 'about its devices',
): HlsimError {
  return new HlsimError(
    'HLSIM_TIMEOUT',
    `Expected host ${index} (${hostname}) to answer ${about} within ${timeoutMs} ms but found nothing: look at its log`,
  );
}

/** The failure of whoever asks when `max` others wait already. */
export function tooManyError(what: string, max: number): HlsimError {
  return new HlsimError(
    'HLSIM_JOB_REFUSED',
    `Expected fewer than ${max} ${what} under way but found as many: try again later`,
  );
}
