/** From a gather list to views of memory, with every check that a key asks for. */
import { assert } from '../../common/assert.ts';
import type { IbvPd } from './context.ts';
import type { Admission, IbvAccessFlag } from './mr.ts';
import type { IbvSge } from './work-request.ts';

/** `denied`: a check failed. `fault`: a page is not there yet, to be tried again. */
export type Gathered = Uint8Array[] | 'denied' | 'fault';

export interface GatherRange {
  readonly offset: number;
  readonly length: number;
  /** What the region must allow; reading is always allowed. */
  readonly right: IbvAccessFlag | undefined;
}

export function isGathered(gathered: Gathered): gathered is Uint8Array[] {
  return typeof gathered !== 'string';
}

/** Views of the part [offset, offset + length) of a list, for a user in `pd`. */
export function gather(pd: IbvPd, list: readonly IbvSge[], range: GatherRange): Gathered {
  const [only] = list;
  if (only !== undefined && list.length === 1 && range.length > 0) {
    return gatherPiece(pd, only.lkey, only.address + range.offset, range.length, range.right);
  }
  return gatherPieces(pd, list, range);
}

/** Whether `gather` would be granted all of that part. */
export function admit(
  pd: IbvPd,
  list: readonly IbvSge[],
  { offset, length, right }: GatherRange,
): Admission {
  let skip = offset;
  let left = length;
  for (const sge of list) {
    const count = Math.min(left, sge.length - skip);
    if (count > 0) {
      const region = pd.context.nic.region(sge.lkey);
      const admission = region?.admit(pd, right, sge.address + skip, count) ?? 'denied';
      if (admission !== 'granted') return admission;
      left -= count;
    }
    skip = Math.max(0, skip - sge.length);
  }
  assert(left === 0, 'Expected the range to lie inside the list');
  return 'granted';
}

function gatherPieces(
  pd: IbvPd,
  list: readonly IbvSge[],
  { offset, length, right }: GatherRange,
): Gathered {
  const views: Uint8Array[] = [];
  let skip = offset;
  let left = length;
  for (const sge of list) {
    const count = Math.min(left, sge.length - skip);
    if (count > 0) {
      const piece = gatherPiece(pd, sge.lkey, sge.address + skip, count, right);
      if (!isGathered(piece)) return piece;
      views.push(...piece);
      left -= count;
    }
    skip = Math.max(0, skip - sge.length);
  }
  assert(left === 0, 'Expected the range to lie inside the list');
  return views;
}

function gatherPiece(
  pd: IbvPd,
  lkey: number,
  address: number,
  length: number,
  right: IbvAccessFlag | undefined,
): Gathered {
  const region = pd.context.nic.region(lkey);
  if (region === undefined) return 'denied';
  const admission = region.admit(pd, right, address, length);
  return admission === 'granted' ? region.views(address, length) : admission;
}
