/** Tagged messages (fi_tagged(3)). Answers of every call: see `endpoint.ts`. */
import {
  FI_ADDR_UNSPEC,
  type FiAddr,
  type FiBuffer,
  type FiErrno,
  type FiReceiveBuffer,
} from './fabric.ts';
import { type FiFlag, flagsRefusal } from './flags.ts';
import type { FiMsg, FiReceiveMsg } from './msg.ts';
import type { FiEndpoint } from './rdm-endpoint.ts';
import { inject, sendWith } from './transmit.ts';

/** `struct fi_msg_tagged`, to send. */
export interface FiMsgTagged extends FiMsg {
  readonly tag: bigint;
}

/** `struct fi_msg_tagged`, to receive. */
export interface FiReceiveMsgTagged extends FiReceiveMsg {
  readonly tag: bigint;
  /** Bits of the tag that do not matter. */
  readonly ignore?: bigint;
}

/** Sends a tagged message. A `host` buffer up to `inject_size` may be reused at once. */
export function fi_tsend(
  endpoint: FiEndpoint,
  buffer: FiBuffer,
  dest: FiAddr,
  tag: bigint,
  context: unknown,
): FiErrno | undefined {
  const message = { buffer, dest, context };
  return sendWith(endpoint, { tagged: true, tag }, message, endpoint.defaults.transmit);
}

/** As fi_tsend; the receive completes with `data` (32 bit). */
export function fi_tsenddata(
  endpoint: FiEndpoint,
  buffer: FiBuffer,
  data: number,
  dest: FiAddr,
  tag: bigint,
  context: unknown,
): FiErrno | undefined {
  const message = { buffer, dest, context, data };
  const flags: readonly FiFlag[] = [...endpoint.defaults.transmit, 'FI_REMOTE_CQ_DATA'];
  return sendWith(endpoint, { tagged: true, tag }, message, flags);
}

/** As fi_inject. */
export function fi_tinject(
  endpoint: FiEndpoint,
  bytes: Uint8Array,
  dest: FiAddr,
  tag: bigint,
): FiErrno | undefined {
  return inject(endpoint, { tagged: true, tag }, bytes, dest, undefined);
}

/** As fi_tinject, with data. */
export function fi_tinjectdata(
  endpoint: FiEndpoint,
  bytes: Uint8Array,
  data: number,
  dest: FiAddr,
  tag: bigint,
): FiErrno | undefined {
  return inject(endpoint, { tagged: true, tag }, bytes, dest, data);
}

/** Sends with flags: `FLAGS_TAKEN.send`. */
export function fi_tsendmsg(
  endpoint: FiEndpoint,
  message: FiMsgTagged,
  flags: readonly FiFlag[],
): FiErrno | undefined {
  return sendWith(endpoint, { tagged: true, tag: message.tag }, message, flags);
}

/** Posts a receive for messages with `tag`, bits in `ignore` aside; else as fi_recv. */
export function fi_trecv(
  endpoint: FiEndpoint,
  buffer: FiReceiveBuffer,
  source: FiAddr = FI_ADDR_UNSPEC,
  tag = 0n,
  ignore = 0n,
  context?: unknown,
): FiErrno | undefined {
  const message = { buffer, source, tag, ignore, context };
  return fi_trecvmsg(endpoint, message, endpoint.defaults.receive);
}

/**
 * Posts a receive with flags: `FLAGS_TAKEN.trecv`. FI_PEEK looks for a message that is there and
 * completes with what it is, or with FI_ENOMSG; with FI_CLAIM too, the message is kept for a receive
 * with FI_CLAIM and the same context; with FI_DISCARD it is dropped. FI_CLAIM | FI_DISCARD drops a
 * claimed one. FI_EINVAL: this context has claimed nothing, or flags that exclude each other.
 */
export function fi_trecvmsg(
  endpoint: FiEndpoint,
  message: FiReceiveMsgTagged,
  flags: readonly FiFlag[],
): FiErrno | undefined {
  if (flags.length > 0) {
    const refusal = flagsRefusal('trecv', flags);
    if (refusal !== undefined) return refusal;
  }
  if (!endpoint.isEnabled) return 'FI_EOPBADSTATE';
  const error = receive(endpoint, message, flags);
  if (error === undefined) endpoint.receivePosted();
  return error;
}

function receive(
  endpoint: FiEndpoint,
  message: FiReceiveMsgTagged,
  flags: readonly FiFlag[],
): FiErrno | undefined {
  const { source = FI_ADDR_UNSPEC, ignore = 0n, context, buffer } = message;
  const tag = BigInt.asUintN(64, message.tag);
  const { receiver } = endpoint;
  const peeks = flags.includes('FI_PEEK');
  const claims = flags.includes('FI_CLAIM');
  const discards = flags.includes('FI_DISCARD');
  if (discards && peeks === claims) return 'FI_EINVAL';
  if (peeks) {
    if (claims && receiver.hasClaimed(context)) return 'FI_EINVAL';
    const other = discards ? 'discard' : 'peek';
    const action = claims ? 'claim' : other;
    receiver.peek({ tagged: true, source, tag, ignore, context, action });
    return undefined;
  }
  if (claims && discards) return receiver.discardClaimed(context);
  const isReported = endpoint.isReported('receive', flags);
  const posted = { tagged: true, source, tag, ignore, context, buffer, isReported };
  return claims ? receiver.receiveClaimed(posted) : receiver.post(posted);
}
