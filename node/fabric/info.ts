/**
 * fi_getinfo(3): which interfaces fit what a program asks for. hlsim has one over verbs RC, by the name of what
 * the links are made of (`ws`), and where hosts of one machine can share memory a second one (`p2p`), which is
 * the first except that it reads and writes memory of peers on this machine itself.
 */
import { NIC_LIMITS } from '../verbs/limits.ts';
import type { Nic } from '../verbs/nic.ts';
import type { FiErrno } from './fabric.ts';
import {
  type FiCapability,
  type FiDomainAttr,
  type FiInfo,
  type FiMrMode,
  type FiOrder,
  type FiRxAttr,
  type FiTxAttr,
  P2P_PROVIDER,
} from './info-types.ts';
import { POSTED_RECEIVES_MAX } from './match-queue.ts';
import { SEND_DEPTH } from './queue-pair.ts';
import { INJECT_BYTES } from './transmit.ts';

/** Version of the interface: libfabric 2.6. A program that was made for a newer one gets FI_ENOSYS. */
export const FI_API_VERSION = fiVersion(2, 6);

/** FI_VERSION(major, minor) */
export function fiVersion(major: number, minor: number): number {
  return major * 0x1_0000 + minor;
}

/** Modes that the provider needs its users to support; FI_MR_HMEM only where FI_HMEM is asked for. */
const MR_MODES = ['FI_MR_LOCAL', 'FI_MR_VIRT_ADDR', 'FI_MR_ALLOCATED', 'FI_MR_PROV_KEY'] as const;

/** What a program gets that asks for nothing in particular. */
const PRIMARY: readonly FiCapability[] = ['FI_MSG', 'FI_TAGGED', 'FI_RMA', 'FI_ATOMIC', 'FI_HMEM'];
/** What it may ask for besides. */
const SECONDARY: readonly FiCapability[] = [
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
];

/**
 * Order that is kept between operations to one peer: a reliable connection executes them as they were
 * posted. Not RAR, WAR and SAR: the answer to a read may come after the effect of what follows it.
 */
const ORDERS: readonly FiOrder[] = [
  'FI_ORDER_RAW',
  'FI_ORDER_RAS',
  'FI_ORDER_WAW',
  'FI_ORDER_WAS',
  'FI_ORDER_SAW',
  'FI_ORDER_SAS',
];

/** Bytes of immediate data, and of a key. */
const CQ_DATA_BYTES = 4;
const MR_KEY_BYTES = 4;
/** What the provider over links is called besides: it is libfabric's verbs provider that it behaves as. */
const LINK_ALIAS = 'verbs';
const DOMAIN_NAME = 'hlsim0';

/** Flags of fi_getinfo. */
export type FiGetinfoFlag = 'FI_NUMERICHOST' | 'FI_SOURCE' | 'FI_PROV_ATTR_ONLY';
const GETINFO_FLAGS: ReadonlySet<string> = new Set<FiGetinfoFlag>([
  'FI_NUMERICHOST',
  'FI_SOURCE',
  'FI_PROV_ATTR_ONLY',
]);

export interface FiGetinfoOptions {
  /** What the program was made for; default FI_API_VERSION. */
  readonly version?: number;
  /** Host and port that it wants to reach, or with FI_SOURCE to use. Any: endpoints have names. */
  readonly node?: string;
  readonly service?: string;
  readonly flags?: readonly FiGetinfoFlag[];
  /**
   * FI_PROVIDER of the program's environment (fabric(7)): names with commas between them, which alone are
   * answered; or with `^` in front all others. `auto` and nothing: all.
   */
  readonly providers?: string;
}

/**
 * What `nic` can do within `hints`; without hints, everything. As in libfabric, `mr_mode` and `mode`
 * of the hints list what the program supports; the provider needs all of its own modes among them.
 * FI_ENODATA: not what they ask for. FI_ENOSYS: made for a newer version. FI_EBADFLAGS: other flags.
 * With FI_SOURCE, `node` must be this host's address.
 */
export function fi_getinfo(
  nic: Nic,
  hints?: FiInfo,
  { version = FI_API_VERSION, node, flags = [], providers = '' }: FiGetinfoOptions = {},
): FiInfo[] | FiErrno {
  if (version > FI_API_VERSION) return 'FI_ENOSYS';
  if (flags.some((flag) => !GETINFO_FLAGS.has(flag))) return 'FI_EBADFLAGS';
  const isElsewhere = node !== undefined && node !== nic.transport.address.host;
  if (flags.includes('FI_SOURCE') && isElsewhere) return 'FI_ENODATA';
  if (hints !== undefined && !fits(hints)) return 'FI_ENODATA';
  const caps = hints === undefined || hints.caps.length === 0 ? PRIMARY : hints.caps;
  const found = providersOf(nic)
    .filter((provider) => isAllowed(provider, providers) && isAskedFor(provider, hints))
    .map((provider) => answer(provider.name, caps, hints));
  return found.length > 0 ? found : 'FI_ENODATA';
}

interface Provider {
  readonly name: string;
  /** What it may be called in hints and FI_PROVIDER. */
  readonly names: readonly string[];
  readonly lacks: readonly FiCapability[];
}

