/**
 * The calls on endpoints (`struct fid_ep`; fi_endpoint(3), fi_msg(3), fi_tagged(3), fi_rma(3)). They
 * return `undefined` where C returns 0. FI_EAGAIN means that nothing has happened: try again after
 * `onProgress`.
 *
 * Further answers of every call that posts: FI_EOPBADSTATE before fi_enable or after fi_close;
 * FI_EINVAL for an address that the vector does not have; after a peer is lost, the error it is lost
 * with (FI_EHOSTUNREACH, FI_EIO, FI_ECANCELED).
 */
import { FiAv } from './av.ts';
import type { FiCq } from './cq.ts';
import type { FiDomain } from './domain.ts';
import {
  FI_ADDR_UNSPEC,
  type FiAddr,
  type FiBuffer,
  type FiEndpointCounters,
  type FiErrno,
  type FiInfo,
  type FiMrBuffer,
} from './fabric.ts';
import { FiEndpoint, type FiEndpointInit } from './rdm-endpoint.ts';

export type { FiEndpoint, FiEndpointInit } from './rdm-endpoint.ts';

/** Makes an endpoint, disabled. FI_EINVAL: not of type FI_EP_RDM. */
export function fi_endpoint(
  domain: FiDomain,
  info: FiInfo,
  init: FiEndpointInit,
): FiEndpoint | FiErrno {
  if (info.ep_attr.type !== 'FI_EP_RDM') return 'FI_EINVAL';
  return new FiEndpoint(domain, init);
}

/** Binds the address vector or the completion queue. FI_EOPBADSTATE: enabled, or bound already. */
export function fi_ep_bind(endpoint: FiEndpoint, object: FiAv | FiCq): FiErrno | undefined {
  return object instanceof FiAv ? endpoint.bindAv(object) : endpoint.bindCq(object);
}

/** Begins to connect to every peer. FI_ENOAV, FI_ENOCQ: not bound; FI_EOPBADSTATE: enabled. */
export function fi_enable(endpoint: FiEndpoint): FiErrno | undefined {
  return endpoint.enable();
}

/** The name under which peers insert this endpoint. */
export function fi_getname(endpoint: FiEndpoint): Uint8Array {
  return endpoint.name;
}

/** Sends a message. FI_EMSGSIZE: longer than `inject_size`. A `host` buffer may be reused at once. */
export function fi_send(
  endpoint: FiEndpoint,
  buffer: FiBuffer,
  dest: FiAddr,
  context: unknown,
): FiErrno | undefined {
  return endpoint.send({ tagged: false, tag: 0n }, buffer, dest, context);
}

/** Sends a tagged message; else as fi_send. */
export function fi_tsend(
  endpoint: FiEndpoint,
  buffer: FiBuffer,
  dest: FiAddr,
  tag: bigint,
  context: unknown,
): FiErrno | undefined {
  return endpoint.send({ tagged: true, tag }, buffer, dest, context);
}

/** Posts a receive into host memory, for untagged messages. FI_EAGAIN: too many are posted. */
export function fi_recv(
  endpoint: FiEndpoint,
  bytes: Uint8Array,
  source: FiAddr,
  context: unknown,
): FiErrno | undefined {
  return endpoint.receive({ bytes, tagged: false, source, tag: 0n, ignore: 0n, context });
}

/** Posts a receive for messages with `tag`, bits in `ignore` aside; else as fi_recv. */
export function fi_trecv(
  endpoint: FiEndpoint,
  bytes: Uint8Array,
  source: FiAddr = FI_ADDR_UNSPEC,
  tag = 0n,
  ignore = 0n,
  context?: unknown,
): FiErrno | undefined {
  return endpoint.receive({ bytes, tagged: true, source, tag, ignore, context });
}

/** Writes into the peer's region `key`, which nobody there is told. */
export function fi_write(
  endpoint: FiEndpoint,
  local: FiMrBuffer,
  dest: FiAddr,
  remoteAddress: number,
  key: bigint,
  context: unknown,
): FiErrno | undefined {
  const remote = { dest, remoteAddress, key };
  return endpoint.rma({ kind: 'write', local, remote, context });
}

/** As fi_write; the peer gets a `remoteWriteData` completion with `data` (32 bit) behind the bytes. */
export function fi_writedata(
  endpoint: FiEndpoint,
  local: FiMrBuffer,
  data: number,
  dest: FiAddr,
  remoteAddress: number,
  key: bigint,
  context: unknown,
): FiErrno | undefined {
  const remote = { dest, remoteAddress, key };
  return endpoint.rma({ kind: 'write', local, remote, context, data });
}

/** Reads from the peer's region `key` into `local`. */
export function fi_read(
  endpoint: FiEndpoint,
  local: FiMrBuffer,
  dest: FiAddr,
  remoteAddress: number,
  key: bigint,
  context: unknown,
): FiErrno | undefined {
  const remote = { dest, remoteAddress, key };
  return endpoint.rma({ kind: 'read', local, remote, context });
}

/**
 * Cancels the oldest posted receive with this context: it ends with FI_ECANCELED. If there is none,
 * or it is not a receive, the operation completes as it would have.
 */
export function fi_cancel(endpoint: FiEndpoint, context: unknown): undefined {
  endpoint.cancel(context);
}

/** Traffic so far. */
export function fi_ep_counters(endpoint: FiEndpoint): FiEndpointCounters {
  return endpoint.counters;
}
