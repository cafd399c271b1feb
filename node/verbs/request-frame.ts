/** The header of one frame of a posted request. */
import type { FrameHeader } from '../transport/frame.ts';
import { frameSlice } from './frame-header.ts';
import { psnDistance } from './psn.ts';
import type { IbvQp } from './qp.ts';
import type { SendEntry } from './send-queue.ts';
import { OPCODES } from './work-request.ts';

/** Every field is written out: this is made for every frame that is sent. */
export function requestHeader(qp: IbvQp, entry: SendEntry, psn: number): FrameHeader {
  const { wr, answer, payload } = entry;
  const { path_mtu, dest_qp_num } = qp.attributes;
  // The frame of a READ carries nothing, that of an atomic its operands, whatever the path MTU is.
  const isMessage = answer === 'ack';
  const length = isMessage ? entry.length : (payload?.byteLength ?? 0);
  const mtu = isMessage ? path_mtu : Math.max(length, 1);
  const slice = frameSlice(length, mtu, psnDistance(psn, entry.firstPsn));
  return {
    type: OPCODES[wr.opcode].frame,
    first: slice.first,
    last: slice.last,
    ackLater: wr.ack_later ?? false,
    destQpn: dest_qp_num,
    sourceQpn: qp.qp_num,
    qpEpoch: qp.epoch,
    psn,
    remoteAddress: wr.remote_addr ?? 0,
    rkey: wr.rkey ?? 0,
    messageLength: answer === 'read' ? entry.length : length,
    messageOffset: slice.messageOffset,
    payloadLength: slice.payloadLength,
    immediate: (wr.imm_data ?? 0) >>> 0,
    syndrome: 'NONE',
    credits: 0,
  };
}
