import { describe, expect, it } from 'vitest';
import { VirtualScheduler } from '../../../common/scheduler.ts';
import {
  dma_buf_attach,
  dma_buf_detach,
  dma_buf_map_attachment as dma_buf_map_attachment_locked,
  dma_buf_unmap_attachment as dma_buf_unmap_attachment_locked,
} from '../../../node/dmabuf/attachment.ts';
import type {
  DmaBuf,
  DmaBufAttachment,
  DmaBufImporter,
  DmaBufOperations,
  DmaDirection,
  SgTable,
} from '../../../node/dmabuf/dma-buf.ts';
import {
  dma_buf_export,
  dma_buf_fd,
  dma_buf_get,
  dma_buf_put,
} from '../../../node/dmabuf/export.ts';
import { dma_resv_trylock, dma_resv_unlock } from '../../../node/dmabuf/reservation.ts';
import {
  dma_buf_invalidate_mappings as dma_buf_invalidate_mappings_locked,
  dma_buf_revoke,
} from '../../../node/dmabuf/revoke.ts';
import { OPEN_FILES_MAX, OpenFile } from '../../../node/process/file.ts';
import { O_CLOEXEC, O_RDWR } from '../../../node/process/open-flags.ts';
import { SimProcess } from '../../../node/process/sim-process.ts';

const SIZE = 100;
const FLAGS = O_RDWR | O_CLOEXEC;
const NIC: DmaBufImporter = {
  name: 'nic',
  allowPeer2Peer: true,
  maxSegmentBytes: 60,
  kind: 'dynamic',
};
const scheduler = new VirtualScheduler();

function ok<T>(result: T): Exclude<T, string> {
  if (typeof result === 'string') throw new Error(`expected success but found ${result}`);
  return result as Exclude<T, string>;
}

function locked<T>(dmaBuf: DmaBuf, body: () => T): T {
  if (!dma_resv_trylock(dmaBuf.reservation)) throw new Error('expected the lock to be free');
  try {
    return body();
  } finally {
    dma_resv_unlock(dmaBuf.reservation);
  }
}

const dma_buf_map_attachment = (attachment: DmaBufAttachment, direction: DmaDirection) =>
  locked(attachment.dmaBuf, () => dma_buf_map_attachment_locked(attachment, direction));
const dma_buf_unmap_attachment = (attachment: DmaBufAttachment) =>
  locked(attachment.dmaBuf, () => dma_buf_unmap_attachment_locked(attachment));
const dma_buf_invalidate_mappings = (dmaBuf: DmaBuf) =>
  locked(dmaBuf, () => dma_buf_invalidate_mappings_locked(dmaBuf));

function process(): SimProcess {
  return new SimProcess({ pid: 1, containerId: 'c', memory: new SharedArrayBuffer(64) });
}

/** A dma-buf over plain memory, whose exporter writes down what it is asked for. */
function exported(overrides: Partial<DmaBufOperations> = {}) {
  const log: string[] = [];
  const memory = new Uint8Array(SIZE);
  const operations: DmaBufOperations = {
    exporter: 'test',
    attach: ({ importer }) => void log.push(`attach ${importer.name}`),
    detach: ({ importer }) => void log.push(`detach ${importer.name}`),
    map: (_, direction) => {
      log.push(`map ${direction}`);
      return [
        { dmaAddress: 0, bytes: memory.subarray(0, 60) },
        { dmaAddress: 60, bytes: memory.subarray(60) },
      ];
    },
    unmap: () => void log.push('unmap'),
    release: () => void log.push('release'),
    ...overrides,
  };
  return { log, memory, dmaBuf: dma_buf_export(operations, SIZE) };
}

