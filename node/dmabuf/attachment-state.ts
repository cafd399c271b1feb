/** An attachment and its mapping, and the exporter's callbacks that change them. For this folder only. */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import type {
  DmaBufAttachment,
  DmaBufImporter,
  DmaDirection,
  DmaSegment,
  SgTable,
} from './dma-buf.ts';
import type { ExportedDmaBuf } from './export.ts';
import { dma_resv_under_lock } from './reservation.ts';

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

  /** One more user of the same mapping, if its direction allows that. */
  share(direction: DmaDirection): SgTable | Errno {
    const fits = this.direction === direction || this.direction === 'DMA_BIDIRECTIONAL';
    if (this.state !== 'mapped' || !fits) return 'EBUSY';
    this.users++;
    return this;
  }

  end(state: 'invalidated' | 'unmapped'): void {
    this.segments.length = 0;
    this.state = state;
  }
}

/** The one implementation of `DmaBufAttachment`. Its methods are called under the lock. */
export class Attachment implements DmaBufAttachment {
  readonly dmaBuf: ExportedDmaBuf;
  readonly importer: DmaBufImporter;
  peer2peer: boolean;
  pins = 0;
  mapping: Mapping | undefined;

  constructor(dmaBuf: ExportedDmaBuf, importer: DmaBufImporter) {
    this.dmaBuf = dmaBuf;
    this.importer = importer;
    this.peer2peer = importer.allowPeer2Peer;
  }

  /** The importer can be made to stop. */
  get isRevocable(): boolean {
    return this.importer.invalidateMappings !== undefined;
  }

  pin(): Errno | undefined {
    if (this.dmaBuf.state !== 'live') return 'ENODEV';
    const errno = this.#call(() => this.dmaBuf.operations.pin?.(this));
    if (errno === undefined) this.pins++;
    return errno;
  }

  unpin(): void {
    assert(this.pins > 0, 'Expected a pinned attachment');
    this.pins--;
    this.#call(() => this.dmaBuf.operations.unpin?.(this));
  }

  map(direction: DmaDirection): SgTable | Errno {
    const segments = this.#call(() => this.dmaBuf.operations.map(this, direction));
    if (typeof segments === 'string') return segments;
    if (segments.length === 0) return 'ENOMEM';
    this.#check(segments);
    this.mapping = new Mapping(segments, direction);
    return this.mapping;
  }

  unmap(): 'unmapped' | 'shared' {
    const { mapping, dmaBuf } = this;
    assert(mapping !== undefined, 'Expected a mapped attachment');
    mapping.users--;
    if (mapping.users > 0) return 'shared';
    this.mapping = undefined;
    mapping.end('unmapped');
    this.#call(() => dmaBuf.operations.unmap?.(this));
    return 'unmapped';
  }

  /** The mapping of an importer that can be stopped goes dead. Whether there was one. */
  invalidate(): boolean {
    if (!this.isRevocable || this.mapping?.state !== 'mapped') return false;
    this.mapping.end('invalidated');
    return true;
  }

  /** Tells the importer of `invalidate()`, unless it has unmapped meanwhile. */
  tell(): void {
    if (this.mapping?.state !== 'invalidated') return;
    this.#call(() => this.importer.invalidateMappings?.(this));
  }

  #call<T>(callback: () => T): T {
    return dma_resv_under_lock(this.dmaBuf.reservation, callback);
  }

  /** The exporter's promises: the segments are the whole buffer, none longer than the importer takes. */
  #check(segments: readonly DmaSegment[]): void {
    const { dmaBuf, importer } = this;
    let total = 0;
    for (const { bytes } of segments) {
      const fits = bytes.byteLength > 0 && bytes.byteLength <= importer.maxSegmentBytes;
      assert(fits, `Expected segments of 1 to ${importer.maxSegmentBytes} bytes`);
      total += bytes.byteLength;
    }
    assert(total === dmaBuf.size, `Expected segments of ${dmaBuf.size} bytes but found ${total}`);
  }
}

export function attached(attachment: DmaBufAttachment): Attachment {
  assert(attachment instanceof Attachment, 'Expected an attachment of dma_buf_attach()');
  assert(attachment.dmaBuf.attachments.has(attachment), 'Expected a live attachment');
  return attachment;
}
