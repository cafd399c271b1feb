/** Reading what user processes hand to the verbs device. Nothing in it is trusted. */
import type { SimProcess } from '../process/sim-process.ts';
import { errnoFailure, type SystemCallValue } from '../process/system-call.ts';
import {
  arrayField,
  booleanField,
  field,
  integerField,
  recordOf,
  type SystemCallRecord,
  stringField,
} from '../process/system-call-argument.ts';
import type { LinkAddress } from '../transport/transport.ts';
import { NIC_LIMITS } from './limits.ts';
import type { IbvAccessFlag } from './mr.ts';
import type { IbvQpCap } from './qp-attributes.ts';
import type { IbvQpState } from './qp-state.ts';
import type { DmaBufMode } from './region-memory.ts';
import type { IbvGid, UverbsQpAttr, UverbsRecvWr } from './uverbs-uapi.ts';
import {
  type IbvSendFlag,
  type IbvSendWr,
  type IbvSge,
  OPCODES,
  sgeLength,
} from './work-request.ts';

/** Names that a user may give, as tables so that the compiler sees a missing one. */
const ACCESS_FLAGS: Readonly<Record<IbvAccessFlag, true>> = {
  IBV_ACCESS_LOCAL_WRITE: true,
  IBV_ACCESS_REMOTE_WRITE: true,
  IBV_ACCESS_REMOTE_READ: true,
  IBV_ACCESS_REMOTE_ATOMIC: true,
  IBV_ACCESS_RELAXED_ORDERING: true,
  IBV_ACCESS_MW_BIND: true,
  IBV_ACCESS_ZERO_BASED: true,
  IBV_ACCESS_ON_DEMAND: true,
  IBV_ACCESS_HUGETLB: true,
};
const DMA_BUF_MODES: Readonly<Record<DmaBufMode, true>> = {
  revocable: true,
  pinned: true,
  dynamic: true,
};
const SEND_FLAGS: Readonly<Record<IbvSendFlag, true>> = {
  IBV_SEND_SIGNALED: true,
  IBV_SEND_FENCE: true,
  IBV_SEND_INLINE: true,
};
const QP_STATES: Readonly<Record<IbvQpState, true>> = {
  IBV_QPS_RESET: true,
  IBV_QPS_INIT: true,
  IBV_QPS_RTR: true,
  IBV_QPS_RTS: true,
  IBV_QPS_SQD: true,
  IBV_QPS_SQE: true,
  IBV_QPS_ERR: true,
};

/** Longest name of a host, and of its node id. */
const HOST_NAME_MAX = 255;
const PORT_MAX = 65_535;
const UINT32_MAX = 2 ** 32 - 1;
const UINT64_MAX = 2n ** 64n - 1n;

export function accessField(record: SystemCallRecord, name: string): readonly IbvAccessFlag[] {
  return flagsField(record, name, ACCESS_FLAGS);
}

export function dmaBufModeField(record: SystemCallRecord, name: string): DmaBufMode {
  return nameField(record, name, DMA_BUF_MODES);
}

export function qpCapOf(value: SystemCallValue): IbvQpCap {
  const record = recordOf(value, 'cap');
  return {
    max_send_wr: integerField(record, 'max_send_wr'),
    max_recv_wr: integerField(record, 'max_recv_wr'),
    max_send_sge: integerField(record, 'max_send_sge'),
    max_recv_sge: integerField(record, 'max_recv_sge'),
    ...(field(record, 'max_inline_data') !== undefined && {
      max_inline_data: integerField(record, 'max_inline_data'),
    }),
  };
}

/** How each attribute of a queue pair is read; `isLegalModify` checks ranges and combinations. */
const QP_ATTRIBUTES: Readonly<
  Record<keyof UverbsQpAttr, (record: SystemCallRecord, name: string) => unknown>
> = {
  qp_state: (record, name) => nameField(record, name, QP_STATES),
  cur_qp_state: (record, name) => nameField(record, name, QP_STATES),
  en_sqd_async_notify: booleanField,
  qp_access_flags: accessField,
  ah_attr: (record, name) => gidOf(field(record, name)),
  pkey_index: integerField,
  port_num: integerField,
  path_mtu: integerField,
  dest_qp_num: integerField,
  rq_psn: integerField,
  max_dest_rd_atomic: integerField,
  min_rnr_timer: integerField,
  sq_psn: integerField,
  max_rd_atomic: integerField,
  retry_cnt: integerField,
  rnr_retry: integerField,
  timeout: integerField,
};

/** An attribute that hlsim does not have, and one of another kind, are EINVAL. */
export function qpAttrOf(value: SystemCallValue): UverbsQpAttr {
  const record = recordOf(value, 'the attributes of a queue pair');
  const attributes: Record<string, unknown> = {};
  for (const name of Object.keys(record)) {
    if (!Object.hasOwn(QP_ATTRIBUTES, name)) {
      throw errnoFailure('EINVAL', `no attribute is named ${name.slice(0, 40)}`);
    }
    if (field(record, name) === undefined) continue;
    attributes[name] = QP_ATTRIBUTES[name as keyof UverbsQpAttr](record, name);
  }
  return attributes;
}

