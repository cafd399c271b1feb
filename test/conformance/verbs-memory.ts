/** Device memory whose exporter counts what importers do, and requests that are under way over it. */
import { expect } from 'vitest';
import type { DmaBufAttachment } from '../../node/dmabuf/dma-buf.ts';
import { dma_resv_get_fences } from '../../node/dmabuf/reservation.ts';
import { dma_buf_revoke } from '../../node/dmabuf/revoke.ts';
import { type IbvMr, ibv_reg_dmabuf_mr } from '../../node/verbs/mr.ts';
import { ibv_post_send } from '../../node/verbs/qp.ts';
import type { DmaBufMode } from '../../node/verbs/region-memory.ts';
import { type Host, must, pattern, TestMemory, type VerbsWorld } from '../node/verbs/world.ts';
import { EVERY_RIGHT, type JoinInit, joined, request } from './verbs-steps.ts';

export const PAGE = 4096;
/** First address of every region. */
export const IOVA = 0x10_0000;
export const WRITE = 'IBV_WR_RDMA_WRITE';

export class CountingMemory extends TestMemory {
  readonly counts: Record<'pin' | 'unpin' | 'map' | 'unmap' | 'detach', number>;

  constructor(size: number, refuse?: (attachment: DmaBufAttachment) => boolean) {
    const counts = { pin: 0, unpin: 0, map: 0, unmap: 0, detach: 0 };
    super(size, size, {
      attach: (attachment) => (refuse?.(attachment) === true ? 'EOPNOTSUPP' : undefined),
      detach: () => void counts.detach++,
      pin: () => void counts.pin++,
      unpin: () => void counts.unpin++,
      unmap: () => void counts.unmap++,
      map: () => {
        counts.map++;
        return [{ dmaAddress: 0, bytes: this.bytes }];
      },
    });
    this.counts = counts;
  }

  /** Takes the memory back for good. */
  revoke(world: VerbsWorld) {
    return dma_buf_revoke(this.dmaBuf, 'permanent', { scheduler: world.scheduler });
  }

  get fences(): number {
    return dma_resv_get_fences(this.dmaBuf.reservation, 'BOOKKEEP').length;
  }
}

/** Registers all of `memory`, with every right. */
export async function register(host: Host, memory: TestMemory, mode?: DmaBufMode): Promise<IbvMr> {
  const fd = memory.fd(host.process);
  const size = memory.dmaBuf.size;
  return must(await ibv_reg_dmabuf_mr(host.pd, 0, size, IOVA, fd, EVERY_RIGHT, mode));
}

/** Hosts with a region each, and a queue pair between them. */
export interface RegionSceneInit {
  readonly size?: number;
  readonly join?: JoinInit;
  readonly mode?: DmaBufMode;
}

export async function regionScene(world: VerbsWorld, init: RegionSceneInit = {}) {
  const { size = PAGE, join, mode } = init;
  const [a, b] = await joined(world, { attributes: { path_mtu: 65_536 }, ...join });
  const [near, far] = [new CountingMemory(size), new CountingMemory(size)];
  near.bytes.set(pattern(size, 1));
  const source = await register(world.a, near, mode);
  const target = await register(world.b, far, mode);
  const write = (more = {}) =>
    ibv_post_send(a.qp, request(WRITE, source, target, { length: size, ...more }));
  return { world, a, b, near, far, source, target, write };
}

/** Requests under way, of which the link has not taken all: bytes of `near` are still read. */
export async function busyScene(world: VerbsWorld) {
  const made = await regionScene(world, { size: 4 * 1024 * 1024 });
  const { a, write } = made;
  must(write({ length: 1 }));
  await world.until(() => a.completions.length === 1);
  must(write());
  expect(world.a.nic.isQuiet).toBe(false);
  return made;
}
