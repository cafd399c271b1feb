/** Importing a dma-buf: attach, map, unmap, detach; and the exporter's ways to take it back. */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import type {
  DmaBuf,
  DmaBufAttachment,
  DmaBufImporter,
  DmaDirection,
  DmaSegment,
  SgTable,
} from './dma-buf.ts';
import { ExportedDmaBuf } from './export.ts';

class Mapping implements SgTable {
  /** Emptied in place, so that an importer that kept the list itself sees it go dead too. */
  readonly segments: DmaSegment[];
  readonly direction: DmaDirection;
  state: SgTable['state'] = 'mapped';
  /** dma_buf_map_attachment calls that have not been undone. */
  users = 1;

  constructor(segments: readonly DmaSegment[], direction: DmaDirection) {
    this.segments = [...segments];
    this.direction = direction;
  }

  end(state: 'invalidated' | 'unmapped'): void {
    this.segments.length = 0;
    this.state = state;
  }
}

class Attachment implements DmaBufAttachment {
  readonly dmaBuf: ExportedDmaBuf;
  readonly importer: DmaBufImporter;
  peer2peer: boolean;
  mapping: Mapping | undefined;

  constructor(dmaBuf: ExportedDmaBuf, importer: DmaBufImporter) {
    this.dmaBuf = dmaBuf;
    this.importer = importer;
    this.peer2peer = importer.allowPeer2Peer;
  }
}

/**
 * Attaches a device. The importer must hold a reference to the dma-buf until it detaches. ENODEV after
 * a revoke, or what the exporter answers (EBUSY: out of this device's reach).
 */
export function dma_buf_attach(dmaBuf: DmaBuf, importer: DmaBufImporter): DmaBufAttachment | Errno {
  assert(dmaBuf.file.references > 0, 'Expected a live dma-buf');
  const own = exported(dmaBuf);
  if (own.state === 'revoked') return 'ENODEV';
  const attachment = new Attachment(own, importer);
  const errno = own.operations.attach?.(attachment);
  if (errno !== undefined) return errno;
  own.attachments.add(attachment);
  return attachment;
}

/** The attachment must be unmapped. */
export function dma_buf_detach(attachment: DmaBufAttachment): void {
  const own = attached(attachment);
  assert(own.mapping === undefined, 'Expected an attachment to be unmapped before it is detached');
  own.dmaBuf.attachments.delete(own);
  own.dmaBuf.operations.detach?.(own);
}

/**
 * Maps the whole buffer for the attached device. A second call in the same direction (or while mapped
 * DMA_BIDIRECTIONAL) gives the same table, to be unmapped as often. ENODEV after a revoke; EBUSY in
 * another direction, or while an invalidated mapping has not been unmapped; ENOMEM if the exporter
 * gives no segment; or what the exporter answers.
 */
export function dma_buf_map_attachment(
  attachment: DmaBufAttachment,
  direction: DmaDirection,
): SgTable | Errno {
  const own = attached(attachment);
  if (own.dmaBuf.state === 'revoked') return 'ENODEV';
  const known = own.mapping;
  if (known !== undefined) {
    const fits = known.direction === direction || known.direction === 'DMA_BIDIRECTIONAL';
    if (known.state !== 'mapped' || !fits) return 'EBUSY';
    known.users++;
    return known;
  }
  const segments = own.dmaBuf.operations.map(own, direction);
  if (typeof segments === 'string') return segments;
  if (segments.length === 0) return 'ENOMEM';
  checkSegments(own, segments);
  own.mapping = new Mapping(segments, direction);
  return own.mapping;
}

/** Undoes one dma_buf_map_attachment, also of a mapping that was invalidated meanwhile. */
export function dma_buf_unmap_attachment(attachment: DmaBufAttachment): void {
  const own = attached(attachment);
  const { mapping } = own;
  assert(mapping !== undefined, 'Expected a mapped attachment');
  mapping.users--;
  if (mapping.users > 0) return;
  own.mapping = undefined;
  mapping.end('unmapped');
  own.dmaBuf.operations.unmap?.(own);
}

/**
 * The exporter takes the memory back: every mapping goes `invalidated` with no segments, before any
 * importer hears of it; then each importer is told, once per mapping. It may unmap within the
 * callback. Later mappings are new ones. (Named dma_buf_move_notify before Linux 7.1.)
 */
export function dma_buf_invalidate_mappings(dmaBuf: DmaBuf): void {
  const dead: Attachment[] = [];
  for (const attachment of exported(dmaBuf).attachments) {
    const own = attached(attachment);
    if (own.mapping?.state !== 'mapped') continue;
    own.mapping.end('invalidated');
    dead.push(own);
  }
  for (const own of dead) {
    // Another importer's callback may have unmapped this one already.
    if (own.mapping?.state === 'invalidated') own.importer.invalidateMappings?.(own);
  }
}

/** Invalidates every mapping and refuses new ones, for good. Idempotent. */
export function dma_buf_revoke(dmaBuf: DmaBuf): void {
  exported(dmaBuf).state = 'revoked';
  dma_buf_invalidate_mappings(dmaBuf);
}

/** The exporter's promises: the segments are the whole buffer, none longer than the importer takes. */
function checkSegments({ dmaBuf, importer }: Attachment, segments: readonly DmaSegment[]): void {
  let total = 0;
  for (const { bytes } of segments) {
    const fits = bytes.byteLength > 0 && bytes.byteLength <= importer.maxSegmentBytes;
    assert(fits, `Expected segments of 1 to ${importer.maxSegmentBytes} bytes`);
    total += bytes.byteLength;
  }
  assert(total === dmaBuf.size, `Expected segments of ${dmaBuf.size} bytes but found ${total}`);
}

function exported(dmaBuf: DmaBuf): ExportedDmaBuf {
  assert(dmaBuf instanceof ExportedDmaBuf, 'Expected a dma-buf of dma_buf_export()');
  return dmaBuf;
}

function attached(attachment: DmaBufAttachment): Attachment {
  assert(attachment instanceof Attachment, 'Expected an attachment of dma_buf_attach()');
  assert(attachment.dmaBuf.attachments.has(attachment), 'Expected a live attachment');
  return attachment;
}
