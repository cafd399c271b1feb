/**
 * The exporter's ways to take its memory back (L. Romanovsky, "dma-buf: revoke", 2026). Two steps are
 * distinct: when fences have retired, importers may still hold the mapping but write nothing; when they
 * have unmapped, they reach nothing at all.
 */
import { assert } from '../../common/assert.ts';
import { deferred } from '../../common/deferred.ts';
import type { Errno } from '../../common/errno.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import { dma_buf_attach_revocable } from './attachment.ts';
import { attached } from './attachment-state.ts';
import type { DmaBuf, DmaBufAttachment, DmaBufState } from './dma-buf.ts';
import { type ExportedDmaBuf, exportedDmaBuf, type Revocation, type RevokeMode } from './export.ts';
import { asOwnFlow, lockOrder } from './lock-order.ts';
import {
  dma_resv_assert_held,
  dma_resv_get_fences,
  dma_resv_lock_soon,
  dma_resv_test_signaled,
  dma_resv_under_lock,
  dma_resv_unlock,
} from './reservation.ts';
import { dma_resv_wait_timeout } from './reservation-wait.ts';

/** Time that work under way, and then importers, have to end. Longer is a bug of theirs. */
export const DMA_BUF_REVOKE_DEADLINE_MS = 5000;

const REVOKED = {
  temporary: 'temporarilyRevoked',
  permanent: 'permanentlyRevoked',
} as const satisfies Record<RevokeMode, DmaBufState>;

export interface RevokeOptions {
  readonly scheduler: Scheduler;
  readonly deadlineMs?: number;
  /** Told when an importer breaks its promise. Absent: an assertion fails. */
  readonly onBug?: (message: string) => void;
}

/**
 * Ends every mapping whose importer can be stopped, before any importer hears of it; then each is told,
 * once per mapping. Under the lock. Importers that cannot be stopped keep theirs, so an exporter must
 * not move memory that they have mapped. Later mappings are new ones. (Named dma_buf_move_notify before
 * Linux 7.1.)
 */
export function dma_buf_invalidate_mappings(dmaBuf: DmaBuf): void {
  const own = exportedDmaBuf(dmaBuf);
  dma_resv_assert_held(own.reservation);
  const ended = [...own.attachments].map(attached).filter((attachment) => attachment.invalidate());
  for (const attachment of ended) attachment.tell();
}

/**
 * Refuses the buffer to everybody and resolves when nobody reaches it any more: work under way has ended
 * and every mapping is undone. `temporary` can be undone by `dma_buf_unrevoke`, `permanent` cannot.
 * Idempotent; a temporary revocation can become permanent, which waits for nothing twice. EINVAL:
 * temporary after permanent. EOPNOTSUPP, with no effect: a mapped importer cannot be stopped.
 * ETIMEDOUT: somebody broke a promise, which is reported as a bug; the buffer is revoked all the same.
 * All within the call if the lock is free and nothing is to be waited for.
 */
export function dma_buf_revoke(
  dmaBuf: DmaBuf,
  mode: RevokeMode,
  options: RevokeOptions,
): Promise<Errno | undefined> {
  return asOwnFlow(() => revoke(dmaBuf, mode, options));
}

/** Importers may attach and map again. EINVAL unless the revocation was temporary and has ended. */
export function dma_buf_unrevoke(dmaBuf: DmaBuf): Errno | undefined {
  const own = exportedDmaBuf(dmaBuf);
  if (own.state === 'live') return undefined;
  if (own.state !== 'temporarilyRevoked') return 'EINVAL';
  own.state = 'live';
  own.revocation = undefined;
  return undefined;
}

async function revoke(
  dmaBuf: DmaBuf,
  mode: RevokeMode,
  options: RevokeOptions,
): Promise<Errno | undefined> {
  const own = exportedDmaBuf(dmaBuf);
  own.file.get();
  const waiting = dma_resv_lock_soon(own.reservation);
  if (waiting !== undefined) await waiting;
  const result = revokeAndUnlock(own, mode, options);
  // A revocation that has ended leaves nothing for a later turn.
  if (!(result instanceof Promise)) {
    own.file.put();
    return result;
  }
  try {
    return await result;
  } finally {
    own.file.put();
  }
}

type Outcome = Errno | undefined | Promise<Errno | undefined>;

