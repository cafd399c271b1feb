/** Posting work requests, good ones and ones that must fail. */
import { ibv_post_recv, ibv_post_send } from '../../../../node/verbs/qp.ts';
import type { IbvSendFlag, IbvSendWr } from '../../../../node/verbs/work-request.ts';
import { type End, peerOf, type Receive, type Work } from '../connection.ts';
import { copyUnseen } from '../memory-probe.ts';
import { SLOT_BYTES } from '../shadow-buffer.ts';
import { GRANULE_BYTES } from '../shadow-device.ts';
import type { World } from '../world.ts';
import { type Place, RIGHT_OF, type Transfer } from './transfers.ts';

const OPCODE_OF = {
  write: 'IBV_WR_RDMA_WRITE',
  read: 'IBV_WR_RDMA_READ',
  send: 'IBV_WR_SEND',
  compareSwap: 'IBV_WR_ATOMIC_CMP_AND_SWP',
  fetchAdd: 'IBV_WR_ATOMIC_FETCH_AND_ADD',
} as const;

const UNSIGNALED_RATE = 0.15;
const FENCE_RATE = 0.1;
/** How often the frames of an atomic, and of its answer, arrive twice. */
const DUPLICATE_RATE = 0.3;
const DUPLICATES = 4;
const ATOMIC_BYTES = 8;
/** `max_inline_data` of the program's queue pairs, in granules. */
export const INLINE_GRANULES = 4;
/** A key that nobody has. */
const KEY_OF_NOBODY = 7;

export function post(world: World, transfer: Transfer): string {
  const { kind, variant, from, local, remote } = transfer;
  const number = world.number();
  const isAtomic = kind === 'compareSwap' || kind === 'fetchAdd';
  const length = lengthOf(world, transfer);
  const source = kind === 'read' || isAtomic ? remote : local;
  const target = kind === 'read' || isAtomic ? local : kind === 'write' ? remote : undefined;
  const isEmpty = length === 0;
  if (!isAtomic && !isEmpty) refresh(source, length, number);
  const work: Work = {
    number,
    kind,
    variant,
    from,
    signaled: !world.chance(UNSIGNALED_RATE),
    mustFail: isEmpty ? undefined : verdict(transfer, length),
    local: local.region,
    remote: remote.region,
    source: source.slot,
    target: isEmpty ? undefined : target?.slot,
    length,
    expected: isAtomic ? new Uint8Array(0) : bytesAt(source, length),
    outcome: 'pending',
  };
  const inline = variant === 'inline' ? work.expected.slice() : undefined;
  if (isAtomic && world.chance(DUPLICATE_RATE)) world.faults.armDuplicate(DUPLICATES);
  if (kind === 'send') {
    postReceive(
      world,
      peerOf(from),
      remote,
      variant === 'shortReceive' ? GRANULE_BYTES : SLOT_BYTES,
    );
  }
  const errno = ibv_post_send(from.qp, requestOf(world, transfer, work, inline));
  // The buffer is the program's again.
  inline?.fill(0xff);
  world.findings.check(
    'I29',
    errno === undefined || errno === 'ENOMEM',
    () => `Expected qp ${from.qp.qp_num} in ${from.qp.state} to take ${kind} but found ${errno}`,
  );
  if (errno === undefined) posted(work);
  const keys = `${local.region.key} ${local.region.mode} > ${remote.region.key} ${remote.region.mode}`;
  const reason = work.mustFail === undefined ? '' : `, must fail: ${work.mustFail.reason}`;
  return `work ${number} qp ${from.qp.qp_num} ${variant} ${length} bytes ${keys} ${errno ?? 'ok'}${reason}`;
}

function lengthOf(world: World, { kind, variant }: Transfer): number {
  if (variant === 'zeroLength') return 0;
  if (kind === 'compareSwap' || kind === 'fetchAdd') return ATOMIC_BYTES;
  const granules = variant === 'inline' ? INLINE_GRANULES : SLOT_BYTES / GRANULE_BYTES;
  return GRANULE_BYTES * (1 + world.prng.below(granules));
}

