/**
 * Memory regions (`struct ibv_mr`; ibv_reg_mr(3), ibv_reg_dmabuf_mr(3), ibv_rereg_mr(3)). A region is
 * what a key means: a range of addresses, rights, and the memory behind it. Memory of a device is
 * reached through the segment list of a dma-buf mapping and in no other way.
 *
 * A revoked region (kernel: pinned revocable dma-buf MR) keeps its keys reserved until it is
 * deregistered, and every access to it fails.
 */
import { assert } from '../../common/assert.ts';
import { type Errno, isErrno } from '../../common/errno.ts';
import type { SharedFile, ShareOptions } from '../dmabuf/dma-buf.ts';
import type { IbvPd } from './context.ts';
import { type DmaBufMode, importDmaBuf, type RegionMemory } from './region-memory.ts';
import { SegmentList } from './segments.ts';

export type IbvAccessFlag =
  | 'IBV_ACCESS_LOCAL_WRITE'
  | 'IBV_ACCESS_REMOTE_WRITE'
  | 'IBV_ACCESS_REMOTE_READ'
  | 'IBV_ACCESS_REMOTE_ATOMIC'
  | 'IBV_ACCESS_RELAXED_ORDERING'
  | 'IBV_ACCESS_MW_BIND'
  | 'IBV_ACCESS_ZERO_BASED'
  | 'IBV_ACCESS_ON_DEMAND'
  | 'IBV_ACCESS_HUGETLB';

/** The flags that a dma-buf region takes; a host region of hlsim takes the same. */
const SUPPORTED_ACCESS: ReadonlySet<IbvAccessFlag> = new Set([
  'IBV_ACCESS_LOCAL_WRITE',
  'IBV_ACCESS_REMOTE_WRITE',
  'IBV_ACCESS_REMOTE_READ',
  'IBV_ACCESS_REMOTE_ATOMIC',
  'IBV_ACCESS_RELAXED_ORDERING',
] as const);

/** What whoever has the memory's file can do to it. */
const PEER_ACCESS = ['IBV_ACCESS_REMOTE_READ', 'IBV_ACCESS_REMOTE_WRITE'] as const;

/** Page size of the host: a dma-buf offset and its iova must agree below it. */
const PAGE_BYTES = 4096;

/** `fault`: it may be accessed soon, but not now. */
export type Admission = 'granted' | 'denied' | 'fault';

interface MrInit {
  readonly pd: IbvPd;
  readonly iova: number;
  readonly length: number;
  readonly access: readonly IbvAccessFlag[];
  readonly memory: RegionMemory;
}

export class IbvMr {
  /** `host`: memory of a library; `dmabuf`: memory of a device. */
  readonly kind: 'host' | 'dmabuf';
  #pd: IbvPd;
  #key: number;
  #addr: number;
  #length: number;
  #access: ReadonlySet<IbvAccessFlag>;
  #memory: RegionMemory;
  #deregistered = false;

  constructor(kind: IbvMr['kind'], key: number, init: MrInit) {
    this.kind = kind;
    this.#pd = init.pd;
    this.#key = key;
    this.#addr = init.iova;
    this.#length = init.length;
    this.#access = new Set(init.access);
    this.#memory = init.memory;
  }

  get pd(): IbvPd {
    return this.#pd;
  }

  get lkey(): number {
    return this.#key;
  }

  get rkey(): number {
    return this.#key;
  }

  /** First address of the range, as users and peers of the region write it. */
  get addr(): number {
    return this.#addr;
  }

  get length(): number {
    return this.#length;
  }

  get access(): ReadonlySet<IbvAccessFlag> {
    return this.#access;
  }

