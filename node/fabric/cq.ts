/** Completion queues (`struct fid_cq`; fi_cq(3)). */
import { CQ_SIZE_MAX, FiCq, type FiCqInit, type FiWaitObject } from './completion-queue.ts';
import type { FiDomain } from './domain.ts';
import type { FiAddr, FiCompletion, FiCompletionError, FiErrno } from './fabric.ts';

export type { FiCq } from './completion-queue.ts';

/** Wait objects that hlsim has no descriptor or lock for. */
const WAIT_NOT_THERE: ReadonlySet<FiWaitObject> = new Set([
  'FI_WAIT_FD',
  'FI_WAIT_MUTEX_COND',
  'FI_WAIT_YIELD',
  'FI_WAIT_POLLFD',
] as const);

/** Opens a queue. FI_EINVAL: `size` is not in 0..CQ_SIZE_MAX. FI_ENOSYS: such a wait object. */
export function fi_cq_open(domain: FiDomain, init: FiCqInit): FiCq | FiErrno {
  const { size, wait_obj = 'FI_WAIT_UNSPEC' } = init;
  if (!Number.isInteger(size) || size < 0 || size > CQ_SIZE_MAX) return 'FI_EINVAL';
  return WAIT_NOT_THERE.has(wait_obj) ? 'FI_ENOSYS' : new FiCq(domain, init);
}

/**
 * Up to `max` completions. FI_EAGAIN: there is none. FI_EAVAIL: an error is next, read that first.
 * FI_EOVERRUN: entries have been lost (only with FI_RM_DISABLED).
 */
export function fi_cq_read(
  cq: FiCq,
  max: number,
): FiCompletion[] | 'FI_EAGAIN' | 'FI_EAVAIL' | 'FI_EOVERRUN' {
  if (cq.headError !== undefined) return 'FI_EAVAIL';
  const completions = cq.take(max);
  if (completions.length > 0) return completions;
  return cq.state === 'overrun' ? 'FI_EOVERRUN' : 'FI_EAGAIN';
}

/** As fi_cq_read, with the addresses of the peers (capability FI_SOURCE). */
export function fi_cq_readfrom(
  cq: FiCq,
  max: number,
):
  | { readonly completions: FiCompletion[]; readonly sources: FiAddr[] }
  | 'FI_EAGAIN'
  | 'FI_EAVAIL'
  | 'FI_EOVERRUN' {
  const completions = fi_cq_read(cq, max);
  if (typeof completions === 'string') return completions;
  return { completions, sources: completions.map(({ source }) => source) };
}

/** The error that is next. FI_EAGAIN: none is. */
export function fi_cq_readerr(cq: FiCq): FiCompletionError | 'FI_EAGAIN' {
  return cq.takeError() ?? 'FI_EAGAIN';
}

/**
 * As fi_cq_read, but waits for up to `timeoutMs` of the scheduler's time; then FI_EAGAIN.
 * FI_ECANCELED: woken by fi_cq_signal, or the queue was closed. FI_EINVAL: opened with FI_WAIT_NONE.
 */
export async function fi_cq_sread(
  cq: FiCq,
  max: number,
  timeoutMs: number,
): Promise<FiCompletion[] | FiErrno> {
  if (!cq.canWait) return 'FI_EINVAL';
  const found = await cq.waiters.wait(timeoutMs, () => {
    const read = fi_cq_read(cq, max);
    if (read !== 'FI_EAGAIN') return read;
    return cq.takeSignal() || cq.state === 'closed' ? 'FI_ECANCELED' : undefined;
  });
  return found ?? 'FI_EAGAIN';
}

/** Wakes one reader that waits in fi_cq_sread, or the next one that would. */
export function fi_cq_signal(cq: FiCq): void {
  cq.signal();
}