describe('dma_buf_fd() and dma_buf_get()', () => {
  it('the descriptor takes over the reference; the last one releases the buffer', () => {
    const { log, dmaBuf } = exported();
    const one = process();
    const fd = ok(dma_buf_fd(one, dmaBuf, FLAGS));
    expect([fd, dmaBuf.file.references]).toEqual([0, 1]);
    const got = ok(dma_buf_get(one, fd));
    expect([got, dmaBuf.file.references]).toEqual([dmaBuf, 2]);
    one.exit();
    expect(log).toEqual([]);
    dma_buf_put(got);
    expect(log).toEqual(['release']);
  });

  it('a failure leaves the reference with the caller: EMFILE, EINVAL flags', () => {
    const { log, dmaBuf } = exported();
    const one = process();
    while (one.fds.openCount < OPEN_FILES_MAX) {
      const fd = one.fds.reserve() as number;
      one.fds.install(fd, new OpenFile({ kind: 'x', release: () => undefined }));
    }
    expect(dma_buf_fd(one, dmaBuf, FLAGS)).toBe('EMFILE');
    expect(dma_buf_fd(process(), dmaBuf, 0o4000)).toBe('EINVAL');
    expect([dmaBuf.file.references, log]).toEqual([1, []]);
    dma_buf_put(dmaBuf);
  });

  it('EBADF: no such descriptor; EINVAL: not a dma-buf', () => {
    const one = process();
    expect(dma_buf_get(one, 0)).toBe('EBADF');
    const fd = one.fds.reserve() as number;
    const other = new OpenFile({ kind: 'accel', release: () => undefined });
    one.fds.install(fd, other);
    expect(dma_buf_get(one, fd)).toBe('EINVAL');
    expect(other.references).toBe(1);
  });

  it('asserts a size above 0', () => {
    expect(() =>
      dma_buf_export({ exporter: 'x', map: () => [], release: () => undefined }, 0),
    ).toThrow('Expected a size above 0');
  });
});

