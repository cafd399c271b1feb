/** Exporters and importers to play with: they do what they must and write down how they were called. */
import { assert } from '../../common/assert.ts';
import { type Errno, isErrno } from '../../common/errno.ts';
import {
  dma_buf_attach,
  dma_buf_unmap_attachment,
  dma_buf_unpin,
} from '../../node/dmabuf/attachment.ts';
import type {
  DmaBuf,
  DmaBufAttachment,
  DmaBufImporter,
  DmaBufOperations,
} from '../../node/dmabuf/dma-buf.ts';
import { type DmaBufList, dma_buf_export } from '../../node/dmabuf/export.ts';
import {
  dma_resv_is_locked,
  dma_resv_trylock,
  dma_resv_unlock,
} from '../../node/dmabuf/reservation.ts';

export const SIZE = 8192;

export function ok<T>(result: T): Exclude<T, Errno> {
  assert(!isErrno(result), `Expected success but found ${String(result)}`);
  return result as Exclude<T, Errno>;
}

/** Runs `body` under the lock, which must be free. */
export function locked<T>(dmaBuf: DmaBuf, body: () => T): T {
  assert(dma_resv_trylock(dmaBuf.reservation), 'Expected nobody to hold the lock');
  try {
    return body();
  } finally {
    dma_resv_unlock(dmaBuf.reservation);
  }
}

export interface Exported {
  readonly dmaBuf: DmaBuf;
  readonly bytes: Uint8Array;
  /** `name` of each callback, with ` locked` if the lock was held. */
  readonly calls: string[];
  pins: number;
}

/** A buffer over plain bytes. `dynamic`: its memory may move unless it is pinned. */
export function exported(
  kind: 'static' | 'dynamic',
  overrides: Partial<DmaBufOperations> = {},
  list?: DmaBufList,
): Exported {
  const bytes = new Uint8Array(SIZE);
  const calls: string[] = [];
  const note = (name: string) => {
    calls.push(dma_resv_is_locked(world.dmaBuf.reservation) ? `${name} locked` : name);
    return undefined;
  };
  const pinning: Partial<DmaBufOperations> = {
    pin: () => {
      world.pins++;
      return note('pin');
    },
    unpin: () => {
      world.pins--;
      note('unpin');
    },
  };
  const operations: DmaBufOperations = {
    exporter: 'test',
    attach: () => note('attach'),
    detach: () => note('detach'),
    ...(kind === 'dynamic' ? pinning : {}),
    map: () => {
      note('map');
      return [{ dmaAddress: 0x1000, bytes }];
    },
    unmap: () => note('unmap'),
    beginCpuAccess: () => note('beginCpuAccess'),
    endCpuAccess: () => note('endCpuAccess'),
    release: () => note('release'),
    ...overrides,
  };
  const world: Exported = { dmaBuf: dma_buf_export(operations, SIZE, list), bytes, calls, pins: 0 };
  return world;
}

/** The four kinds there are: which stay, which can move along, which can be stopped. */
export const IMPORTERS = {
  static: { ...base('static'), kind: 'static' },
  /** Dynamic without a callback: pins, and can hold for ever (a NIC of 2021). */
  pinned: { ...base('pinned'), kind: 'dynamic' },
  /** Pins and maps; gives everything back within the callback (a NIC of 2026). */
  revocable: {
    ...base('revocable'),
    kind: 'dynamic',
    invalidateMappings(attachment: DmaBufAttachment) {
      dma_buf_unmap_attachment(attachment);
      if (attachment.pins > 0) dma_buf_unpin(attachment);
    },
  },
} as const satisfies Record<string, DmaBufImporter>;

function base(name: string) {
  return { name, allowPeer2Peer: true, maxSegmentBytes: 2 ** 31 };
}

/** Attaches with a reference of its own, as importers do. */
export function attach(dmaBuf: DmaBuf, importer: DmaBufImporter): DmaBufAttachment {
  dmaBuf.file.get();
  return ok(dma_buf_attach(dmaBuf, importer));
}
