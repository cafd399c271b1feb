/**
 * Memory regions (`struct ibv_mr`; ibv_reg_mr(3), ibv_reg_dmabuf_mr(3)). A region is what a key means:
 * a range of addresses, rights, and the memory behind it. Memory of a device is reached through the
 * segment list of a dma-buf mapping and in no other way.
 *
 * A revoked region (kernel: pinned revocable dma-buf MR) keeps its keys reserved until it is
 * deregistered, and every access to it fails.
 */
import { assert } from '../../common/assert.ts';
import { type Errno, isErrno } from '../../common/errno.ts';
import type { IbvPd } from './context.ts';
import { pinDmaBuf, type RegionMemory } from './region-memory.ts';
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

/** Page size of the host: a dma-buf offset and its iova must agree below it. */
const PAGE_BYTES = 4096;

interface MrInit {
  readonly pd: IbvPd;
  readonly key: number;
  readonly iova: number;
  readonly length: number;
  readonly access: readonly IbvAccessFlag[];
  readonly memory: RegionMemory;
}

export class IbvMr {
  readonly pd: IbvPd;
  readonly lkey: number;
  readonly rkey: number;
  /** First address of the range, as users and peers of the region write it. */
  readonly addr: number;
  readonly length: number;
  readonly access: ReadonlySet<IbvAccessFlag>;
  readonly #memory: RegionMemory;
  #deregistered = false;

  constructor(init: MrInit) {
    this.pd = init.pd;
    this.lkey = init.key;
    this.rkey = init.key;
    this.addr = init.iova;
    this.length = init.length;
    this.access = new Set(init.access);
    this.#memory = init.memory;
  }

  get state(): 'VALID' | 'REVOKED' | 'DEREGISTERED' {
    if (this.#deregistered) return 'DEREGISTERED';
    return this.#memory.live ? 'VALID' : 'REVOKED';
  }

  /**
   * The memory of [address, address + length) for a user in `pd` who needs `right`; `undefined` if
   * any check fails. Order of checks: domain, right, state, range (Linux, rxe `lookup_mr`).
   */
  reach(
    pd: IbvPd,
    right: IbvAccessFlag | undefined,
    address: number,
    length: number,
  ): Uint8Array[] | undefined {
    if (this.pd !== pd) return undefined;
    if (right !== undefined && !this.access.has(right)) return undefined;
    if (this.state !== 'VALID') return undefined;
    if (address < this.addr || address + length > this.addr + this.length) return undefined;
    return this.#memory.slice(address - this.addr, length);
  }

  /** Takes the keys back and lets the memory go. */
  deregister(): void {
    assert(!this.#deregistered, `Expected region ${this.lkey} to be registered`);
    this.#deregistered = true;
    this.pd.mrs.delete(this);
    this.pd.context.nic.removeRegion(this.lkey);
    this.#memory.release();
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
  const segments = new SegmentList([{ bytes }]);
  const memory: RegionMemory = {
    live: true,
    slice: (offset, count) => segments.slice(offset, count),
    release: () => undefined,
  };
  return addRegion({ pd, iova, length, access, memory });
}

/**
 * Registers [offset, offset + length) of the dma-buf behind `fd` of the context's process: takes a
 * reference, attaches, maps. EINVAL: `iova` and `offset` differ below the page size, a flag that
 * dma-buf regions do not have, remote rights without IBV_ACCESS_LOCAL_WRITE, a range outside the
 * buffer, not a dma-buf. EBADF: no such fd. Else what the exporter answers.
 */
export function ibv_reg_dmabuf_mr(
  pd: IbvPd,
  offset: number,
  length: number,
  iova: number,
  fd: number,
  access: readonly IbvAccessFlag[],
): IbvMr | Errno {
  if (access.some((flag) => !SUPPORTED_ACCESS.has(flag)) || !isAccess(access)) return 'EINVAL';
  if (!isRange(iova, length) || !isRange(offset, length)) return 'EINVAL';
  if (iova % PAGE_BYTES !== offset % PAGE_BYTES) return 'EINVAL';
  const memory = pinDmaBuf(pd.context.process, fd, { offset, length });
  if (isErrno(memory)) return memory;
  return addRegion({ pd, iova, length, access, memory });
}

/** Deregisters: the keys mean nothing any more and are never given again. */
export function ibv_dereg_mr(mr: IbvMr): undefined {
  mr.deregister();
}

function addRegion(init: Omit<MrInit, 'key'>): IbvMr {
  const { pd } = init;
  assert(pd.context.pds.has(pd), 'Expected an allocated domain');
  const mr = pd.context.nic.addRegion((key) => new IbvMr({ ...init, key }));
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
