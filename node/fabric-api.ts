/**
 * libfabric for user programs: the names of C, with the process's channel first. The library runs in
 * the host process (`fabric-calls.ts`); a call here is a message to it.
 *
 * Calls that make, bind or close objects throw `FabricError` where C returns `-FI_E…`. Calls that move
 * data or read completions give the `FI_E…` as a value, since FI_EAGAIN is part of everyday life; after
 * it, `waitForProgress`. Contexts of operations are integers of at least 0; memory is named by address
 * in the process (`hostMemoryAlloc`) or lies in a registered region.
 */
import { environmentVariable } from '../common/environment.ts';
import type { fi_cq_open as openCq } from './fabric/cq.ts';
import type { FiBindFlag } from './fabric/endpoint.ts';
import type { FiAddr, Fid, FiInfo, FiMrAttr } from './fabric/fabric.ts';
import type { FiMrFlag } from './fabric/mr-types.ts';
import {
  demand,
  type FabricAv,
  type FabricCntr,
  type FabricCq,
  type FabricDomain,
  type FabricEndpoint,
  type FabricEq,
  type FabricFabric,
  type FabricMr,
  type FabricObject,
  type FabricRange,
} from './fabric-answer.ts';
import type { SystemCallChannel } from './process/system-call.ts';

/** Which fields of its entries a program wants. */
type FiCqFormat = NonNullable<Parameters<typeof openCq>[1]['format']>;

/** `struct fi_mr_attr` of a user: own memory is named by address, and reached from `base_addr` on. */
export interface FabricMrAttr extends Omit<FiMrAttr, 'host'> {
  readonly host?: FabricRange & { readonly base_addr: number };
}

/** FI_ENODATA: not what the hints and FI_PROVIDER of the environment ask for. */
export function fi_getinfo(channel: SystemCallChannel, hints?: FiInfo): Promise<FiInfo[]> {
  const providers = environmentVariable('FI_PROVIDER');
  const argument = hints === undefined ? {} : { hints };
  return demand(
    channel,
    'fi_getinfo',
    providers === undefined ? argument : { ...argument, providers },
  );
}

export function fi_fabric(channel: SystemCallChannel, info: FiInfo): Promise<FabricFabric> {
  return open(channel, 'fi_fabric', 'FI_CLASS_FABRIC', { info });
}

/** Opens the host's NIC. It closes with the process. FI_EINVAL. */
export function fi_domain(
  channel: SystemCallChannel,
  fabric: FabricFabric,
  info: FiInfo,
): Promise<FabricDomain> {
  return open(channel, 'fi_domain', 'FI_CLASS_DOMAIN', { fabric: fabric.fid, info });
}

export function fi_av_open(channel: SystemCallChannel, domain: FabricDomain): Promise<FabricAv> {
  return open(channel, 'fi_av_open', 'FI_CLASS_AV', { domain: domain.fid });
}

/** Addresses for names, in order; FI_ADDR_NOTAVAIL for bytes that are no name. */
export function fi_av_insert(
  channel: SystemCallChannel,
  av: FabricAv,
  names: readonly Uint8Array[],
): Promise<FiAddr[]> {
  return demand(channel, 'fi_av_insert', { av: av.fid, names });
}

/** Operations to that peer end with FI_ECANCELED. FI_EINVAL: no such address. */
export function fi_av_remove(
  channel: SystemCallChannel,
  av: FabricAv,
  address: FiAddr,
): Promise<void> {
  return demand(channel, 'fi_av_remove', { av: av.fid, address });
}

/** The name behind an address. FI_EINVAL: no such address. */
export function fi_av_lookup(
  channel: SystemCallChannel,
  av: FabricAv,
  address: FiAddr,
): Promise<Uint8Array> {
  return demand(channel, 'fi_av_lookup', { av: av.fid, address });
}

/** A queue for `size` completions; 0 takes the default. FI_EINVAL. */
export function fi_cq_open(
  channel: SystemCallChannel,
  domain: FabricDomain,
  size: number,
  format: FiCqFormat = 'FI_CQ_FORMAT_TAGGED',
): Promise<FabricCq> {
  return open(channel, 'fi_cq_open', 'FI_CLASS_CQ', { domain: domain.fid, size, format });
}

/** A counter at 0. */
export function fi_cntr_open(
  channel: SystemCallChannel,
  domain: FabricDomain,
): Promise<FabricCntr> {
  return open(channel, 'fi_cntr_open', 'FI_CLASS_CNTR', { domain: domain.fid });
}

/** An event queue; 0 takes the default size. FI_EINVAL; FI_EBADFLAGS. */
export function fi_eq_open(
  channel: SystemCallChannel,
  fabric: FabricFabric,
  size = 0,
  flags: readonly 'FI_WRITE'[] = [],
): Promise<FabricEq> {
  return open(channel, 'fi_eq_open', 'FI_CLASS_EQ', { fabric: fabric.fid, size, flags });
}

/** An endpoint, disabled. Both ends of a connection must name the same `epoch`. FI_EINVAL. */
export function fi_endpoint(
  channel: SystemCallChannel,
  domain: FabricDomain,
  info: FiInfo,
  epoch = 0,
): Promise<FabricEndpoint> {
  return open(channel, 'fi_endpoint', 'FI_CLASS_EP', { domain: domain.fid, info, epoch });
}

/**
 * Without flags a queue is bound for both directions. FI_EOPBADSTATE: enabled, or bound already;
 * FI_EBADFLAGS: flags that the object does not take; FI_EDOMAIN: objects of two domains.
 */
export function fi_ep_bind(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  object: FabricAv | FabricCq | FabricCntr | FabricEq,
  flags?: readonly FiBindFlag[],
): Promise<void> {
  const argument = { endpoint: endpoint.fid, object: object.fid };
  return demand(channel, 'fi_ep_bind', flags === undefined ? argument : { ...argument, flags });
}

/** Begins to connect to every peer. FI_ENOAV, FI_ENOCQ: not bound; FI_EOPBADSTATE: enabled. */
export function fi_enable(channel: SystemCallChannel, endpoint: FabricEndpoint): Promise<void> {
  return demand(channel, 'fi_enable', { endpoint: endpoint.fid });
}

/** The name under which peers insert this endpoint. */
export function fi_getname(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
): Promise<Uint8Array> {
  return demand(channel, 'fi_getname', { endpoint: endpoint.fid });
}

/**
 * Registers memory: with FI_MR_DMABUF part of a dma-buf, one of this process's descriptors; else bytes
 * of this process. FI_EINVAL, FI_EBADFLAGS, FI_ENOSYS and others.
 */
export async function fi_mr_regattr(
  channel: SystemCallChannel,
  domain: FabricDomain,
  attr: FabricMrAttr,
  flags: readonly FiMrFlag[],
): Promise<FabricMr> {
  const argument = { domain: domain.fid, attr, flags };
  const made = await demand<Omit<FabricMr, 'fclass'>>(channel, 'fi_mr_regattr', argument);
  return { fclass: 'FI_CLASS_MR', ...made };
}

/** FI_EBUSY, and nothing has changed: other objects still depend on it. */
export function fi_close(
  channel: SystemCallChannel,
  object: { readonly fid: number },
): Promise<void> {
  return demand(channel, 'fi_close', { object: object.fid });
}

async function open<Class extends Fid['fclass']>(
  channel: SystemCallChannel,
  name: string,
  fclass: Class,
  argument: object,
): Promise<FabricObject<Class>> {
  const { fid } = await demand<{ readonly fid: number }>(channel, name, argument);
  return { fid, fclass };
}
