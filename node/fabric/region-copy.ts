/**
 * Short copies between host memory and a registered region, done by the NIC inside the call: what a
 * provider does with the bytes of an eager message (libfabric `ofi_copy_from_hmem`, `ofi_copy_to_hmem`),
 * for a library that puts bytes of device memory into its own messages. With the checks of the region's
 * key, and nothing of the region is held when the call returns.
 */
import { type Gathered, gather } from '../verbs/gather.ts';
import type { IbvAccessFlag } from '../verbs/mr.ts';
import type { FiDomain } from './domain.ts';
import type { FiMrBuffer } from './fabric.ts';
import { verbsOf } from './mr.ts';

/** `denied`: the region does not allow it, or is revoked. `fault`: a page is not there yet, try again. */
export type RegionCopy = 'copied' | 'denied' | 'fault';

/** Fills `bytes` from the region. */
export function copyFromRegion(
  domain: FiDomain,
  source: FiMrBuffer,
  bytes: Uint8Array,
): RegionCopy {
  const views = viewsOf(domain, source, bytes.byteLength, undefined);
  if (typeof views === 'string') return views;
  let offset = 0;
  for (const view of views) {
    bytes.set(view, offset);
    offset += view.byteLength;
  }
  return 'copied';
}

/** Writes `bytes` into the region. */
export function copyToRegion(domain: FiDomain, target: FiMrBuffer, bytes: Uint8Array): RegionCopy {
  const views = viewsOf(domain, target, bytes.byteLength, 'IBV_ACCESS_LOCAL_WRITE');
  if (typeof views === 'string') return views;
  let offset = 0;
  for (const view of views) {
    view.set(bytes.subarray(offset, offset + view.byteLength));
    offset += view.byteLength;
  }
  return 'copied';
}

function viewsOf(
  { pd }: FiDomain,
  { mr, address }: FiMrBuffer,
  length: number,
  right: IbvAccessFlag | undefined,
): Gathered {
  const { lkey } = verbsOf(mr);
  return gather(pd, [{ lkey, address, length }], { offset: 0, length, right });
}
