/**
 * Memory of a dma-buf for other processes of the machine (hlsim's own; udmabuf of Linux goes the other way,
 * from a memfd to a dma-buf). They map the exporter's file and reach the memory without asking anybody,
 * so it is the exporter who ends that: when the buffer is revoked, when it is released, and when an
 * importer asks for it.
 */
import type { Errno } from '../../common/errno.ts';
import type { DmaBuf, SharedFile, ShareOptions } from './dma-buf.ts';
import { exportedDmaBuf } from './export.ts';

/**
 * The whole buffer as a file; the same one for every call. ENODEV: it is revoked; EOPNOTSUPP: its exporter
 * cannot do that; or what the exporter answers.
 */
export function dma_buf_share(dmaBuf: DmaBuf, options?: ShareOptions): SharedFile | Errno {
  if (dmaBuf.state !== 'live') return 'ENODEV';
  const recalled = options?.inPlace === true ? () => tell(dmaBuf) : undefined;
  return dmaBuf.operations.share?.(recalled) ?? 'EOPNOTSUPP';
}

/**
 * Calls `listener` when an importer ends the sharing while others may go on using the buffer, or a loan is
 * recalled, before its file is taken back. Returns how to stop that.
 */
export function dma_buf_when_unshared(dmaBuf: DmaBuf, listener: () => void): () => void {
  const { shareListeners } = exportedDmaBuf(dmaBuf);
  shareListeners.add(listener);
  return () => shareListeners.delete(listener);
}

/**
 * Ends every other process's access, and keeps the content, but for what is written meanwhile; the buffer
 * can be shared again. Resolves when all of it is out of reach, at once if this returns nothing.
 */
export function dma_buf_unshare(dmaBuf: DmaBuf): Promise<void> | undefined {
  tell(dmaBuf);
  return dmaBuf.operations.unshare?.();
}

function tell(dmaBuf: DmaBuf): void {
  for (const listener of [...exportedDmaBuf(dmaBuf).shareListeners]) listener();
}
