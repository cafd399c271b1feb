/**
 * The calls on endpoints themselves (`struct fid_ep`; fi_endpoint(3)); `msg.ts`, `tagged.ts`, `rma.ts`
 * and `atomic.ts` have those that move data. They return `undefined` where C returns 0. FI_EAGAIN
 * means that nothing has happened: try again after `onProgress`.
 *
 * Further answers of every call that posts: FI_EOPBADSTATE before fi_enable or after fi_close;
 * FI_EINVAL for an address that the vector does not have; FI_EBADFLAGS or FI_EOPNOTSUPP for flags;
 * after a peer is lost, the error it is lost with (FI_EHOSTUNREACH, FI_ECONNABORTED).
 */
import { FiAv } from './av.ts';
import { type CounterEvent, FiCntr } from './cntr.ts';
import type { CqBindFlag } from './completion-port.ts';
import { FiCq } from './completion-queue.ts';
import type { FiDomain } from './domain.ts';
import type { FiEq } from './eq.ts';
import type { FiEndpointCounters, FiErrno } from './fabric.ts';
import type { FiInfo } from './info-types.ts';
import type { FiOptionName, HmemP2p } from './options.ts';
import { FiEndpoint, type FiEndpointInit } from './rdm-endpoint.ts';

export type { FiEndpoint, FiEndpointInit } from './rdm-endpoint.ts';

export type FiBindFlag = CqBindFlag | CounterEvent | 'FI_REMOTE_READ';

const BOTH_DIRECTIONS = ['FI_TRANSMIT', 'FI_RECV'] as const;
const CQ_FLAGS: ReadonlySet<CqBindFlag> = new Set([
  ...BOTH_DIRECTIONS,
  'FI_SELECTIVE_COMPLETION',
] as const);
const CNTR_FLAGS: ReadonlySet<CounterEvent> = new Set([
  'FI_SEND',
  'FI_RECV',
  'FI_READ',
  'FI_WRITE',
  'FI_REMOTE_WRITE',
] as const);

/**
 * Makes an endpoint, disabled. FI_EINVAL: not of type FI_EP_RDM. `info.domain_attr.resource_mgmt`
 * FI_RM_DISABLED: posts do not wait for the peer's receives, nor completions for room in the queue.
 */
export function fi_endpoint(
  domain: FiDomain,
  info: FiInfo,
  init: FiEndpointInit,
): FiEndpoint | FiErrno {
  if (info.ep_attr.type !== 'FI_EP_RDM') return 'FI_EINVAL';
  return new FiEndpoint(domain, info, init);
}

/**
 * Binds an address vector, a completion queue (by default for both directions), a counter (`flags`:
 * what it counts; FI_REMOTE_WRITE counts writes with data, of the others a target learns nothing), or
 * an event queue, which is told of lost peers. FI_EOPBADSTATE: enabled, or bound already.
 * FI_EBADFLAGS: flags that the object does not take. FI_EOPNOTSUPP: FI_REMOTE_READ.
 */
export function fi_ep_bind(
  endpoint: FiEndpoint,
  object: FiAv | FiCq | FiCntr | FiEq,
  flags?: readonly FiBindFlag[],
): FiErrno | undefined {
  if (flags?.includes('FI_REMOTE_READ')) return 'FI_EOPNOTSUPP';
  if (object instanceof FiCq) {
    const asked = flags ?? BOTH_DIRECTIONS;
    return areOf(CQ_FLAGS, asked) ? endpoint.bindCq(object, asked) : 'FI_EBADFLAGS';
  }
  if (object instanceof FiCntr) {
    const asked = flags ?? [];
    return areOf(CNTR_FLAGS, asked) ? endpoint.bindCounter(object, asked) : 'FI_EBADFLAGS';
  }
  if (flags !== undefined && flags.length > 0) return 'FI_EBADFLAGS';
  return object instanceof FiAv ? endpoint.bindAv(object) : endpoint.bindEq(object);
}

/** Begins to connect to every peer. FI_ENOAV, FI_ENOCQ: not bound; FI_EOPBADSTATE: enabled. */
export function fi_enable(endpoint: FiEndpoint): FiErrno | undefined {
  return endpoint.enable();
}

/** The name under which peers insert this endpoint. */
export function fi_getname(endpoint: FiEndpoint): Uint8Array {
  return endpoint.name;
}

/**
 * Cancels the oldest posted receive with this context: it ends with FI_ECANCELED. If there is none,
 * or it has met its message, or it is not a receive, the operation completes as it would have.
 */
export function fi_cancel(endpoint: FiEndpoint, context: unknown): undefined {
  endpoint.receiver.cancel(context);
}

/** FI_ENOPROTOOPT: not an option that can be set. FI_EOPNOTSUPP, FI_EINVAL: not to this value. */
export function fi_setopt(
  endpoint: FiEndpoint,
  name: FiOptionName,
  value: unknown,
): FiErrno | undefined {
  return endpoint.options.set(name, value);
}

/** FI_ENOPROTOOPT: no such option. */
export function fi_getopt(endpoint: FiEndpoint, name: FiOptionName): number | HmemP2p | FiErrno {
  return endpoint.options.get(name);
}

/** Traffic so far. */
export function fi_ep_counters(endpoint: FiEndpoint): FiEndpointCounters {
  return endpoint.counters;
}

function areOf<F extends FiBindFlag>(
  taken: ReadonlySet<F>,
  flags: readonly FiBindFlag[],
): flags is readonly F[] {
  return flags.every((flag) => taken.has(flag as F));
}