describe('attach, map, unmap, detach', () => {
  it('reach the exporter once each, in order', () => {
    const { log, dmaBuf } = exported();
    const attachment: DmaBufAttachment = ok(dma_buf_attach(dmaBuf, NIC));
    expect([...dmaBuf.attachments]).toEqual([attachment]);
    const table: SgTable = ok(dma_buf_map_attachment(attachment, 'DMA_TO_DEVICE'));
    expect(table.segments.map(({ bytes }) => bytes.byteLength)).toEqual([60, 40]);
    expect(attachment.mapping).toBe(table);
    dma_buf_unmap_attachment(attachment);
    expect([table.state, table.segments.length, attachment.mapping]).toEqual([
      'unmapped',
      0,
      undefined,
    ]);
    dma_buf_detach(attachment);
    expect(dmaBuf.attachments.size).toBe(0);
    expect(log).toEqual(['attach nic', 'map DMA_TO_DEVICE', 'unmap', 'detach nic']);
  });

  it('a second map in the same direction shares the mapping; EBUSY in another', () => {
    const { log, dmaBuf } = exported();
    const attachment = ok(dma_buf_attach(dmaBuf, NIC));
    const table: SgTable = ok(dma_buf_map_attachment(attachment, 'DMA_TO_DEVICE'));
    expect(dma_buf_map_attachment(attachment, 'DMA_TO_DEVICE')).toBe(table);
    expect(dma_buf_map_attachment(attachment, 'DMA_FROM_DEVICE')).toBe('EBUSY');
    dma_buf_unmap_attachment(attachment);
    expect(table.state).toBe('mapped');
    dma_buf_unmap_attachment(attachment);
    expect(table.state).toBe('unmapped');
    expect(log.filter((line) => line.startsWith('map'))).toHaveLength(1);
  });

  it('any direction shares a bidirectional mapping', () => {
    const { dmaBuf } = exported();
    const attachment = ok(dma_buf_attach(dmaBuf, NIC));
    const table = ok(dma_buf_map_attachment(attachment, 'DMA_BIDIRECTIONAL'));
    expect(dma_buf_map_attachment(attachment, 'DMA_FROM_DEVICE')).toBe(table);
  });

  it('what the exporter refuses is passed on, and leaves no trace', () => {
    const far = exported({ attach: () => 'EBUSY' });
    expect(dma_buf_attach(far.dmaBuf, NIC)).toBe('EBUSY');
    expect(far.dmaBuf.attachments.size).toBe(0);
    const hostOnly = exported({ map: () => 'EPERM' });
    const attachment = ok(dma_buf_attach(hostOnly.dmaBuf, NIC));
    expect(dma_buf_map_attachment(attachment, 'DMA_TO_DEVICE')).toBe('EPERM');
    expect(attachment.mapping).toBeUndefined();
    const empty = exported({ map: () => [] });
    const other = ok(dma_buf_attach(empty.dmaBuf, NIC));
    expect(dma_buf_map_attachment(other, 'DMA_TO_DEVICE')).toBe('ENOMEM');
  });

  it('the exporter may take peer-to-peer away at attach, which succeeds all the same', () => {
    const { dmaBuf } = exported({
      attach: (attachment) => {
        attachment.peer2peer = false;
        return undefined;
      },
    });
    expect(ok(dma_buf_attach(dmaBuf, NIC)).peer2peer).toBe(false);
  });

  it('asserts the order of lives: release with attachments, detach while mapped, unmap twice', () => {
    const { dmaBuf } = exported();
    const attachment = ok(dma_buf_attach(dmaBuf, NIC));
    ok(dma_buf_map_attachment(attachment, 'DMA_TO_DEVICE'));
    expect(() => dma_buf_detach(attachment)).toThrow('to be unmapped before it is detached');
    dma_buf_unmap_attachment(attachment);
    expect(() => dma_buf_unmap_attachment(attachment)).toThrow('Expected a mapped attachment');
    expect(() => dma_buf_put(dmaBuf)).toThrow('Expected no attachment');
    dma_buf_detach(attachment);
    expect(() => dma_buf_detach(attachment)).toThrow('Expected a live attachment');
  });

  it('asserts that the exporter gives the whole buffer, in segments that fit', () => {
    const short = exported({ map: () => [{ dmaAddress: 0, bytes: new Uint8Array(SIZE - 1) }] });
    const wide = { ...NIC, maxSegmentBytes: SIZE };
    const attachment = ok(dma_buf_attach(short.dmaBuf, wide));
    expect(() => dma_buf_map_attachment(attachment, 'DMA_TO_DEVICE')).toThrow('segments of 100');
    const tooLong = exported({ map: () => [{ dmaAddress: 0, bytes: new Uint8Array(SIZE) }] });
    const other = ok(dma_buf_attach(tooLong.dmaBuf, NIC));
    expect(() => dma_buf_map_attachment(other, 'DMA_TO_DEVICE')).toThrow('1 to 60 bytes');
  });
});

