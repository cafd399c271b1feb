/**
 * Reads and writes of a peer's regions (fi_rma(3)). The peer checks key, rights and range; what it
 * refuses ends with FI_EIO and IBV_WC_REM_ACCESS_ERR, and not a byte is stored. An operation of no
 * bytes names no memory: its key is not checked. Answers of every call: see `endpoint.ts`.
 */
import { NIC_LIMITS } from '../verbs/limits.ts';
import type { Completing } from './completion-port.ts';
import type { FiAddr, FiCompletionKind, FiErrno, FiMrBuffer } from './fabric.ts';
import { type FiFlag, flagsRefusal } from './flags.ts';
import { verbsOf } from './mr.ts';
import { outcomeOf } from './outcome.ts';
import type { FiEndpoint } from './rdm-endpoint.ts';
import { SendOperation } from './send-operation.ts';

/** `struct fi_msg_rma` */
export interface FiMsgRma {
  readonly local: FiMrBuffer;
  readonly dest: FiAddr;
  readonly remoteAddress: number;
  readonly key: bigint;
  readonly context?: unknown;
  /** 32 bit, with FI_REMOTE_CQ_DATA. */
  readonly data?: number;
}

/** Largest key of verbs. */
const RKEY_MAX = 0xffff_ffffn;

/** Writes into the peer's region `key`, which nobody there is told. */
export function fi_write(
  endpoint: FiEndpoint,
  local: FiMrBuffer,
  dest: FiAddr,
  remoteAddress: number,
  key: bigint,
  context: unknown,
): FiErrno | undefined {
  const message = { local, dest, remoteAddress, key, context };
  return post(endpoint, 'write', message, endpoint.defaults.transmit, undefined);
}

/** As fi_write; the peer gets a `remoteWriteData` completion with `data` (32 bit) behind the bytes. */
export function fi_writedata(
  endpoint: FiEndpoint,
  local: FiMrBuffer,
  data: number,
  dest: FiAddr,
  remoteAddress: number,
  key: bigint,
  context: unknown,
): FiErrno | undefined {
  const message = { local, dest, remoteAddress, key, context };
  return post(endpoint, 'write', message, endpoint.defaults.transmit, data);
}

/** Writes with flags: `FLAGS_TAKEN.write`. FI_INJECT is FI_EOPNOTSUPP: a region is not copied. */
export function fi_writemsg(
  endpoint: FiEndpoint,
  message: FiMsgRma,
  flags: readonly FiFlag[],
): FiErrno | undefined {
  const refusal = flagsRefusal('write', flags);
  if (refusal !== undefined) return refusal;
  if (flags.includes('FI_INJECT')) return 'FI_EOPNOTSUPP';
  const hasData = flags.includes('FI_REMOTE_CQ_DATA');
  return post(endpoint, 'write', message, flags, hasData ? (message.data ?? 0) : undefined);
}

/** Reads from the peer's region `key` into `local`. */
export function fi_read(
  endpoint: FiEndpoint,
  local: FiMrBuffer,
  dest: FiAddr,
  remoteAddress: number,
  key: bigint,
  context: unknown,
): FiErrno | undefined {
  const message = { local, dest, remoteAddress, key, context };
  return post(endpoint, 'read', message, endpoint.defaults.transmit, undefined);
}

/** Reads with flags: `FLAGS_TAKEN.read`. */
export function fi_readmsg(
  endpoint: FiEndpoint,
  message: FiMsgRma,
  flags: readonly FiFlag[],
): FiErrno | undefined {
  return flagsRefusal('read', flags) ?? post(endpoint, 'read', message, flags, undefined);
}

function post(
  endpoint: FiEndpoint,
  kind: 'write' | 'read',
  { local, dest, remoteAddress, key, context }: FiMsgRma,
  flags: readonly FiFlag[],
  data: number | undefined,
): FiErrno | undefined {
  if (!isRemote(remoteAddress, key)) return 'FI_EINVAL';
  const { address, length } = local;
  if (length > NIC_LIMITS.max_msg_sz) return 'FI_EMSGSIZE';
  const isReported = endpoint.isReported('transmit', flags);
  const operation = new SendOperation({
    requests: [
      {
        opcode: opcodeOf(kind, data),
        sg_list: [{ lkey: verbsOf(local.mr).lkey, address, length }],
        remote_addr: remoteAddress,
        rkey: Number(key),
        imm_data: data,
      },
    ],
    repeat: kind === 'read' ? 'harmless' : 'never',
    ended: (status) => {
      endpoint.complete(rmaCompleting(kind, dest, context, isReported, length), outcomeOf(status));
    },
  });
  return endpoint.post(operation, { dest, flags });
}

/** What an operation on a peer's memory is, for its completion. */
export function rmaCompleting(
  kind: FiCompletionKind,
  peer: FiAddr,
  context: unknown,
  isReported: boolean,
  length: number,
): Completing {
  return {
    kind,
    isTagged: false,
    context,
    peer,
    isReported,
    length,
    tag: 0n,
    data: undefined,
    olen: 0,
  };
}

function opcodeOf(kind: 'write' | 'read', data: number | undefined) {
  if (kind === 'read') return 'IBV_WR_RDMA_READ';
  return data === undefined ? 'IBV_WR_RDMA_WRITE' : 'IBV_WR_RDMA_WRITE_WITH_IMM';
}

/** Whether verbs have such an address and such a key. */
export function isRemote(address: number, key: bigint): boolean {
  return Number.isSafeInteger(address) && address >= 0 && key >= 0n && key <= RKEY_MAX;
}
