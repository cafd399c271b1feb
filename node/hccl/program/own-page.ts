/** Device memory of HCCL's own that the program's thread and the host's main thread both use. */
import { assert } from '../../../common/assert.ts';
import type { FiMr } from '../../fabric/fabric.ts';
import { verbsOf } from '../../fabric/mr.ts';
import type { DeviceSession } from '../device-session.ts';

export interface OwnPage {
  readonly address: number;
  readonly mr: FiMr;
  /** In the device's memory. */
  readonly offset: number;
  readonly memory: SharedArrayBuffer;
}

/** Zeros. hcclOutOfMemory if there is too little. */
export async function ownPage(session: DeviceSession, bytes: number): Promise<OwnPage> {
  const { address, mr } = await session.allocate(bytes, 'own pages');
  const view = bytesOf(mr);
  view.fill(0);
  return { address, mr, offset: view.byteOffset, memory: view.buffer as SharedArrayBuffer };
}

/** A registration's bytes in the device's memory: one piece, since HBM is contiguous. */
export function bytesOf(mr: FiMr): Uint8Array {
  const views = verbsOf(mr).views(mr.address, mr.length);
  const view = views[0];
  assert(view !== undefined && views.length === 1, 'Expected device memory in one piece');
  return view;
}
