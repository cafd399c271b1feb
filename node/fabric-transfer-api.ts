/**
 * Messages of user programs (fi_msg(3), fi_tagged(3)). They answer FI_EAGAIN as a value, and nothing
 * has happened: try again after `waitForProgress`. A buffer of the process's own memory may be reused
 * at once up to the `inject_size` of fi_getinfo; else when the operation has completed.
 */
import { FI_ADDR_UNSPEC, type FiAddr, type FiErrno } from './fabric/fabric.ts';
import type { FiFlag } from './fabric/flags.ts';
import {
  attempt,
  demand,
  type FabricBuffer,
  type FabricEndpoint,
  type FabricRange,
  numbered,
} from './fabric-answer.ts';
import type { SystemCallChannel } from './process/system-call.ts';

type Posted = Promise<FiErrno | undefined>;

/** `struct fi_msg`, to send. */
export interface FabricMsg {
  readonly buffer: FabricBuffer;
  readonly dest: FiAddr;
  readonly context: number;
  /** 32 bit, with FI_REMOTE_CQ_DATA. */
  readonly data?: number;
}

/** `struct fi_msg`, to receive; FI_ADDR_UNSPEC, from anybody, by default. */
export interface FabricReceiveMsg {
  readonly buffer: FabricBuffer;
  readonly source?: FiAddr;
  readonly context: number;
}

export function fi_send(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  buffer: FabricBuffer,
  dest: FiAddr,
  context: number,
): Posted {
  return send(channel, 'fi_sendmsg', endpoint, { buffer, dest, context });
}

/** As fi_send; the receive completes with `data` (32 bit). */
export function fi_senddata(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  buffer: FabricBuffer,
  data: number,
  dest: FiAddr,
  context: number,
): Posted {
  return send(channel, 'fi_sendmsg', endpoint, { buffer, dest, context, data });
}

/** FI_EBADFLAGS, FI_EOPNOTSUPP: flags that sending does not take. */
export function fi_sendmsg(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  message: FabricMsg,
  flags: readonly FiFlag[],
): Posted {
  return send(channel, 'fi_sendmsg', endpoint, { ...message, flags });
}

/** Without an entry unless it fails; the memory may be reused at once. FI_EMSGSIZE: too long. */
export function fi_inject(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  { address, length }: FabricRange,
  dest: FiAddr,
): Posted {
  const argument = { endpoint: endpoint.fid, buffer: { address, length }, dest };
  return attempt(channel, 'fi_inject', argument);
}

export function fi_recv(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  buffer: FabricBuffer,
  source: FiAddr,
  context: number,
): Posted {
  return receive(channel, 'fi_recvmsg', endpoint, { buffer, source, context });
}

export function fi_recvmsg(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  message: FabricReceiveMsg,
  flags: readonly FiFlag[],
): Posted {
  return receive(channel, 'fi_recvmsg', endpoint, { ...message, flags });
}

export function fi_tsend(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  buffer: FabricBuffer,
  dest: FiAddr,
  tag: bigint,
  context: number,
): Posted {
  return send(channel, 'fi_tsendmsg', endpoint, { buffer, dest, tag, context });
}

/** As fi_tsend; the receive completes with `data` (32 bit). */
export function fi_tsenddata(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  buffer: FabricBuffer,
  data: number,
  dest: FiAddr,
  tag: bigint,
  context: number,
): Posted {
  return send(channel, 'fi_tsendmsg', endpoint, { buffer, dest, tag, context, data });
}

export function fi_tsendmsg(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  message: FabricMsg & { readonly tag: bigint },
  flags: readonly FiFlag[],
): Posted {
  return send(channel, 'fi_tsendmsg', endpoint, { ...message, flags });
}

/** As fi_inject. */
export function fi_tinject(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  { address, length }: FabricRange,
  dest: FiAddr,
  tag: bigint,
): Posted {
  const argument = { endpoint: endpoint.fid, buffer: { address, length }, dest, tag };
  return attempt(channel, 'fi_tinject', argument);
}

/** Posts a receive for messages with `tag`, bits in `ignore` aside. */
export function fi_trecv(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  buffer: FabricBuffer,
  source: FiAddr,
  tag: bigint,
  ignore: bigint,
  context: number,
): Posted {
  return receive(channel, 'fi_trecvmsg', endpoint, { buffer, source, tag, ignore, context });
}

/** With FI_PEEK, FI_CLAIM and FI_DISCARD a look at what has come: see fi_tagged(3). */
export function fi_trecvmsg(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  message: FabricReceiveMsg & { readonly tag: bigint; readonly ignore?: bigint },
  flags: readonly FiFlag[],
): Posted {
  return receive(channel, 'fi_trecvmsg', endpoint, { ignore: 0n, ...message, flags });
}

/** Cancels the oldest posted receive with this context: it ends with FI_ECANCELED. */
export function fi_cancel(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  context: number,
): Promise<void> {
  return demand(channel, 'fi_cancel', { endpoint: endpoint.fid, context });
}

function send(
  channel: SystemCallChannel,
  name: string,
  { fid }: FabricEndpoint,
  { buffer, ...rest }: FabricMsg & { readonly tag?: bigint; readonly flags?: readonly FiFlag[] },
): Posted {
  return attempt(channel, name, { endpoint: fid, buffer: numbered(buffer), ...rest });
}

interface ReceiveOptions {
  readonly tag?: bigint;
  readonly ignore?: bigint;
  readonly flags?: readonly FiFlag[];
}

function receive(
  channel: SystemCallChannel,
  name: string,
  { fid }: FabricEndpoint,
  { buffer, ...rest }: FabricReceiveMsg & ReceiveOptions,
): Posted {
  const message = { source: FI_ADDR_UNSPEC, ...rest };
  return attempt(channel, name, { endpoint: fid, buffer: numbered(buffer), ...message });
}
