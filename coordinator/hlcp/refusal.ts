/** Between an `HlsimError` and the `failure` that carries it in a message. */
import { HlsimError, isErrorCode } from '../../common/errors.ts';
import type { Failure } from './messages.ts';

/** What of an error travels: its code and its message. */
export function failureOf(error: HlsimError): Failure {
  return { code: error.code, message: error.message };
}

/** The error again, at the other end. A code that this version does not know keeps its name. */
export function errorOf(failure: Failure): HlsimError {
  if (isErrorCode(failure.code)) return new HlsimError(failure.code, failure.message);
  return new HlsimError('HLSIM_PROTOCOL_ERROR', `${failure.code}: ${failure.message}`);
}

/** The coordinator's last word to a peer. */
export function refusedMessage(error: HlsimError): {
  readonly type: 'HLCP_REFUSED';
  readonly failure: Failure;
} {
  return { type: 'HLCP_REFUSED', failure: failureOf(error) };
}

/**
 * Why a dialling side's connection ended: the coordinator's own words if it refused something, else
 * `cause`.
 */
export function reasonOfEnd(
  cause: HlsimError,
  last: { readonly type: string; readonly failure?: Failure | undefined } | undefined,
): HlsimError {
  return last?.type === 'HLCP_REFUSED' && last.failure !== undefined
    ? errorOf(last.failure)
    : cause;
}
