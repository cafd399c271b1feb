/** What the kernel shows of its dma-bufs: debugfs `bufinfo`, for those who look for whoever keeps one. */
import { dma_buf_attach_revocable } from './attachment.ts';
import type {
  DmaBuf,
  DmaBufAttachment,
  DmaBufHolder,
  DmaBufImporter,
  DmaBufState,
} from './dma-buf.ts';
import type { DmaBufList } from './export.ts';
import { type DmaResvUsage, dma_resv_entries } from './reservation.ts';

/** Plain values only, so that it can be sent. */
export interface DmaBufDescription {
  readonly exporter: string;
  /** Given by a user (DMA_BUF_SET_NAME). */
  readonly name?: string;
  /** In bytes. */
  readonly size: number;
  /** Of its file: descriptors, importers, calls under way. */
  readonly references: number;
  readonly state: DmaBufState;
  /** dma_buf_pin() calls that have not been undone, over all attachments. */
  readonly pins: number;
  readonly attachments: readonly DmaBufAttachmentDescription[];
  /** Fences that have not signalled, by what they stand for. */
  readonly fences: Readonly<Record<DmaResvUsage, number>>;
}

export interface DmaBufAttachmentDescription {
  readonly importer: string;
  readonly holder?: DmaBufHolder;
  readonly kind: DmaBufImporter['kind'];
  readonly state: 'attached' | 'pinned' | 'mapped' | 'invalidated';
  readonly revocable: boolean;
}

/** Every dma-buf of the list, in the order they were exported. */
export function describeDmaBufs(list: DmaBufList): readonly DmaBufDescription[] {
  return list.dmaBufs.map(describeDmaBuf);
}

export function describeDmaBuf(dmaBuf: DmaBuf): DmaBufDescription {
  const attachments = [...dmaBuf.attachments];
  return {
    exporter: dmaBuf.operations.exporter,
    ...(dmaBuf.name === undefined ? {} : { name: dmaBuf.name }),
    size: dmaBuf.size,
    references: dmaBuf.file.references,
    state: dmaBuf.state,
    pins: attachments.reduce((sum, { pins }) => sum + pins, 0),
    attachments: attachments.map(describeAttachment),
    fences: fencesOf(dmaBuf),
  };
}

function describeAttachment(attachment: DmaBufAttachment): DmaBufAttachmentDescription {
  const { name, holder, kind } = attachment.importer;
  return {
    importer: name,
    ...(holder === undefined
      ? {}
      : { holder: { pid: holder.pid, containerId: holder.containerId } }),
    kind,
    state: stateOf(attachment),
    revocable: dma_buf_attach_revocable(attachment),
  };
}

function stateOf({ mapping, pins }: DmaBufAttachment): DmaBufAttachmentDescription['state'] {
  if (mapping !== undefined) return mapping.state === 'mapped' ? 'mapped' : 'invalidated';
  return pins > 0 ? 'pinned' : 'attached';
}

function fencesOf({ reservation }: DmaBuf): Record<DmaResvUsage, number> {
  const counts: Record<DmaResvUsage, number> = { KERNEL: 0, WRITE: 0, READ: 0, BOOKKEEP: 0 };
  for (const { usage } of dma_resv_entries(reservation, 'BOOKKEEP')) counts[usage]++;
  return counts;
}
