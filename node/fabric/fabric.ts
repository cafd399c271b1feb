/**
 * libfabric's object model, as far as hlsim has it: types of the `fi_*` calls (`include/rdma/*.h`,
 * man pages fi_getinfo.3 ... fi_cq.3, libfabric 2.x). One file per noun has the calls themselves:
 * `info.ts`, `domain.ts`, `av.ts`, `mr.ts`, `endpoint.ts`, `cq.ts`.
 *
 * Calls return a value, or one of `FiErrno` where C returns `-FI_E...`. Names keep their C spelling.
 */

/** fi_errno.h: POSIX numbers kept, own codes from 256. Each with its sentence. */
export const FI_ERRNO = {
  FI_EAGAIN: [11, 'Resource temporarily unavailable'],
  FI_ENOMEM: [12, 'Cannot allocate memory'],
  FI_EACCES: [13, 'Permission denied'],
  FI_EBUSY: [16, 'Device or resource busy'],
  FI_EINVAL: [22, 'Invalid argument'],
  FI_ENOSYS: [38, 'Function not implemented'],
  FI_ENODATA: [61, 'No data available'],
  FI_EMSGSIZE: [90, 'Message too long'],
  FI_EOPNOTSUPP: [95, 'Operation not supported'],
  FI_EIO: [5, 'Input/output error'],
  FI_EHOSTUNREACH: [113, 'No route to host'],
  FI_ECANCELED: [125, 'Operation canceled'],
  FI_EOTHER: [256, 'Unspecified error'],
  FI_EOPBADSTATE: [258, 'Operation not permitted on current endpoint state'],
  FI_EAVAIL: [259, 'Error available'],
  FI_EBADFLAGS: [260, 'Flags not supported'],
  FI_ENOCQ: [263, 'Missing or unavailable completion queue'],
  FI_ETRUNC: [265, 'Truncation error'],
  FI_ENOKEY: [266, 'Required key not available'],
  FI_ENOAV: [267, 'Missing or unavailable address vector'],
  FI_EOVERRUN: [268, 'Queue has been overrun'],
  FI_ENORX: [269, 'Receiver not ready, no receive buffers available'],
} as const satisfies Record<string, readonly [number, string]>;

export type FiErrno = keyof typeof FI_ERRNO;

export function isFiErrno(value: unknown): value is FiErrno {
  return typeof value === 'string' && Object.hasOwn(FI_ERRNO, value);
}

/** What every object of the interface is (`struct fid`, fabric.h): `fi_close()` ends it. */
export interface Fid {
  readonly fclass:
    | 'FI_CLASS_FABRIC'
    | 'FI_CLASS_DOMAIN'
    | 'FI_CLASS_AV'
    | 'FI_CLASS_MR'
    | 'FI_CLASS_CQ'
    | 'FI_CLASS_EP';
  /** Use `fi_close()`. */
  close(): FiErrno | undefined;
}

/** Index in an address vector of type FI_AV_TABLE. */
export type FiAddr = number;
/** FI_ADDR_UNSPEC: any source. */
export const FI_ADDR_UNSPEC: FiAddr = -1;
/** FI_ADDR_NOTAVAIL: this address could not be inserted. */
export const FI_ADDR_NOTAVAIL: FiAddr = -2;

export type FiAccess =
  | 'FI_SEND'
  | 'FI_RECV'
  | 'FI_READ'
  | 'FI_WRITE'
  | 'FI_REMOTE_READ'
  | 'FI_REMOTE_WRITE';

/** `struct fi_mr_dmabuf` */
export interface FiMrDmabuf {
  readonly fd: number;
  readonly offset: number;
  readonly len: number;
  /** Address that the start of the dma-buf has for users of the region (FI_MR_VIRT_ADDR). */
  readonly base_addr: number;
}

/** `struct fi_mr_attr` with FI_MR_DMABUF. */
export interface FiMrAttr {
  readonly dmabuf: FiMrDmabuf;
  readonly access: readonly FiAccess[];
  readonly iface: 'FI_HMEM_SYNAPSEAI';
}

/**
 * Where local data of an operation lies: in a registered region, by address; or in host memory of the
 * library, which is copied before the call returns (eager, FI_INJECT semantics for the buffer).
 */
export type FiBuffer =
  | { readonly kind: 'mr'; readonly mr: FiMr; readonly address: number; readonly length: number }
  | { readonly kind: 'host'; readonly bytes: Uint8Array };

/** Local data of an RMA operation: only registered memory takes part in it. */
export type FiMrBuffer = Extract<FiBuffer, { readonly kind: 'mr' }>;

/** A registered memory region (`struct fid_mr`). */
export interface FiMr extends Fid {
  /** fi_mr_key(3): what a peer needs to reach it. */
  readonly key: bigint;
  /** First address and length that the key covers. */
  readonly address: number;
  readonly length: number;
}

/** Which kind of operation a completion is about (flags of `struct fi_cq_tagged_entry`). */
export type FiCompletionKind =
  | 'send'
  | 'recv'
  | 'write'
  | 'read'
  /** A peer's fi_writedata has landed: FI_REMOTE_WRITE | FI_REMOTE_CQ_DATA. */
  | 'remoteWriteData';

export interface FiCompletion {
  readonly kind: FiCompletionKind;
  /** What the operation was posted with; `undefined` for `remoteWriteData`. */
  readonly context: unknown;
  /** Bytes received or written; 0 for sends. */
  readonly length: number;
  /** Tag of a received message. */
  readonly tag: bigint;
  /** Immediate data, 32 bit (cq_data_size 4). */
  readonly data: number;
  /** fi_cq_readfrom(3): who sent it; FI_ADDR_NOTAVAIL if not in the address vector. */
  readonly source: FiAddr;
}

/** `struct fi_cq_err_entry` */
export interface FiCompletionError {
  readonly kind: FiCompletionKind;
  readonly context: unknown;
  readonly err: FiErrno;
  /** Provider detail: the name of an `IBV_WC_*` status. */
  readonly prov_errno: string;
  /** Bytes that did not fit (FI_ETRUNC). */
  readonly olen: number;
  /** The peer it was for, if it had one. */
  readonly peer: FiAddr;
}

/** `struct fi_info`, both as hints and as answer. */
export interface FiInfo {
  readonly ep_attr: { readonly type: 'FI_EP_RDM' | 'FI_EP_MSG' | 'FI_EP_DGRAM' };
  readonly caps: readonly ('FI_MSG' | 'FI_TAGGED' | 'FI_RMA' | 'FI_HMEM')[];
  readonly domain_attr: {
    readonly mr_mode: readonly (
      | 'FI_MR_LOCAL'
      | 'FI_MR_VIRT_ADDR'
      | 'FI_MR_ALLOCATED'
      | 'FI_MR_PROV_KEY'
      | 'FI_MR_HMEM'
    )[];
    /** Largest inject and eager message. */
    readonly inject_size?: number;
    readonly cq_data_size?: number;
  };
  readonly fabric_attr?: { readonly prov_name: string };
}

/** Traffic of one endpoint since it was enabled. Replays after a reconnect are not counted twice. */
export interface FiEndpointCounters {
  /** Payload bytes of RMA writes and reads that this endpoint asked for or served, by direction. */
  rmaBytesSent: number;
  rmaBytesReceived: number;
  /** Payload bytes of (tagged) messages, including their headers. */
  messageBytesSent: number;
  messageBytesReceived: number;
}