/** In order: that which shows a program's memory to other processes comes second, to those who ask for it. */
function providersOf({ transport, machine }: Nic): Provider[] {
  const name = transport.provider;
  const links: Provider = { name, names: [name, LINK_ALIAS], lacks: [] };
  const p2p: Provider = { name: P2P_PROVIDER, names: [P2P_PROVIDER], lacks: ['FI_REMOTE_COMM'] };
  return machine === undefined ? [links] : [links, p2p];
}

function isAllowed({ names }: Provider, list: string): boolean {
  if (list === '' || list === 'auto') return true;
  const isExclusion = list.startsWith('^');
  const listed = list.slice(isExclusion ? 1 : 0).split(',');
  return names.some((name) => listed.includes(name)) !== isExclusion;
}

function isAskedFor({ names, lacks }: Provider, hints: FiInfo | undefined): boolean {
  // Of a layered name (`verbs;ofi_rxm`) the core provider counts.
  const asked = hints?.fabric_attr?.prov_name?.split(';')[0];
  const isNamed = asked === undefined || names.includes(asked);
  return isNamed && !lacks.some((capability) => hints?.caps.includes(capability));
}

function answer(name: string, caps: readonly FiCapability[], hints: FiInfo | undefined): FiInfo {
  const mr_mode: readonly FiMrMode[] = caps.includes('FI_HMEM')
    ? [...MR_MODES, 'FI_MR_HMEM']
    : MR_MODES;
  const { tx_attr, rx_attr, domain_attr } = hints ?? {};
  return {
    ep_attr: {
      type: 'FI_EP_RDM',
      max_msg_size: NIC_LIMITS.max_msg_sz,
      max_order_raw_size: NIC_LIMITS.max_msg_sz,
      max_order_war_size: 0,
      max_order_waw_size: NIC_LIMITS.max_msg_sz,
    },
    caps,
    mode: [],
    addr_format: hints?.addr_format ?? 'FI_SOCKADDR',
    tx_attr: {
      msg_order: tx_attr?.msg_order ?? ORDERS,
      op_flags: tx_attr?.op_flags ?? [],
      inject_size: INJECT_BYTES,
      size: SEND_DEPTH,
      iov_limit: 1,
      rma_iov_limit: 1,
    },
    rx_attr: {
      msg_order: rx_attr?.msg_order ?? ORDERS,
      op_flags: rx_attr?.op_flags ?? [],
      size: POSTED_RECEIVES_MAX,
      iov_limit: 1,
    },
    domain_attr: {
      name: DOMAIN_NAME,
      mr_mode,
      control_progress: 'FI_PROGRESS_AUTO',
      data_progress: 'FI_PROGRESS_AUTO',
      resource_mgmt: resourceMgmt(domain_attr),
      av_type: 'FI_AV_TABLE',
      cq_data_size: CQ_DATA_BYTES,
      mr_key_size: MR_KEY_BYTES,
    },
    fabric_attr: { prov_name: name },
  };
}

function resourceMgmt(asked: FiDomainAttr | undefined) {
  return asked?.resource_mgmt === 'FI_RM_DISABLED' ? 'FI_RM_DISABLED' : 'FI_RM_ENABLED';
}

function fits({ ep_attr, caps, tx_attr = {}, rx_attr = {}, domain_attr }: FiInfo) {
  const { type, max_msg_size = 0 } = ep_attr;
  return (
    (type === 'FI_EP_RDM' || type === 'FI_EP_UNSPEC') &&
    max_msg_size <= NIC_LIMITS.max_msg_sz &&
    caps.every((capability) => [...PRIMARY, ...SECONDARY].includes(capability)) &&
    fitsDomain(domain_attr, caps.includes('FI_HMEM')) &&
    fitsTransmit(tx_attr) &&
    fitsReceive(rx_attr)
  );
}

function fitsDomain(
  { name = DOMAIN_NAME, mr_mode, av_type, cq_data_size = 0, mr_key_size }: FiDomainAttr,
  usesDevices: boolean,
): boolean {
  return (
    name === DOMAIN_NAME &&
    MR_MODES.every((mode) => mr_mode.includes(mode)) &&
    (!usesDevices || mr_mode.includes('FI_MR_HMEM')) &&
    av_type !== 'FI_AV_MAP' &&
    cq_data_size <= CQ_DATA_BYTES &&
    // A program with smaller keys could not hold those of the provider.
    (mr_key_size ?? MR_KEY_BYTES) >= MR_KEY_BYTES
  );
}

function fitsTransmit(attr: FiTxAttr): boolean {
  const { msg_order = [], inject_size = 0, size = 0, iov_limit = 0, rma_iov_limit = 0 } = attr;
  const fitsSizes = inject_size <= INJECT_BYTES && size <= SEND_DEPTH;
  return fitsSizes && iov_limit <= 1 && rma_iov_limit <= 1 && areKept(msg_order);
}

function fitsReceive({ msg_order = [], size = 0, iov_limit = 0 }: FiRxAttr): boolean {
  return size <= POSTED_RECEIVES_MAX && iov_limit <= 1 && areKept(msg_order);
}

function areKept(orders: readonly FiOrder[]): boolean {
  return orders.every((order) => ORDERS.includes(order));
}
