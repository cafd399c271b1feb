/**
 * Whether the next request frame of a peer may be executed, and where its payload goes. Nothing is
 * changed here and nothing stored. Order of checks: form, rights of the queue pair, then for RDMA key,
 * domain, rights of the region, state and range (Linux, rxe `check_op_seq` ... `check_rkey`).
 */
import type { FrameHeader, NakSyndrome } from '../transport/frame.ts';
import type { IbvQp } from './qp.ts';
import { reachForRead } from './read-streams.ts';
import type { IbvWcStatus } from './wc.ts';
import { type IbvRecvWr, sgeLength } from './work-request.ts';

/** The message whose frames are arriving. */
export interface PartialMessage {
  readonly type: FrameHeader['type'];
  readonly length: number;
  /** Where its next frame starts. */
  readonly offset: number;
}

/** How far a responder is. */
export interface RequestProgress {
  readonly message: PartialMessage | undefined;
  /** The receive that the next message takes. */
  readonly receive: IbvRecvWr | undefined;
  /** Another READ may be in progress. */
  readonly hasReadRoom: boolean;
}

/** Why a frame is not executed. `receive`: how the receive at the head of the queue ends by it. */
export interface Refusal {
  readonly syndrome: NakSyndrome;
  readonly receive?: IbvWcStatus;
}

const INVALID: Refusal = { syndrome: 'INVALID_REQUEST' };
const NOT_READY: Refusal = { syndrome: 'RNR' };
export const NO_ACCESS: Refusal = { syndrome: 'REMOTE_ACCESS_ERROR' };

/** Where the payload of the frame goes, or why it is refused. */
export function checkRequest(
  qp: IbvQp,
  progress: RequestProgress,
  header: FrameHeader,
): Uint8Array[] | Refusal {
  if (!continues(progress.message, header)) return INVALID;
  switch (header.type) {
    case 'READ_REQUEST':
      return progress.hasReadRoom ? (checkRead(qp, header) ?? []) : INVALID;
    case 'WRITE':
    case 'WRITE_IMM':
      return checkWrite(qp, progress, header);
    case 'SEND':
    case 'SEND_IMM':
      return checkSend(qp, progress, header);
    default:
      return INVALID;
  }
}

/** Why a READ may not be answered, if so. */
export function checkRead(qp: IbvQp, header: FrameHeader): Refusal | undefined {
  if (!qp.attributes.qp_access_flags.includes('IBV_ACCESS_REMOTE_READ')) return INVALID;
  const views = reachForRead(qp, header, { offset: 0, length: header.messageLength });
  return views === undefined ? NO_ACCESS : undefined;
}

/** Whether the frame is the next part of the message that is arriving, or starts one. */
function continues(message: PartialMessage | undefined, header: FrameHeader): boolean {
  const { messageOffset, payloadLength, messageLength } = header;
  if (header.type === 'READ_REQUEST') return message === undefined && payloadLength === 0;
  if (header.first !== (message === undefined)) return false;
  const same = message === undefined || message.type === header.type;
  if (!same || messageLength !== (message?.length ?? messageLength)) return false;
  if (messageOffset !== (message?.offset ?? 0)) return false;
  const end = messageOffset + payloadLength;
  return end <= messageLength && header.last === (end === messageLength);
}

function checkWrite(
  qp: IbvQp,
  { receive }: RequestProgress,
  header: FrameHeader,
): Uint8Array[] | Refusal {
  if (!qp.attributes.qp_access_flags.includes('IBV_ACCESS_REMOTE_WRITE')) return INVALID;
  const views = writeTarget(qp, header);
  if (views === undefined) return NO_ACCESS;
  const consumes = header.type === 'WRITE_IMM' && header.last;
  return consumes && receive === undefined ? NOT_READY : views;
}

/** The whole message must be inside the region, or not even its first frame is stored. */
function writeTarget(qp: IbvQp, header: FrameHeader): Uint8Array[] | undefined {
  const { remoteAddress, messageLength, messageOffset, payloadLength } = header;
  if (messageLength === 0) return [];
  const region = qp.context.nic.region(header.rkey);
  const right = 'IBV_ACCESS_REMOTE_WRITE';
  if (region?.reach(qp.pd, right, remoteAddress, messageLength) === undefined) return undefined;
  return region.reach(qp.pd, right, remoteAddress + messageOffset, payloadLength);
}

function checkSend(
  qp: IbvQp,
  { receive }: RequestProgress,
  header: FrameHeader,
): Uint8Array[] | Refusal {
  if (receive === undefined) return NOT_READY;
  if (header.messageLength > sgeLength(receive.sg_list)) {
    return { syndrome: 'INVALID_REQUEST', receive: 'IBV_WC_LOC_LEN_ERR' };
  }
  const range = { offset: header.messageOffset, length: header.payloadLength };
  const views = qp.gather(receive.sg_list, range, 'IBV_ACCESS_LOCAL_WRITE');
  return views ?? { syndrome: 'REMOTE_OPERATION_ERROR', receive: 'IBV_WC_LOC_PROT_ERR' };
}
