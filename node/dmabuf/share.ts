/**
 * Memory of a dma-buf for other processes of the machine (hlsim's own; udmabuf of Linux goes the other way,
 * from a memfd to a dma-buf). They map the exporter's file and reach the memory without asking anybody,
 * so it is the exporter who ends that: when the buffer is revoked, and when it is released.
 */
import type { Errno } from '../../common/errno.ts';
import type { DmaBuf, SharedFile } from './dma-buf.ts';

/**
 * The whole buffer as a file; the same one for every call. ENODEV: it is revoked; EOPNOTSUPP: its exporter
 * cannot do that; or what the exporter answers.
 */
export function dma_buf_share({ state, operations }: DmaBuf): SharedFile | Errno {
  if (state !== 'live') return 'ENODEV';
  return operations.share?.() ?? 'EOPNOTSUPP';
}
