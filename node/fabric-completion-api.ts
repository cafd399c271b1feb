/** Queues, counters and events of user programs (fi_cq(3), fi_cntr(3), fi_eq(3)). */
import type {
  FiCompletion,
  FiCompletionError,
  FiEndpointCounters,
  FiErrno,
} from './fabric/fabric.ts';
import {
  attempt,
  demand,
  type FabricCntr,
  type FabricCq,
  type FabricEndpoint,
  type FabricEq,
} from './fabric-answer.ts';
import type { SystemCallChannel } from './process/system-call.ts';

/** An event: its name, and what belongs to it. */
export interface FabricEvent {
  readonly event: string;
  readonly data: string | number;
}

/** An endpoint that is bound to the queue has lost the peer `data`. */
export interface FabricEventError {
  /** Number of the endpoint. */
  readonly fid: number;
  readonly err: FiErrno;
  readonly prov_errno: string;
  readonly data: number;
}

/** Up to `max` completions. FI_EAGAIN: there is none. FI_EAVAIL: an error is next. */
export function fi_cq_read(
  channel: SystemCallChannel,
  cq: FabricCq,
  max: number,
): Promise<FiCompletion[] | FiErrno> {
  return attempt(channel, 'fi_cq_read', { cq: cq.fid, max });
}

/** As fi_cq_read, but waits at most `timeoutMs` while there is none. FI_ECANCELED: fi_cq_signal, closed. */
export function fi_cq_sread(
  channel: SystemCallChannel,
  cq: FabricCq,
  max: number,
  timeoutMs: number,
): Promise<FiCompletion[] | FiErrno> {
  return attempt(channel, 'fi_cq_sread', { cq: cq.fid, max, timeoutMs });
}

/** The error that is next. FI_EAGAIN: none is. */
export function fi_cq_readerr(
  channel: SystemCallChannel,
  cq: FabricCq,
): Promise<FiCompletionError | FiErrno> {
  return attempt(channel, 'fi_cq_readerr', { cq: cq.fid });
}

/** Wakes one call that waits in fi_cq_sread, or the next one that would. */
export function fi_cq_signal(channel: SystemCallChannel, cq: FabricCq): Promise<void> {
  return demand(channel, 'fi_cq_signal', { cq: cq.fid });
}

/** Operations that went well. */
export function fi_cntr_read(channel: SystemCallChannel, cntr: FabricCntr): Promise<number> {
  return demand(channel, 'fi_cntr_read', { cntr: cntr.fid });
}

/** Operations that failed. */
export function fi_cntr_readerr(channel: SystemCallChannel, cntr: FabricCntr): Promise<number> {
  return demand(channel, 'fi_cntr_readerr', { cntr: cntr.fid });
}

export function fi_cntr_add(
  channel: SystemCallChannel,
  cntr: FabricCntr,
  value: number,
): Promise<void> {
  return demand(channel, 'fi_cntr_add', { cntr: cntr.fid, value });
}

export function fi_cntr_set(
  channel: SystemCallChannel,
  cntr: FabricCntr,
  value: number,
): Promise<void> {
  return demand(channel, 'fi_cntr_set', { cntr: cntr.fid, value });
}

/** FI_ETIMEDOUT: `threshold` was not reached. FI_EAVAIL: an operation has failed meanwhile. */
export function fi_cntr_wait(
  channel: SystemCallChannel,
  cntr: FabricCntr,
  threshold: number,
  timeoutMs: number,
): Promise<FiErrno | undefined> {
  return attempt(channel, 'fi_cntr_wait', { cntr: cntr.fid, threshold, timeoutMs });
}

/** The next event; with FI_PEEK it stays. FI_EAGAIN: none. FI_EAVAIL: an error is next. */
export function fi_eq_read(
  channel: SystemCallChannel,
  eq: FabricEq,
  flags: readonly 'FI_PEEK'[] = [],
): Promise<FabricEvent | FiErrno> {
  return attempt(channel, 'fi_eq_read', { eq: eq.fid, flags });
}

/** As fi_eq_read, but waits at most `timeoutMs` while there is none. */
export function fi_eq_sread(
  channel: SystemCallChannel,
  eq: FabricEq,
  timeoutMs: number,
  flags: readonly 'FI_PEEK'[] = [],
): Promise<FabricEvent | FiErrno> {
  return attempt(channel, 'fi_eq_sread', { eq: eq.fid, timeoutMs, flags });
}

/** The error that is next. FI_EAGAIN: none is. */
export function fi_eq_readerr(
  channel: SystemCallChannel,
  eq: FabricEq,
  flags: readonly 'FI_PEEK'[] = [],
): Promise<FabricEventError | FiErrno> {
  return attempt(channel, 'fi_eq_readerr', { eq: eq.fid, flags });
}

/** FI_EINVAL: not opened with FI_WRITE. FI_EAGAIN: full. */
export function fi_eq_write(
  channel: SystemCallChannel,
  eq: FabricEq,
  event: FabricEvent,
): Promise<FiErrno | undefined> {
  return attempt(channel, 'fi_eq_write', { eq: eq.fid, event });
}

/** Traffic of an endpoint so far (hlsim's own call). */
export function fi_ep_counters(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
): Promise<FiEndpointCounters> {
  return demand(channel, 'fi_ep_counters', { endpoint: endpoint.fid });
}

/**
 * hlsim's own: after FI_EAGAIN, resolves when trying again makes sense; `timedOut` if it does not
 * within `timeoutMs`. (In C a program reads its queue again and again.)
 */
export function waitForProgress(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  timeoutMs: number,
): Promise<'woken' | 'timedOut'> {
  return demand(channel, 'waitForProgress', { endpoint: endpoint.fid, timeoutMs });
}
