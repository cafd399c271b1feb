/** What a posted send request must be like (ibv_post_send(3)), and what is kept of it. */
import { ATOMIC_BYTES, encodeOperands } from './atomic.ts';
import { frameCount } from './frame-header.ts';
import type { QpAttributes } from './qp-attributes.ts';
import type { SendRequest } from './send-queue.ts';
import { type IbvSendWr, isWellFormed, OPCODES, sgeLength } from './work-request.ts';

/** What of a queue pair limits its requests. */
export interface SendLimits {
  readonly max_send_sge: number;
  readonly max_inline_data: number;
  readonly attributes: QpAttributes;
}

/** The request as it is queued; `undefined` (EINVAL) if it cannot be one. */
export function prepareSend(wr: IbvSendWr, limits: SendLimits): SendRequest | undefined {
  const { rdma, answer } = OPCODES[wr.opcode];
  const { attributes } = limits;
  if (!isWellFormed(wr.sg_list, limits.max_send_sge)) return undefined;
  if (rdma && !isRemote(wr)) return undefined;
  const flags = wr.send_flags;
  const fence = flags?.includes('IBV_SEND_FENCE') ?? false;
  const length = sgeLength(wr.sg_list);
  if (flags?.includes('IBV_SEND_INLINE') ?? false) return prepareInline(wr, limits, fence);
  if (wr.inline_data !== undefined) return undefined;
  if (answer === 'ack') {
    const frames = frameCount(length, attributes.path_mtu);
    return { wr, answer, length, frames, payload: undefined, fence };
  }
  // A queue pair that may have no READ or atomic under way could never send one.
  if (attributes.max_rd_atomic === 0) return undefined;
  if (answer === 'read') return { wr, answer, length, frames: 1, payload: undefined, fence };
  if (length !== ATOMIC_BYTES) return undefined;
  return { wr, answer, length, frames: 1, payload: encodeOperands(wr), fence };
}

function prepareInline(
  wr: IbvSendWr,
  { max_inline_data, attributes }: SendLimits,
  fence: boolean,
): SendRequest | undefined {
  const { inline_data } = wr;
  if (OPCODES[wr.opcode].answer !== 'ack' || wr.sg_list.length > 0) return undefined;
  if (inline_data === undefined || inline_data.byteLength > max_inline_data) return undefined;
  const length = inline_data.byteLength;
  const frames = frameCount(length, attributes.path_mtu);
  return { wr, answer: 'ack', length, frames, payload: inline_data.slice(), fence };
}

function isRemote(wr: IbvSendWr): boolean {
  const { remote_addr: address, rkey } = wr;
  if (address === undefined || rkey === undefined) return false;
  return Number.isSafeInteger(address) && address >= 0 && Number.isInteger(rkey) && rkey >= 0;
}
