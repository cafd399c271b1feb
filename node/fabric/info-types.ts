/** `struct fi_info` (fi_getinfo(3), fi_endpoint(3), fi_domain(3)): what is asked for and answered. */
import type { FiFlag } from './flags.ts';

export const FI_CAPABILITIES = [
  'FI_MSG',
  'FI_TAGGED',
  'FI_RMA',
  'FI_ATOMIC',
  'FI_HMEM',
  'FI_SEND',
  'FI_RECV',
  'FI_READ',
  'FI_WRITE',
  'FI_REMOTE_READ',
  'FI_REMOTE_WRITE',
  'FI_DIRECTED_RECV',
  'FI_SOURCE',
  'FI_LOCAL_COMM',
  'FI_REMOTE_COMM',
  /** Of libfabric, but not of hlsim. */
  'FI_COLLECTIVE',
  'FI_MULTICAST',
  'FI_MULTI_RECV',
  'FI_NAMED_RX_CTX',
  'FI_RMA_EVENT',
  'FI_RMA_PMEM',
  'FI_TRIGGER',
  'FI_VARIABLE_MSG',
] as const;
export type FiCapability = (typeof FI_CAPABILITIES)[number];

export const FI_MR_MODES = [
  'FI_MR_LOCAL',
  'FI_MR_RAW',
  'FI_MR_VIRT_ADDR',
  'FI_MR_ALLOCATED',
  'FI_MR_PROV_KEY',
  'FI_MR_MMU_NOTIFY',
  'FI_MR_RMA_EVENT',
  'FI_MR_ENDPOINT',
  'FI_MR_HMEM',
  'FI_MR_COLLECTIVE',
] as const;
export type FiMrMode = (typeof FI_MR_MODES)[number];

/** What a program can put up with (`mode`). */
export const FI_MODES = ['FI_CONTEXT', 'FI_CONTEXT2', 'FI_MSG_PREFIX', 'FI_RX_CQ_DATA'] as const;
export type FiMode = (typeof FI_MODES)[number];

/** Order between operations of one endpoint to one peer: what may not overtake what. */
export const FI_ORDERS = [
  'FI_ORDER_RAR',
  'FI_ORDER_RAW',
  'FI_ORDER_RAS',
  'FI_ORDER_WAR',
  'FI_ORDER_WAW',
  'FI_ORDER_WAS',
  'FI_ORDER_SAR',
  'FI_ORDER_SAW',
  'FI_ORDER_SAS',
] as const;
export type FiOrder = (typeof FI_ORDERS)[number];

/** The provider that shares memory between hosts of one machine. */
export const P2P_PROVIDER = 'p2p';

export type FiProgress = 'FI_PROGRESS_UNSPEC' | 'FI_PROGRESS_AUTO' | 'FI_PROGRESS_MANUAL';
export type FiResourceMgmt = 'FI_RM_UNSPEC' | 'FI_RM_ENABLED' | 'FI_RM_DISABLED';

export interface FiTxAttr {
  readonly msg_order?: readonly FiOrder[];
  /** Flags of transmit calls that take none, such as FI_COMPLETION or FI_DELIVERY_COMPLETE. */
  readonly op_flags?: readonly FiFlag[];
  /** Longest fi_inject, bytes. */
  readonly inject_size?: number;
  /** Operations under way per peer. */
  readonly size?: number;
  readonly iov_limit?: number;
  readonly rma_iov_limit?: number;
}

export interface FiRxAttr {
  readonly msg_order?: readonly FiOrder[];
  /** Flags of receive calls that take none: FI_COMPLETION. */
  readonly op_flags?: readonly FiFlag[];
  /** Receives that may be posted. */
  readonly size?: number;
  readonly iov_limit?: number;
}

export interface FiEpAttr {
  readonly type: 'FI_EP_UNSPEC' | 'FI_EP_RDM' | 'FI_EP_MSG' | 'FI_EP_DGRAM';
  readonly max_msg_size?: number;
  /** Bytes up to which RMA keeps its order (RAW, WAR, WAW). */
  readonly max_order_raw_size?: number;
  readonly max_order_war_size?: number;
  readonly max_order_waw_size?: number;
}

export interface FiDomainAttr {
  readonly name?: string;
  readonly mr_mode: readonly FiMrMode[];
  readonly control_progress?: FiProgress;
  readonly data_progress?: FiProgress;
  readonly resource_mgmt?: FiResourceMgmt;
  readonly av_type?: 'FI_AV_UNSPEC' | 'FI_AV_TABLE' | 'FI_AV_MAP';
  /** Bytes of immediate data. */
  readonly cq_data_size?: number;
  readonly mr_key_size?: number;
}

/** `struct fi_info`, both as hints and as answer. */
export interface FiInfo {
  readonly ep_attr: FiEpAttr;
  readonly caps: readonly FiCapability[];
  readonly mode?: readonly FiMode[];
  readonly addr_format?: 'FI_FORMAT_UNSPEC' | 'FI_SOCKADDR' | 'FI_SOCKADDR_IN' | 'FI_SOCKADDR_IN6';
  readonly tx_attr?: FiTxAttr;
  readonly rx_attr?: FiRxAttr;
  readonly domain_attr: FiDomainAttr;
  readonly fabric_attr?: { readonly prov_name?: string; readonly name?: string };
}