describe('dma_buf_invalidate_mappings()', () => {
  it('empties every mapping before any importer is told, and tells each once per mapping', () => {
    const { dmaBuf } = exported();
    const seen: string[] = [];
    const tables: SgTable[] = [];
    const attachments = ['a', 'b', 'unmapped'].map((name) => {
      const invalidateMappings = () => {
        seen.push(`${name} ${tables.map(({ state, segments }) => `${state}${segments.length}`)}`);
      };
      return ok(dma_buf_attach(dmaBuf, { ...NIC, name, invalidateMappings }));
    });
    for (const attachment of attachments.slice(0, 2)) {
      tables.push(ok(dma_buf_map_attachment(attachment, 'DMA_TO_DEVICE')));
    }
    const [first] = attachments;
    const keptSegments = tables[0]?.segments;
    dma_buf_invalidate_mappings(dmaBuf);
    dma_buf_invalidate_mappings(dmaBuf);
    expect(seen).toEqual(['a invalidated0,invalidated0', 'b invalidated0,invalidated0']);
    expect(keptSegments).toEqual([]);
    if (first === undefined) throw new Error('no attachment');
    expect(dma_buf_map_attachment(first, 'DMA_TO_DEVICE')).toBe('EBUSY');
    dma_buf_unmap_attachment(first);
    expect(ok(dma_buf_map_attachment(first, 'DMA_TO_DEVICE')).segments.length).toBe(2);
  });

  it('leaves importers alone that have no callback: nobody can stop them', () => {
    const { dmaBuf } = exported();
    const kinds = ['static', 'dynamic'] as const;
    const tables = kinds.map((kind): SgTable => {
      const attachment = ok(dma_buf_attach(dmaBuf, { ...NIC, kind }));
      return ok(dma_buf_map_attachment(attachment, 'DMA_TO_DEVICE'));
    });
    dma_buf_invalidate_mappings(dmaBuf);
    expect(tables.map(({ state, segments }) => [state, segments.length])).toEqual([
      ['mapped', 2],
      ['mapped', 2],
    ]);
  });

  it('does not tell an importer whose mapping another one’s callback has ended', () => {
    const { dmaBuf } = exported();
    const told: string[] = [];
    const attachments: DmaBufAttachment[] = [];
    for (const name of ['first', 'second']) {
      const invalidateMappings = () => {
        told.push(name);
        // Two attachments of one driver: it lets all of its mappings go at once.
        for (const one of attachments) dma_buf_unmap_attachment_locked(one);
      };
      const attachment = ok(dma_buf_attach(dmaBuf, { ...NIC, name, invalidateMappings }));
      ok(dma_buf_map_attachment(attachment, 'DMA_TO_DEVICE'));
      attachments.push(attachment);
    }
    dma_buf_invalidate_mappings(dmaBuf);
    expect(told).toEqual(['first']);
  });

  it('an importer may unmap within its callback, and detaches later', () => {
    const { log, dmaBuf } = exported();
    const invalidateMappings = (attachment: DmaBufAttachment) => {
      dma_buf_unmap_attachment_locked(attachment);
      expect(() => dma_buf_detach(attachment)).toThrow('lock not to be held');
    };
    const attachment = ok(dma_buf_attach(dmaBuf, { ...NIC, invalidateMappings }));
    ok(dma_buf_map_attachment(attachment, 'DMA_TO_DEVICE'));
    dma_buf_invalidate_mappings(dmaBuf);
    dma_buf_detach(attachment);
    dma_buf_put(dmaBuf);
    expect(log.slice(-3)).toEqual(['unmap', 'detach nic', 'release']);
  });
});

describe('dma_buf_revoke()', () => {
  it('is for good: mappings die, map and attach give ENODEV, a second revoke does nothing', async () => {
    const { dmaBuf } = exported();
    let told = 0;
    const answers: unknown[] = [];
    const invalidateMappings = (one: DmaBufAttachment) => {
      told++;
      dma_buf_unmap_attachment_locked(one);
      answers.push(dma_buf_map_attachment_locked(one, 'DMA_TO_DEVICE'));
    };
    const attachment = ok(dma_buf_attach(dmaBuf, { ...NIC, invalidateMappings }));
    const table: SgTable = ok(dma_buf_map_attachment(attachment, 'DMA_TO_DEVICE'));
    const revoked = dma_buf_revoke(dmaBuf, 'permanent', { scheduler });
    expect([dmaBuf.state, table.state, told]).toEqual(['permanentlyRevoked', 'unmapped', 1]);
    expect(await revoked).toBeUndefined();
    expect(await dma_buf_revoke(dmaBuf, 'permanent', { scheduler })).toBeUndefined();
    expect([told, ...answers]).toEqual([1, 'ENODEV']);
    expect(dma_buf_map_attachment(attachment, 'DMA_TO_DEVICE')).toBe('ENODEV');
    expect(dma_buf_attach(dmaBuf, NIC)).toBe('ENODEV');
    dma_buf_detach(attachment);
    dma_buf_put(dmaBuf);
  });
});