/** The caller holds the lock, and no longer when this returns or, if it is a promise, settles. */
function revokeAndUnlock(own: ExportedDmaBuf, mode: RevokeMode, options: RevokeOptions): Outcome {
  const { revocation, reservation } = own;
  if (revocation !== undefined) {
    dma_resv_unlock(reservation);
    return join(own, revocation, mode);
  }
  if (hasUnstoppable(own)) {
    dma_resv_unlock(reservation);
    return 'EOPNOTSUPP';
  }
  own.revocation = { mode, ended: deferred() };
  own.state = 'revoking';
  dma_resv_under_lock(reservation, () => dma_buf_invalidate_mappings(own));
  if (!dma_resv_test_signaled(reservation, 'BOOKKEEP')) return waitForFences(own, options);
  dma_resv_unlock(reservation);
  return isMapped(own) ? waitForUnmaps(own, options) : end(own, undefined);
}

/** There was a revocation before: nothing is done twice, but it may become permanent. */
function join(own: ExportedDmaBuf, revocation: Revocation, mode: RevokeMode): Outcome {
  if (mode === 'temporary' && revocation.mode === 'permanent') return 'EINVAL';
  revocation.mode = mode;
  if (own.state === 'revoking') return revocation.ended.promise;
  own.state = REVOKED[mode];
  return undefined;
}

/** Under the lock, as the signalling path never needs it. */
async function waitForFences(
  own: ExportedDmaBuf,
  options: RevokeOptions,
): Promise<Errno | undefined> {
  const { reservation } = own;
  const { scheduler, deadlineMs = DMA_BUF_REVOKE_DEADLINE_MS } = options;
  const retired = await dma_resv_wait_timeout(reservation, 'BOOKKEEP', scheduler, deadlineMs);
  dma_resv_unlock(reservation);
  if (!retired) {
    const { length } = dma_resv_get_fences(reservation, 'BOOKKEEP');
    return broken(own, options, `${length} fences have not signalled`);
  }
  return isMapped(own) ? waitForUnmaps(own, options) : end(own, undefined);
}

function waitForUnmaps(own: ExportedDmaBuf, options: RevokeOptions): Promise<Errno | undefined> {
  const { scheduler, deadlineMs = DMA_BUF_REVOKE_DEADLINE_MS } = options;
  lockOrder()?.acquiring('dma_buf_unmap');
  return new Promise((resolve, reject) => {
    const stop = (outcome: () => Outcome) => {
      cancel();
      own.unmapListeners.delete(unmapped);
      try {
        resolve(outcome());
      } catch (reason) {
        reject(reason);
      }
    };
    const unmapped = () => {
      if (!isMapped(own)) stop(() => end(own, undefined));
    };
    const cancel = scheduler.after(deadlineMs, () =>
      stop(() => broken(own, options, keepers(own))),
    );
    own.unmapListeners.add(unmapped);
  });
}

/** Nobody is waited for any longer. */
function end(own: ExportedDmaBuf, result: Errno | undefined): Outcome {
  // Now, after the importers: their work under way belongs to the content that is kept.
  const unsharing = own.operations.unshare?.();
  return unsharing === undefined ? ended(own, result) : unsharing.then(() => ended(own, result));
}

function ended(own: ExportedDmaBuf, result: Errno | undefined): Errno | undefined {
  const { revocation } = own;
  assert(revocation !== undefined, 'Expected a revocation under way');
  own.state = REVOKED[revocation.mode];
  revocation.ended.resolve(result);
  return result;
}

function broken(own: ExportedDmaBuf, options: RevokeOptions, what: string): Outcome {
  const result = end(own, 'ETIMEDOUT');
  const message = `Expected a revoked dma-buf of ${own.operations.exporter} to be let go in bounded time but found that ${what}`;
  assert(options.onBug !== undefined, message);
  options.onBug(message);
  return result;
}

function keepers(own: ExportedDmaBuf): string {
  const names = mapped(own).map(({ importer }) => importer.name);
  return `${names.join(', ')} said that it can be stopped and keeps its mapping`;
}

function hasUnstoppable(own: ExportedDmaBuf): boolean {
  return mapped(own).some((attachment) => !dma_buf_attach_revocable(attachment));
}

function isMapped(own: ExportedDmaBuf): boolean {
  return mapped(own).length > 0;
}

function mapped(own: ExportedDmaBuf): DmaBufAttachment[] {
  return [...own.attachments].filter(({ mapping }) => mapping !== undefined);
}
