/**
 * Reads, writes and atomics of user programs on a peer's regions (fi_rma(3), fi_atomic(3)). FI_EAGAIN
 * is a value and means that nothing has happened: try again after `waitForProgress`.
 */
import type { FiDatatype, FiOp } from './fabric/atomic.ts';
import type { FiAddr, FiErrno } from './fabric/fabric.ts';
import type { FiFlag } from './fabric/flags.ts';
import {
  attempt,
  type FabricBuffer,
  type FabricEndpoint,
  type FabricMrBuffer,
  numbered,
} from './fabric-answer.ts';
import type { SystemCallChannel } from './process/system-call.ts';

type Posted = Promise<FiErrno | undefined>;

/** The peer's side: who, where in its region, and the region's key. */
export interface FabricTarget {
  readonly dest: FiAddr;
  readonly remoteAddress: number;
  readonly key: bigint;
}

/** `struct fi_msg_rma` */
export interface FabricMsgRma extends FabricTarget {
  readonly local: FabricMrBuffer;
  readonly context: number;
  /** 32 bit, with FI_REMOTE_CQ_DATA. */
  readonly data?: number;
}

/** Of operations and types only FI_SUM, FI_ATOMIC_READ and FI_CSWAP on FI_UINT64; else FI_EOPNOTSUPP. */
export interface FabricAtomicTarget extends FabricTarget {
  readonly datatype: FiDatatype;
  readonly op: FiOp;
}

/** Writes into the peer's region, which nobody there is told. */
export function fi_write(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  local: FabricMrBuffer,
  target: FabricTarget,
  context: number,
): Posted {
  return rma(channel, 'fi_writemsg', endpoint, { local, ...target, context });
}

/** As fi_write; the peer gets a `remoteWriteData` completion with `data` (32 bit). */
export function fi_writedata(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  local: FabricMrBuffer,
  data: number,
  target: FabricTarget,
  context: number,
): Posted {
  return rma(channel, 'fi_writemsg', endpoint, { local, ...target, data, context });
}

export function fi_writemsg(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  message: FabricMsgRma,
  flags: readonly FiFlag[],
): Posted {
  return rma(channel, 'fi_writemsg', endpoint, { ...message, flags });
}

/** Reads from the peer's region. */
export function fi_read(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  local: FabricMrBuffer,
  target: FabricTarget,
  context: number,
): Posted {
  return rma(channel, 'fi_readmsg', endpoint, { local, ...target, context });
}

export function fi_readmsg(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  message: FabricMsgRma,
  flags: readonly FiFlag[],
): Posted {
  return rma(channel, 'fi_readmsg', endpoint, { ...message, flags });
}

/** FI_SUM: adds `operand` to the 8 bytes there. */
export function fi_atomic(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  operand: bigint,
  target: FabricAtomicTarget,
  context: number,
): Posted {
  return attempt(channel, 'fi_atomic', { endpoint: endpoint.fid, operand, ...target, context });
}

/** As fi_atomic; what was there before comes to `result` (8 bytes). FI_ATOMIC_READ only looks. */
export function fi_fetch_atomic(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  operand: bigint,
  result: FabricBuffer,
  target: FabricAtomicTarget,
  context: number,
): Posted {
  const operands = { operand, result: numbered(result) };
  const argument = { endpoint: endpoint.fid, ...operands, ...target, context };
  return attempt(channel, 'fi_fetch_atomic', argument);
}

/** FI_CSWAP: stores `operand` if `compare` is there; what was there comes to `result` in any case. */
export function fi_compare_atomic(
  channel: SystemCallChannel,
  endpoint: FabricEndpoint,
  operand: bigint,
  compare: bigint,
  result: FabricBuffer,
  target: FabricAtomicTarget,
  context: number,
): Posted {
  const operands = { operand, compare, result: numbered(result) };
  const argument = { endpoint: endpoint.fid, ...operands, ...target, context };
  return attempt(channel, 'fi_compare_atomic', argument);
}

function rma(
  channel: SystemCallChannel,
  name: string,
  { fid }: FabricEndpoint,
  { local, ...rest }: FabricMsgRma & { readonly flags?: readonly FiFlag[] },
): Posted {
  return attempt(channel, name, { endpoint: fid, local: numbered(local), ...rest });
}
