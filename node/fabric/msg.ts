/** Untagged messages (fi_msg(3)). Answers of every call: see `endpoint.ts`. */
import {
  FI_ADDR_UNSPEC,
  type FiAddr,
  type FiBuffer,
  type FiErrno,
  type FiReceiveBuffer,
} from './fabric.ts';
import { type FiFlag, flagsRefusal } from './flags.ts';
import type { FiEndpoint } from './rdm-endpoint.ts';
import { inject, sendWith } from './transmit.ts';

const UNTAGGED = { tagged: false, tag: 0n } as const;

/** `struct fi_msg`, to send. */
export interface FiMsg {
  readonly buffer: FiBuffer;
  readonly dest: FiAddr;
  readonly context?: unknown;
  /** 32 bit, with FI_REMOTE_CQ_DATA. */
  readonly data?: number;
}

/** `struct fi_msg`, to receive. */
export interface FiReceiveMsg {
  readonly buffer: FiReceiveBuffer;
  /** FI_ADDR_UNSPEC, the default: from anybody. */
  readonly source?: FiAddr;
  readonly context?: unknown;
}

/** Sends a message. A `host` buffer up to `inject_size` may be reused at once. */
export function fi_send(
  endpoint: FiEndpoint,
  buffer: FiBuffer,
  dest: FiAddr,
  context: unknown,
): FiErrno | undefined {
  return sendWith(endpoint, UNTAGGED, { buffer, dest, context }, endpoint.defaults.transmit);
}

/** As fi_send; the receive completes with `data` (32 bit). */
export function fi_senddata(
  endpoint: FiEndpoint,
  buffer: FiBuffer,
  data: number,
  dest: FiAddr,
  context: unknown,
): FiErrno | undefined {
  const message = { buffer, dest, context, data };
  return sendWith(endpoint, UNTAGGED, message, [
    ...endpoint.defaults.transmit,
    'FI_REMOTE_CQ_DATA',
  ]);
}

/** Sends host memory, which may be reused at once, without an entry unless it fails. FI_EMSGSIZE: > `inject_size`. */
export function fi_inject(
  endpoint: FiEndpoint,
  bytes: Uint8Array,
  dest: FiAddr,
): FiErrno | undefined {
  return inject(endpoint, UNTAGGED, bytes, dest, undefined);
}

/** As fi_inject, with data. */
export function fi_injectdata(
  endpoint: FiEndpoint,
  bytes: Uint8Array,
  data: number,
  dest: FiAddr,
): FiErrno | undefined {
  return inject(endpoint, UNTAGGED, bytes, dest, data);
}

/** Sends with flags: `FLAGS_TAKEN.send`. */
export function fi_sendmsg(
  endpoint: FiEndpoint,
  message: FiMsg,
  flags: readonly FiFlag[],
): FiErrno | undefined {
  return sendWith(endpoint, UNTAGGED, message, flags);
}

/** Posts a receive, into host memory or a region. FI_EAGAIN: too many are posted. */
export function fi_recv(
  endpoint: FiEndpoint,
  buffer: FiReceiveBuffer,
  source: FiAddr,
  context: unknown,
): FiErrno | undefined {
  return fi_recvmsg(endpoint, { buffer, source, context }, endpoint.defaults.receive);
}

/** Posts a receive with flags: `FLAGS_TAKEN.recv`. */
export function fi_recvmsg(
  endpoint: FiEndpoint,
  { buffer, source = FI_ADDR_UNSPEC, context }: FiReceiveMsg,
  flags: readonly FiFlag[],
): FiErrno | undefined {
  const refusal = flagsRefusal('recv', flags);
  if (refusal !== undefined) return refusal;
  if (!endpoint.isEnabled) return 'FI_EOPBADSTATE';
  const isReported = endpoint.isReported('receive', flags);
  const receive = { ...UNTAGGED, ignore: 0n, source, buffer, context, isReported };
  const error = endpoint.receiver.post(receive);
  if (error === undefined) endpoint.receivePosted();
  return error;
}
