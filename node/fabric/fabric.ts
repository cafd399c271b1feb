/**
 * libfabric's object model, as far as hlsim has it: types of the `fi_*` calls (`include/rdma/*.h`,
 * man pages fi_getinfo.3 ... fi_cq.3, libfabric 2.x). One file per noun has the calls themselves:
 * `info.ts`, `domain.ts`, `av.ts`, `mr.ts`, `endpoint.ts`, `msg.ts`, `tagged.ts`, `rma.ts`,
 * `atomic.ts`, `cq.ts`, `cntr.ts`, `eq.ts`. `left-out.ts` names the calls that hlsim does not have.
 *
 * Calls return a value, or one of `FiErrno` where C returns `-FI_E...`. Names keep their C spelling.
 */

export type { FiInfo } from './info-types.ts';
export type { FiMrAttr } from './mr-types.ts';

/** fi_errno.h: POSIX numbers kept, own codes from 256. Each with its sentence. */
export const FI_ERRNO = {
  FI_EIO: [5, 'Input/output error'],
  FI_EAGAIN: [11, 'Resource temporarily unavailable'],
  FI_ENOMEM: [12, 'Cannot allocate memory'],
  FI_EACCES: [13, 'Permission denied'],
  FI_EBUSY: [16, 'Device or resource busy'],
  FI_EINVAL: [22, 'Invalid argument'],
  FI_ENOSYS: [38, 'Function not implemented'],
  FI_ENOMSG: [42, 'No message of desired type'],
  FI_ENODATA: [61, 'No data available'],
  FI_EMSGSIZE: [90, 'Message too long'],
  FI_ENOPROTOOPT: [92, 'Protocol not available'],
  FI_EOPNOTSUPP: [95, 'Operation not supported'],
  FI_ECONNABORTED: [103, 'Software caused connection abort'],
  FI_ENOTCONN: [107, 'Transport endpoint is not connected'],
  FI_ETIMEDOUT: [110, 'Connection timed out'],
  FI_ECONNREFUSED: [111, 'Connection refused'],
  FI_EHOSTUNREACH: [113, 'No route to host'],
  FI_EREMOTEIO: [121, 'Remote I/O error'],
  FI_ECANCELED: [125, 'Operation canceled'],
  FI_EKEYREJECTED: [129, 'Key was rejected by service'],
  FI_EOTHER: [256, 'Unspecified error'],
  FI_ETOOSMALL: [257, 'Provided buffer is too small'],
  FI_EOPBADSTATE: [258, 'Operation not permitted on current endpoint state'],
  FI_EAVAIL: [259, 'Error available'],
  FI_EBADFLAGS: [260, 'Flags not supported'],
  FI_ENOEQ: [261, 'Missing or unavailable event queue'],
  FI_EDOMAIN: [262, 'Invalid resource domain'],
  FI_ENOCQ: [263, 'Missing or unavailable completion queue'],
  FI_ECRC: [264, 'CRC error'],
  FI_ETRUNC: [265, 'Truncation error'],
  FI_ENOKEY: [266, 'Required key not available'],
  FI_ENOAV: [267, 'Missing or unavailable address vector'],
  FI_EOVERRUN: [268, 'Queue has been overrun'],
  FI_ENORX: [269, 'Receiver not ready, no receive buffers available'],
  FI_ENOMR: [270, 'Memory registration limit exceeded'],
  FI_EFIREWALLADDR: [271, 'Host address unreachable due to firewall'],
} as const satisfies Record<string, readonly [number, string]>;

export type FiErrno = keyof typeof FI_ERRNO;

export function isFiErrno(value: unknown): value is FiErrno {
  return typeof value === 'string' && Object.hasOwn(FI_ERRNO, value);
}

/** fi_strerror(3) */
export function fi_strerror(errno: FiErrno): string {
  return FI_ERRNO[errno][1];
}

/** What every object of the interface is (`struct fid`, fabric.h): `fi_close()` ends it. */
export interface Fid {
  readonly fclass:
    | 'FI_CLASS_FABRIC'
    | 'FI_CLASS_DOMAIN'
    | 'FI_CLASS_AV'
    | 'FI_CLASS_MR'
    | 'FI_CLASS_CQ'
    | 'FI_CLASS_CNTR'
    | 'FI_CLASS_EQ'
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

/**
 * Where local data of an operation lies: in a registered region, by address; or in host memory of the
 * library. Up to `inject_size` bytes of host memory are copied before the call returns; more are read
 * until the operation has completed.
 */
export type FiBuffer =
  | { readonly kind: 'mr'; readonly mr: FiMr; readonly address: number; readonly length: number }
  | { readonly kind: 'host'; readonly bytes: Uint8Array };

/** Local data of an RMA operation: only registered memory takes part in it. */
export type FiMrBuffer = Extract<FiBuffer, { readonly kind: 'mr' }>;

/** Where a receive puts a message. */
export type FiReceiveBuffer = Uint8Array | FiMrBuffer;

/** A registered memory region (`struct fid_mr`). */
export interface FiMr extends Fid {
  /** fi_mr_key(3): what a peer needs to reach it. */
  readonly key: bigint;
  /** First address and length that the key covers. */
  readonly address: number;
  readonly length: number;
  /** After fi_close: resolves when nobody reads or writes the memory through it any more. */
  readonly released: Promise<void>;
}

/** Which kind of operation a completion is about. */
export type FiCompletionKind =
  | 'send'
  | 'recv'
  | 'write'
  | 'read'
  /** fi_atomic. */
  | 'atomic'
  /** fi_fetch_atomic, fi_compare_atomic. */
  | 'fetchAtomic'
  /** A peer's fi_writedata has landed: FI_REMOTE_WRITE | FI_REMOTE_CQ_DATA. */
  | 'remoteWriteData';

/** `flags` of `struct fi_cq_msg_entry`. */
export type FiCompletionFlag =
  | 'FI_MSG'
  | 'FI_TAGGED'
  | 'FI_RMA'
  | 'FI_ATOMIC'
  | 'FI_SEND'
  | 'FI_RECV'
  | 'FI_WRITE'
  | 'FI_READ'
  | 'FI_REMOTE_WRITE'
  | 'FI_REMOTE_CQ_DATA';

export interface FiCompletion {
  readonly kind: FiCompletionKind;
  readonly flags: readonly FiCompletionFlag[];
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
  readonly flags: readonly FiCompletionFlag[];
  readonly context: unknown;
  readonly err: FiErrno;
  /** Provider detail: the name of an `IBV_WC_*` status. */
  readonly prov_errno: string;
  /** Bytes that did not fit (FI_ETRUNC). */
  readonly olen: number;
  /** Tag of the message or of the receive. */
  readonly tag: bigint;
  /** The peer it was for, if it had one. */
  readonly peer: FiAddr;
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