/**
 * A send request of `caller`. Data of an IBV_SEND_INLINE one is read here, out of the caller's memory
 * and whatever the lkeys say. EFAULT: it lies outside.
 */
export function sendWrOf(caller: SimProcess, value: SystemCallValue): IbvSendWr {
  const record = recordOf(value, 'a send request');
  const has = (name: string) => field(record, name) !== undefined;
  const sg_list = sgListOf(record);
  const send_flags = has('send_flags') ? flagsField(record, 'send_flags', SEND_FLAGS) : [];
  const inline = send_flags.includes('IBV_SEND_INLINE');
  return {
    wr_id: integerField(record, 'wr_id'),
    opcode: nameField(record, 'opcode', OPCODES),
    sg_list: inline ? [] : sg_list,
    send_flags,
    ...(inline && { inline_data: inlineData(caller, sg_list) }),
    ...(has('imm_data') && { imm_data: uint32Field(record, 'imm_data') }),
    ...(has('remote_addr') && { remote_addr: integerField(record, 'remote_addr') }),
    ...(has('rkey') && { rkey: integerField(record, 'rkey') }),
    ...(has('compare_add') && { compare_add: uint64Field(record, 'compare_add') }),
    ...(has('swap') && { swap: uint64Field(record, 'swap') }),
  };
}

export function recvWrOf(value: SystemCallValue): UverbsRecvWr {
  const record = recordOf(value, 'a receive');
  return { wr_id: integerField(record, 'wr_id'), sg_list: sgListOf(record) };
}

/** More entries than the NIC takes are EINVAL here already. */
function sgListOf(record: SystemCallRecord): readonly IbvSge[] {
  return arrayField(record, 'sg_list', NIC_LIMITS.max_sge).map((value) => {
    const sge = recordOf(value, 'an entry of sg_list');
    return {
      lkey: integerField(sge, 'lkey'),
      address: integerField(sge, 'address'),
      length: integerField(sge, 'length'),
    };
  });
}

function inlineData(caller: SimProcess, sg_list: readonly IbvSge[]): Uint8Array {
  const length = sgeLength(sg_list);
  if (length > NIC_LIMITS.max_inline_data) {
    const limit = `at most ${NIC_LIMITS.max_inline_data} bytes of inline data`;
    throw errnoFailure('EINVAL', `expected ${limit} but found ${length}`);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const sge of sg_list) {
    const part = caller.userBytes(sge.address, sge.length);
    if (part === undefined) throw errnoFailure('EFAULT', `inline data at ${sge.address}`);
    bytes.set(part, offset);
    offset += sge.length;
  }
  return bytes;
}

function gidOf(value: SystemCallValue): IbvGid {
  const record = recordOf(value, 'ah_attr');
  return {
    nodeId: hostNameField(record, 'nodeId'),
    address: linkAddressOf(field(record, 'address')),
  };
}

function linkAddressOf(value: SystemCallValue): LinkAddress {
  const record = recordOf(value, 'address');
  const port = integerField(record, 'port');
  if (port > PORT_MAX) throw errnoFailure('EINVAL', `expected a port but found ${port}`);
  return { host: hostNameField(record, 'host'), port };
}

function hostNameField(record: SystemCallRecord, name: string): string {
  const value = stringField(record, name);
  if (value.length > 0 && value.length <= HOST_NAME_MAX) return value;
  const expected = `expected ${name} to have 1 to ${HOST_NAME_MAX} characters`;
  throw errnoFailure('EINVAL', `${expected} but found ${value.length}`);
}

export function uint32Field(record: SystemCallRecord, name: string): number {
  const value = integerField(record, name);
  if (value <= UINT32_MAX) return value;
  throw errnoFailure('EINVAL', `expected ${name} to have 32 bits but found ${value}`);
}

/** An integer, or the decimal digits of one of 64 bits. */
function uint64Field(record: SystemCallRecord, name: string): bigint {
  if (typeof field(record, name) === 'number') return BigInt(integerField(record, name));
  const text = stringField(record, name);
  const value = /^\d{1,20}$/.test(text) ? BigInt(text) : undefined;
  if (value !== undefined && value <= UINT64_MAX) return value;
  const expected = `expected ${name} to be decimal digits of a number of 64 bits`;
  throw errnoFailure('EINVAL', `${expected} but found ${JSON.stringify(text.slice(0, 40))}`);
}

function nameField<Name extends string>(
  record: SystemCallRecord,
  name: string,
  names: Readonly<Record<Name, unknown>>,
): Name {
  const value = stringField(record, name);
  if (Object.hasOwn(names, value)) return value as Name;
  throw errnoFailure('EINVAL', `${name} has no value ${JSON.stringify(value.slice(0, 40))}`);
}

function flagsField<Flag extends string>(
  record: SystemCallRecord,
  name: string,
  flags: Readonly<Record<Flag, true>>,
): readonly Flag[] {
  return arrayField(record, name, Object.keys(flags).length).map((value) => {
    if (typeof value === 'string' && Object.hasOwn(flags, value)) return value as Flag;
    throw errnoFailure('EINVAL', `${name} has no flag ${String(value)}`);
  });
}
