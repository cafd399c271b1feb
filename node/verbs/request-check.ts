/**
 * Whether the next request frame of a peer may be executed, and where its payload goes. Nothing is
 * changed here and nothing stored. Order of checks: form, rights of the queue pair, then for RDMA key,
 * domain, rights of the region, state and range (Linux, rxe `check_op_seq` ... `check_rkey`).
 */
import { FIXED_PAYLOAD_BYTES, type FrameHeader } from '../transport/frame.ts';
import { ATOMIC_BYTES } from './atomic.ts';
import { admit, type GatherRange, gather, isGathered } from './gather.ts';
import type { IbvAccessFlag } from './mr.ts';
import type { IbvQp } from './qp.ts';
import { RESPONDER_FAULTS, type ResponderFault } from './responder-faults.ts';
import { admitRead } from './response-queue.ts';
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
  /** Another READ or atomic may be in progress. */
  readonly hasResponseRoom: boolean;
}

type Verdict = ResponderFault | undefined;

const { invalidRequest, noAccess, notReady, badReceive, receiveTooShort } = RESPONDER_FAULTS;

/** Why the frame is not executed, if so. */
export function checkRequest(qp: IbvQp, progress: RequestProgress, header: FrameHeader): Verdict {
  if (!continues(progress.message, header)) return invalidRequest;
  switch (header.type) {
    case 'READ_REQUEST':
      return progress.hasResponseRoom ? checkRead(qp, header) : invalidRequest;
    case 'ATOMIC_CAS':
    case 'ATOMIC_FAA':
      return progress.hasResponseRoom ? checkAtomic(qp, header) : invalidRequest;
    case 'WRITE':
    case 'WRITE_IMM':
      return checkWrite(qp, progress, header);
    case 'SEND':
    case 'SEND_IMM':
      return checkSend(qp, progress, header);
    default:
      return invalidRequest;
  }
}

/** Why a READ may not be answered, if so. */
export function checkRead(qp: IbvQp, header: FrameHeader): Verdict {
  if (!allows(qp, 'IBV_ACCESS_REMOTE_READ')) return invalidRequest;
  return verdictOf(admitRead(qp, header));
}

/** Where the payload goes of a WRITE or SEND frame that `checkRequest` has let through. */
export function requestTarget(
  qp: IbvQp,
  { receive }: RequestProgress,
  header: FrameHeader,
): readonly Uint8Array[] {
  const { type, remoteAddress, rkey, messageOffset, payloadLength } = header;
  if (payloadLength === 0) return [];
  if (type === 'WRITE' || type === 'WRITE_IMM') {
    return qp.context.nic.region(rkey)?.views(remoteAddress + messageOffset, payloadLength) ?? [];
  }
  const gathered = gather(qp.pd, receive?.sg_list ?? [], receiveRange(header));
  return isGathered(gathered) ? gathered : [];
}

/** Whether the frame is the next part of the message that is arriving, or starts one. */
function continues(message: PartialMessage | undefined, header: FrameHeader): boolean {
  const { type, messageOffset, payloadLength, messageLength } = header;
  if (type === 'READ_REQUEST') return message === undefined && payloadLength === 0;
  const end = messageOffset + payloadLength;
  if (end > messageLength || header.last !== (end === messageLength)) return false;
  if (message === undefined) {
    const fixed = FIXED_PAYLOAD_BYTES[type];
    return header.first && messageOffset === 0 && (fixed === undefined || fixed === messageLength);
  }
  if (header.first || message.type !== type) return false;
  return messageLength === message.length && messageOffset === message.offset;
}

function checkAtomic(qp: IbvQp, { rkey, remoteAddress }: FrameHeader): Verdict {
  if (!allows(qp, 'IBV_ACCESS_REMOTE_ATOMIC')) return invalidRequest;
  if (remoteAddress % ATOMIC_BYTES !== 0) return invalidRequest;
  return verdictOf(
    qp.context.nic
      .region(rkey)
      ?.admit(qp.pd, 'IBV_ACCESS_REMOTE_ATOMIC', remoteAddress, ATOMIC_BYTES) ?? 'denied',
  );
}

/** The whole message must be inside the region, or not even its first frame is stored. */
function checkWrite(qp: IbvQp, { receive }: RequestProgress, header: FrameHeader): Verdict {
  const { type, rkey, remoteAddress, messageLength } = header;
  if (!allows(qp, 'IBV_ACCESS_REMOTE_WRITE')) return invalidRequest;
  if (messageLength > 0) {
    const region = qp.context.nic.region(rkey);
    const right = 'IBV_ACCESS_REMOTE_WRITE';
    const admission = region?.admit(qp.pd, right, remoteAddress, messageLength) ?? 'denied';
    if (admission === 'fault') return notReady;
    if (admission === 'denied') {
      const reported = type === 'WRITE_IMM' && receive !== undefined;
      return reported ? RESPONDER_FAULTS.noAccessWithImmediate : noAccess;
    }
  }
  return type === 'WRITE_IMM' && header.last && receive === undefined ? notReady : undefined;
}

function checkSend(qp: IbvQp, { receive }: RequestProgress, header: FrameHeader): Verdict {
  if (receive === undefined) return notReady;
  if (header.messageLength > sgeLength(receive.sg_list)) return receiveTooShort;
  const admission = admit(qp.pd, receive.sg_list, receiveRange(header));
  if (admission === 'fault') return notReady;
  return admission === 'denied' ? badReceive : undefined;
}

/** The part of its receive that a SEND frame fills. */
function receiveRange({ messageOffset, payloadLength }: FrameHeader): GatherRange {
  return { offset: messageOffset, length: payloadLength, right: 'IBV_ACCESS_LOCAL_WRITE' };
}

/** The queue pair grants the right to its peer. */
function allows(qp: IbvQp, right: IbvAccessFlag): boolean {
  return qp.attributes.qp_access_flags.includes(right);
}

function verdictOf(admission: 'granted' | 'denied' | 'fault'): Verdict {
  if (admission === 'granted') return undefined;
  return admission === 'fault' ? notReady : noAccess;
}
