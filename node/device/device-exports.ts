/** The dma-bufs that were made of a device's memory, and taking them back. */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import type { DmaBuf } from '../dmabuf/dma-buf.ts';
import { dma_buf_revoke } from '../dmabuf/revoke.ts';
import type { Context } from './context.ts';
import type { DramMapping } from './mmu.ts';

/** A dma-buf that can reach the memory of a context. */
export interface DeviceExport {
  readonly dmaBuf: DmaBuf;
  readonly context: Context;
  readonly mapping: DramMapping;
}

/** Those of one device that live and have not been taken back for good. */
export class DeviceExports {
  readonly #exports = new Set<DeviceExport>();

  get all(): readonly DeviceExport[] {
    return [...this.#exports];
  }

  get count(): number {
    return this.#exports.size;
  }

  of(context: Context): readonly DeviceExport[] {
    return this.all.filter((one) => one.context === context);
  }

  add(one: DeviceExport): void {
    this.#exports.add(one);
    one.mapping.exports++;
    one.context.exportCount++;
  }

  /** It reaches the memory no more; harmless if that was known. */
  remove(one: DeviceExport): void {
    if (!this.#exports.delete(one)) return;
    assert(one.mapping.exports > 0, 'Expected the export to be counted');
    one.mapping.exports--;
    one.context.exportCount--;
  }
}

/**
 * Takes every dma-buf of a context back. Resolves when no importer reaches the memory, or with the
 * errno of the first that could not be taken back, which `onBug` hears of: its importer may still reach it.
 */
export async function revokeExports(
  context: Context,
  mode: 'temporary' | 'permanent',
  onBug: (message: string) => void,
): Promise<Errno | undefined> {
  const { exports } = context.hardware;
  const results = await Promise.all(
    exports.of(context).map(async (one) => {
      const errno = await revoke(one, mode, onBug);
      if (errno === undefined && mode === 'permanent') exports.remove(one);
      return errno;
    }),
  );
  return results.find((errno) => errno !== undefined);
}

async function revoke(
  { dmaBuf, context }: DeviceExport,
  mode: 'temporary' | 'permanent',
  onBug: (message: string) => void,
): Promise<Errno | undefined> {
  const { scheduler, limits } = context.hardware;
  const options = { scheduler, deadlineMs: limits.revokeDeadlineMs, onBug };
  const errno = await dma_buf_revoke(dmaBuf, mode, options);
  if (errno !== undefined) return errno;
  // An importer that broke its promise in an earlier revocation is not waited for again.
  const isMapped = [...dmaBuf.attachments].some(({ mapping }) => mapping !== undefined);
  return isMapped ? 'ETIMEDOUT' : undefined;
}