function requestOf(
  world: World,
  { kind, variant, local, remote }: Transfer,
  work: Work,
  inline: Uint8Array | undefined,
): IbvSendWr {
  const { signaled, length } = work;
  const flags: IbvSendFlag[] = [];
  if (signaled) flags.push('IBV_SEND_SIGNALED');
  if (inline !== undefined) flags.push('IBV_SEND_INLINE');
  if (world.chance(FENCE_RATE)) flags.push('IBV_SEND_FENCE');
  const isBare = inline !== undefined || length === 0;
  const sge = { lkey: local.region.mr.lkey, address: addressOf(local), length };
  const { region } = remote;
  const remoteAddress =
    variant === 'outOfRange' ? region.iova + region.length - GRANULE_BYTES / 2 : addressOf(remote);
  return {
    wr_id: work,
    opcode: OPCODE_OF[kind],
    sg_list: isBare ? [] : [sge],
    send_flags: flags,
    ...(inline !== undefined && { inline_data: inline }),
    ...(kind !== 'send' && {
      remote_addr: remoteAddress,
      rkey: length === 0 ? KEY_OF_NOBODY : region.mr.rkey,
    }),
    ...(kind === 'fetchAdd' && { compare_add: 1n }),
    ...(kind === 'compareSwap' && { compare_add: 0n, swap: 0n }),
  };
}

/** Address of a slot as users of the region write it. */
function addressOf({ region, slot }: Place): number {
  return region.iova + slot.offset - region.start;
}

/** New bytes at a source, if its owner can still write there. */
function refresh({ region, slot }: Place, length: number, number: number): void {
  const { opening } = region.buffer;
  if (opening !== opening.device.current || opening.state !== 'open' || slot.readers > 0) return;
  const words = new Uint32Array(length / 4);
  for (let at = 0; at < words.length; at++) words[at] = Math.imul(number, 0x9e3779b1) + at;
  const { bytes } = opening.device;
  copyUnseen(bytes.subarray(slot.offset, slot.offset + length), new Uint8Array(words.buffer));
  opening.device.wrote(slot.offset, length, number, opening.number);
}

function bytesAt({ region, slot }: Place, length: number): Uint8Array {
  return region.buffer.opening.device.bytes.slice(slot.offset, slot.offset + length);
}

/** Why the request must fail, by what is known when it is posted. */
function verdict(transfer: Transfer, length: number): Work['mustFail'] {
  const { kind, variant, from, local, remote } = transfer;
  if (variant !== 'inline' && isRevoked(local)) {
    return { reason: 'its local region is revoked', invariant: 'I1' };
  }
  if (isRevoked(remote)) return { reason: 'its remote region is revoked', invariant: 'I1' };
  const isForeign =
    (variant !== 'inline' && local.region.pd !== from.user.verbs?.pd) ||
    remote.region.pd !== peerOf(from).user.verbs?.pd;
  if (isForeign) return { reason: 'a region is of another domain', invariant: 'I4' };
  if (variant === 'outOfRange') return { reason: 'it leaves its region', invariant: 'I4' };
  if (variant === 'shortReceive' && length > GRANULE_BYTES) {
    return { reason: 'the receive is too short', invariant: 'I34' };
  }
  const answers = kind !== 'write' && kind !== 'send';
  if (answers && !local.region.access.has('IBV_ACCESS_LOCAL_WRITE')) {
    return { reason: 'its local region is not writable', invariant: 'I4' };
  }
  if (remote.region.access.has(RIGHT_OF[kind])) return undefined;
  return { reason: 'the right is missing at the peer', invariant: 'I4' };
}

/** For good: one that maps on demand may work again when the buffer does. */
function isRevoked({ region }: Place): boolean {
  if (region.state !== 'dead') return false;
  return region.mode !== 'dynamic' || region.buffer.state === 'permanentlyRevoked';
}

function posted(work: Work): void {
  work.source.readers++;
  if (work.kind === 'fetchAdd') work.remote.buffer.counter.outstanding++;
  if (work.target !== undefined) work.target.writer = work.number;
  work.from.sends.push(work);
  work.from.connection().works.push(work);
  if (work.kind === 'send') peerOf(work.from).incoming.push(work);
}

function postReceive(world: World, end: End, { region, slot }: Place, length: number): void {
  const number = world.number();
  const receive: Receive = { number, end, region, target: slot, outcome: 'pending' };
  const address = region.iova + slot.offset - region.start;
  const sg_list = [{ lkey: region.mr.lkey, address, length }];
  const errno = ibv_post_recv(end.qp, { wr_id: receive, sg_list });
  if (errno !== undefined) return;
  slot.writer = receive.number;
  end.receives.push(receive);
  end.connection().receiveRegions.push(region);
}