  get state(): 'VALID' | 'REVOKED' | 'DEREGISTERED' {
    if (this.#deregistered) return 'DEREGISTERED';
    return this.#memory.isRevoked ? 'REVOKED' : 'VALID';
  }

  /**
   * Whether a user in `pd` who needs `right` may access [address, address + length) now. Order of
   * checks: domain, right, state, range (Linux, rxe `lookup_mr`). Constant time.
   */
  admit(pd: IbvPd, right: IbvAccessFlag | undefined, address: number, length: number): Admission {
    if (this.#pd !== pd || this.#deregistered) return 'denied';
    if (right !== undefined && !this.#access.has(right)) return 'denied';
    const ready = this.#memory.ready();
    if (ready === 'revoked') return 'denied';
    if (address < this.#addr || address + length > this.#addr + this.#length) return 'denied';
    return ready === 'fault' ? 'fault' : 'granted';
  }

  /** The memory of a range that has just been granted. */
  views(address: number, length: number): Uint8Array[] {
    return this.#memory.slice(address - this.#addr, length);
  }

  /**
   * The region's memory as a file that other processes of the machine can map, until it is revoked or its
   * dma-buf released. EOPNOTSUPP: host memory, or an exporter that cannot; ENODEV: revoked or deregistered;
   * EACCES: peers may not both read and write it, and with the file they could; EINVAL: it is part of a
   * dma-buf, or not whole pages; EBUSY: the memory is shared through another dma-buf, or cannot be shared in
   * place; ENOMEM.
   */
  shared(options?: ShareOptions): SharedFile | Errno {
    if (this.kind === 'host') return 'EOPNOTSUPP';
    if (this.state !== 'VALID') return 'ENODEV';
    if (!PEER_ACCESS.every((flag) => this.#access.has(flag))) return 'EACCES';
    return this.#memory.share?.(options) ?? 'EOPNOTSUPP';
  }

  /**
   * Takes the file of the memory back from all who have it, whichever region of the dma-buf they have it
   * from. Resolves when it is out of their reach, at once if this returns nothing.
   */
  unshare(): Promise<void> | undefined {
    return this.#memory.unshare?.();
  }

  /** Calls `listener`, once, when the shared memory is taken back by somebody else, before it is gone. */
  whenTakenBack(listener: () => void): void {
    this.#memory.whenTakenBack?.(listener);
  }

  /** Takes the keys back at once, and lets the memory go once no link reads it any more. */
  deregister(): Promise<void> {
    assert(!this.#deregistered, `Expected region ${this.#key} to be registered`);
    this.#deregistered = true;
    this.#pd.mrs.delete(this);
    this.#pd.context.nic.removeRegion(this.#key);
    return this.#memory.release();
  }

  /** Takes on another range, domain or rights, under new keys: the old ones are never given again. */
  reregister(init: MrInit): void {
    const { nic } = this.#pd.context;
    nic.removeRegion(this.#key);
    this.#pd.mrs.delete(this);
    this.#pd = init.pd;
    this.#addr = init.iova;
    this.#length = init.length;
    this.#access = new Set(init.access);
    this.#memory = init.memory;
    this.#pd.mrs.add(this);
    nic.addRegion((key) => {
      this.#key = key;
      return this;
    });
  }

  get memory(): RegionMemory {
    return this.#memory;
  }
}

/**
 * Registers memory of the host, that is, of a library, under the addresses from `iova` on. EINVAL: no
 * bytes, an address that is none, remote rights without IBV_ACCESS_LOCAL_WRITE. EOPNOTSUPP: a flag
 * that hlsim does not have.
 */
export function ibv_reg_mr(
  pd: IbvPd,
  bytes: Uint8Array,
  iova: number,
  access: readonly IbvAccessFlag[],
): IbvMr | Errno {
  if (access.some((flag) => !SUPPORTED_ACCESS.has(flag))) return 'EOPNOTSUPP';
  const length = bytes.byteLength;
  if (!isAccess(access) || !isRange(iova, length)) return 'EINVAL';
  return addRegion('host', { pd, iova, length, access, memory: hostMemory(pd, bytes) });
}

/**
 * Registers [offset, offset + length) of the dma-buf behind `fd` of the context's process: takes a
 * reference, attaches, maps; waits if somebody holds the buffer's lock. `mode`: what happens when the
 * exporter takes the memory back, see `region-memory.ts`; default is the NIC's. EINVAL: `iova` and
 * `offset` differ below the page size, a flag that dma-buf regions do not have, remote rights without
 * IBV_ACCESS_LOCAL_WRITE, a range outside the buffer, not a dma-buf, a domain that is gone by then.
 * EBADF: no such fd. EOPNOTSUPP: the NIC does not import. Else what the exporter answers.
 */
export async function ibv_reg_dmabuf_mr(
  pd: IbvPd,
  offset: number,
  length: number,
  iova: number,
  fd: number,
  access: readonly IbvAccessFlag[],
  mode: DmaBufMode | 'none' = pd.context.nic.dmaBufMode,
): Promise<IbvMr | Errno> {
  if (mode === 'none') return 'EOPNOTSUPP';
  if (access.some((flag) => !SUPPORTED_ACCESS.has(flag)) || !isAccess(access)) return 'EINVAL';
  if (!isRange(iova, length) || !isRange(offset, length)) return 'EINVAL';
  if (iova % PAGE_BYTES !== offset % PAGE_BYTES) return 'EINVAL';
  const { nic, process } = pd.context;
  const memory = await importDmaBuf({ nic, process, fd, offset, length, mode });
  if (isErrno(memory)) return memory;
  if (!pd.context.pds.has(pd)) {
    await memory.release();
    return 'EINVAL';
  }
  return addRegion('dmabuf', { pd, iova, length, access, memory });
}

/**
 * Deregisters: the keys mean nothing any more at return and are never given again. Resolves when the
 * memory has been let go, which is within the call if no link still reads from it and nobody holds
 * the buffer's lock.
 */
export function ibv_dereg_mr(mr: IbvMr): Promise<void> {
  return mr.deregister();
}

/** What ibv_rereg_mr(3) changes; a present property is a set IBV_REREG_MR_CHANGE_ flag. */
export interface IbvReregMr {
  readonly translation?: { readonly bytes: Uint8Array; readonly iova: number };
  readonly pd?: IbvPd;
  readonly access?: readonly IbvAccessFlag[];
}

/**
 * Changes a host region, which gets new keys. IBV_REREG_MR_ERR_INPUT, and nothing has changed: a
 * dma-buf region, no change, a domain of another context or one that is gone, flags or a range that
 * ibv_reg_mr would refuse. The other errors of the man page are those of a driver that fails half-way.
 */
export function ibv_rereg_mr(mr: IbvMr, change: IbvReregMr): 'IBV_REREG_MR_ERR_INPUT' | undefined {
  const { translation, pd = mr.pd, access = [...mr.access] } = change;
  const isChange =
    translation !== undefined || change.pd !== undefined || change.access !== undefined;
  const iova = translation?.iova ?? mr.addr;
  const length = translation?.bytes.byteLength ?? mr.length;
  const isKnown = pd.context === mr.pd.context && pd.context.pds.has(pd);
  const isRight = access.every((flag) => SUPPORTED_ACCESS.has(flag)) && isAccess(access);
  if (mr.kind !== 'host' || mr.state !== 'VALID' || !isChange) return 'IBV_REREG_MR_ERR_INPUT';
  if (!isKnown || !isRight || !isRange(iova, length)) return 'IBV_REREG_MR_ERR_INPUT';
  const memory = translation === undefined ? mr.memory : hostMemory(pd, translation.bytes);
  mr.reregister({ pd, iova, length, access, memory });
  return undefined;
}

function hostMemory({ context }: IbvPd, bytes: Uint8Array): RegionMemory {
  const segments = new SegmentList([{ bytes }]);
  return {
    isRevoked: false,
    ready: () => 'live',
    slice: (offset, count) => segments.slice(offset, count),
    release: async () => {
      if (!context.nic.isQuiet) await context.nic.quiesce();
    },
  };
}

function addRegion(kind: IbvMr['kind'], init: MrInit): IbvMr {
  const { pd } = init;
  assert(pd.context.pds.has(pd), 'Expected an allocated domain');
  const mr = pd.context.nic.addRegion((key) => new IbvMr(kind, key, init));
  pd.mrs.add(mr);
  return mr;
}

/** Whoever lets a peer write must be allowed to write as well (ibv_reg_mr(3)). */
function isAccess(access: readonly IbvAccessFlag[]): boolean {
  const remote =
    access.includes('IBV_ACCESS_REMOTE_WRITE') || access.includes('IBV_ACCESS_REMOTE_ATOMIC');
  return !remote || access.includes('IBV_ACCESS_LOCAL_WRITE');
}

function isRange(start: number, length: number): boolean {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(length)) return false;
  return start >= 0 && length > 0 && Number.isSafeInteger(start + length);
}
