/** Counts what the exporter of a buffer and its importers are asked to do. */
import type { DmaBuf, DmaBufAttachment } from '../../../node/dmabuf/dma-buf.ts';
import { dma_resv_test_signaled } from '../../../node/dmabuf/reservation.ts';
import type { Findings } from './findings.ts';

type Callback<R> = (attachment: DmaBufAttachment) => R;
/** The exporter's functions, as a test may replace them. */
interface Replaceable {
  pin?: Callback<unknown>;
  unpin?: Callback<void>;
  unmap?: Callback<void>;
  release(): void;
}

export class BufferWatch {
  readonly #name: string;
  readonly #dmaBuf: DmaBuf;
  readonly #findings: Findings;
  readonly #told = new Map<DmaBufAttachment, number>();
  #pins = 0;
  #releases = 0;

  constructor(name: string, dmaBuf: DmaBuf, findings: Findings) {
    this.#name = name;
    this.#dmaBuf = dmaBuf;
    this.#findings = findings;
    const operations = dmaBuf.operations as unknown as Replaceable;
    const { pin, unpin, release } = operations;
    if (pin !== undefined && unpin !== undefined) {
      operations.pin = (attachment) => this.#pinned(pin(attachment));
      operations.unpin = (attachment) => {
        this.#unpinned();
        unpin(attachment);
      };
    }
    operations.release = () => {
      this.#released();
      release();
    };
  }

  /** Watches the callbacks of importers that have attached since. */
  watchImporters(): void {
    for (const attachment of this.#dmaBuf.attachments) {
      if (this.#told.has(attachment)) continue;
      this.#told.set(attachment, 0);
      const { importer } = attachment;
      const invalidate = importer.invalidateMappings?.bind(importer);
      if (invalidate === undefined) continue;
      const value = (about: DmaBufAttachment) => {
        this.#invalidated(about);
        invalidate(about);
      };
      Object.defineProperty(importer, 'invalidateMappings', { value });
    }
  }

  /** Nobody has the buffer any more. */
  checkEnd(): void {
    this.#findings.check(
      'I11',
      this.#pins === 0,
      () => `Expected as many unpins as pins of ${this.#name} but ${this.#pins} are left`,
    );
    this.#findings.check(
      'I18',
      dma_resv_test_signaled(this.#dmaBuf.reservation, 'BOOKKEEP'),
      () => `Expected every fence of ${this.#name} to have signalled`,
    );
  }

  #pinned(result: unknown): unknown {
    if (result === undefined) this.#pins++;
    return result;
  }

  #unpinned(): void {
    this.#pins--;
    this.#findings.check(
      'I11',
      this.#pins >= 0,
      () => `Expected no unpin of ${this.#name} without a pin`,
    );
  }

  #released(): void {
    this.#releases++;
    const { attachments } = this.#dmaBuf;
    this.#findings.check(
      'I10',
      this.#releases === 1 && attachments.size === 0,
      () =>
        `Expected ${this.#name} to be released once, after its last importer, but found release ${this.#releases} with ${attachments.size} attachments`,
    );
  }

  /** A pinned importer once in its life; one that maps on demand once per mapping. */
  #invalidated(attachment: DmaBufAttachment): void {
    const times = (this.#told.get(attachment) ?? 0) + 1;
    this.#told.set(attachment, times);
    this.#findings.check(
      'I19',
      attachment.pins === 0 || times === 1,
      () => `Expected a pinned importer of ${this.#name} to be told once but found ${times} times`,
    );
  }
}
