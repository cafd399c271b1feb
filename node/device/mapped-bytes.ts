/** From a translated range to the bytes themselves, at the moment they are touched. */
import type { Errno } from '../../common/errno.ts';
import type { SgTable } from '../dmabuf/dma-buf.ts';
import type { Hbm } from './hbm.ts';
import { isLive, type MappedRange } from './mmu.ts';

/** The range's bytes, in order. EIO if its memory was taken away since it was translated. */
export function mappedBytes(hbm: Hbm, range: MappedRange): readonly Uint8Array[] | Errno {
  const { mapping, offset, bytes } = range;
  if (!isLive(range)) return 'EIO';
  switch (mapping.kind) {
    case 'dram':
      return [hbm.view(mapping.offset + offset, bytes)];
    case 'host':
      return [mapping.view.subarray(offset, offset + bytes)];
    case 'import':
      return segmentBytes(mapping.table, offset, bytes);
  }
}

/** The part [offset, offset + bytes) of a dma-buf. */
function segmentBytes(table: SgTable, offset: number, bytes: number): readonly Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let start = 0;
  for (const segment of table.segments) {
    const end = start + segment.bytes.byteLength;
    const from = Math.max(offset, start);
    const to = Math.min(offset + bytes, end);
    if (from < to) pieces.push(segment.bytes.subarray(from - start, to - start));
    start = end;
  }
  return pieces;
}

/** Copies `source` to `destination`, which have the same total length and do not overlap. */
export function copyBytes(destination: readonly Uint8Array[], source: readonly Uint8Array[]): void {
  let index = 0;
  let done = 0;
  for (const target of destination) {
    let filled = 0;
    while (filled < target.byteLength) {
      const from = source[index];
      if (from === undefined) return;
      const length = Math.min(target.byteLength - filled, from.byteLength - done);
      target.set(from.subarray(done, done + length), filled);
      filled += length;
      done += length;
      if (done === from.byteLength) {
        index++;
        done = 0;
      }
    }
  }
}
