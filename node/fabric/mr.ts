/** Memory regions (`struct fid_mr`; fi_mr(3)): dma-bufs and host memory, for local use and for peers. */
import { assert } from '../../common/assert.ts';
import { type Errno, isErrno } from '../../common/errno.ts';
import {
  type IbvAccessFlag,
  type IbvMr,
  ibv_dereg_mr,
  ibv_reg_dmabuf_mr,
  ibv_reg_mr,
} from '../verbs/mr.ts';
import type { FiDomain } from './domain.ts';
import { FI_ERRNO_OF_ERRNO } from './error-map.ts';
import type { FiAccess, Fid, FiErrno, FiMr } from './fabric.ts';
import type { FiMrAttr, FiMrFlag, FiSharedMemory } from './mr-types.ts';

/** Largest key that there is. */
const KEY_MAX = 0xffff_ffffn;

/**
 * What verbs must allow for each right (libfabric prov/verbs, `vrb_mr_ofi2ibv_access`). Long messages
 * are read from where they lie, so what may be sent may be read by whoever is told its key (prov/rxm).
 */
const IBV_ACCESS: Readonly<Record<FiAccess, readonly IbvAccessFlag[]>> = {
  FI_SEND: ['IBV_ACCESS_REMOTE_READ'],
  FI_WRITE: [],
  FI_RECV: ['IBV_ACCESS_LOCAL_WRITE'],
  FI_READ: ['IBV_ACCESS_LOCAL_WRITE'],
  FI_REMOTE_READ: ['IBV_ACCESS_REMOTE_READ'],
  FI_REMOTE_WRITE: [
    'IBV_ACCESS_LOCAL_WRITE',
    'IBV_ACCESS_REMOTE_WRITE',
    'IBV_ACCESS_REMOTE_ATOMIC',
  ],
};

class DomainMr implements FiMr, Fid {
  readonly fclass = 'FI_CLASS_MR';
  readonly key: bigint;
  readonly address: number;
  readonly length: number;
  readonly verbs: IbvMr;
  readonly #domain: FiDomain;
  #closed = false;
  #released: Promise<void> = Promise.resolve();
  /** Of those that peers have the memory from: how they hear that it has ended. */
  readonly #lenders = new Set<() => void>();
  #isWatched = false;
  #wasLent = false;

  constructor(domain: FiDomain, verbs: IbvMr) {
    this.#domain = domain;
    this.verbs = verbs;
    this.key = BigInt(verbs.rkey);
    this.address = verbs.addr;
    this.length = verbs.length;
    domain.children.add(this);
  }

  get released(): Promise<void> {
    return this.#released;
  }

  /**
   * Operations under way may fail; later ones do, at the peer too. Memory that a peer has mapped is moved, so that
   * the peer cannot reach it: nobody should be writing to it meanwhile. Idempotent.
   */
  close(): undefined {
    if (this.#closed) return;
    this.#closed = true;
    this.#recall();
    const unshared = this.#wasLent ? this.verbs.unshare() : undefined;
    const deregistered = ibv_dereg_mr(this.verbs);
    this.#released =
      unshared === undefined
        ? deregistered
        : Promise.all([unshared, deregistered]).then(() => undefined);
    this.#domain.children.delete(this);
  }

  /**
   * As `fi_mr_shared`, but in place. `ended` is called, once and before the memory is gone, when peers have to
   * stop: the region is closed or revoked, or another region takes the memory's file back.
   */
  lend(ended: () => void): FiSharedMemory | FiErrno {
    const file = this.verbs.shared({ inPlace: true });
    if (isErrno(file)) return FI_ERRNO_OF_ERRNO[file];
    if (!this.#isWatched) this.verbs.whenTakenBack(() => this.#recall());
    this.#isWatched = true;
    this.#wasLent = true;
    this.#lenders.add(ended);
    return file;
  }

  /** The one that would be told is not interested any more. */
  returned(ended: () => void): void {
    this.#lenders.delete(ended);
  }

  #recall(): void {
    this.#isWatched = false;
    const lenders = [...this.#lenders];
    this.#lenders.clear();
    for (const ended of lenders) ended();
  }
}

/** The region of a domain with this key. */
export function regionOfKey({ children }: FiDomain, key: number): DomainMr | undefined {
  for (const child of children) {
    if (child instanceof DomainMr && child.verbs.rkey === key) return child;
  }
  return undefined;
}

/**
 * Registers memory: with FI_MR_DMABUF part of a dma-buf of the domain's process, else host memory.
 * With FI_MR_VIRT_ADDR, as here, users and peers address it from `base_addr` (+ the dma-buf's offset)
 * on. FI_EBADFLAGS: other flags, or not those of the memory. FI_ENOSYS: an interface that is not there. FI_EINVAL: no rights, an
 * `offset`, no such fd, no bytes, a range outside the buffer. FI_ENOKEY: the requested key is in use.
 * FI_EKEYREJECTED: it is out of range, or free: keys are not the program's to choose. Else what verbs
 * or the exporter answer.
 */
export async function fi_mr_regattr(
  domain: FiDomain,
  attr: FiMrAttr,
  flags: readonly FiMrFlag[],
): Promise<FiMr | FiErrno> {
  const refusal = refusalOf(domain, attr, flags);
  if (refusal !== undefined) return refusal;
  const access = [...new Set(attr.access.flatMap((right) => IBV_ACCESS[right]))];
  const { dmabuf, host } = attr;
  if (host !== undefined) {
    return made(domain, ibv_reg_mr(domain.pd, host.bytes, host.base_addr, access));
  }
  if (dmabuf === undefined) return 'FI_EINVAL';
  const { fd, offset, len, base_addr } = dmabuf;
  const iova = base_addr + offset;
  return made(domain, await ibv_reg_dmabuf_mr(domain.pd, offset, len, iova, fd, access));
}

/**
 * Registers host memory, which users and peers address from `address` on. Other flags than none are
 * FI_EBADFLAGS; else as fi_mr_regattr.
 */
export function fi_mr_reg(
  domain: FiDomain,
  bytes: Uint8Array,
  access: readonly FiAccess[],
  offset: number,
  requested_key: bigint,
  flags: readonly FiMrFlag[],
  address = 0,
): FiMr | FiErrno {
  const host = { bytes, base_addr: address };
  const attr: FiMrAttr = { host, access, offset, requested_key, iface: 'FI_HMEM_SYSTEM' };
  if (flags.length > 0) return 'FI_EBADFLAGS';
  const refusal = refusalOf(domain, attr, flags);
  if (refusal !== undefined) return refusal;
  const rights = access.flatMap((right) => IBV_ACCESS[right]);
  return made(domain, ibv_reg_mr(domain.pd, bytes, address, [...new Set(rights)]));
}

/** fi_mr_key(3) */
export function fi_mr_key(mr: FiMr): bigint {
  return mr.key;
}

/**
 * hlsim's own: the region's memory as a file that other processes of the machine can map, as
 * `IbvMr.shared`. FI_EOPNOTSUPP: host memory, or no operating system; FI_EIO: revoked or closed; FI_EACCES;
 * FI_EINVAL; FI_EBUSY; FI_ENOMEM. `takenBack` is called when the exporter takes the memory back, before it
 * is gone.
 */
export function fi_mr_shared(mr: FiMr, takenBack?: () => void): FiSharedMemory | FiErrno {
  const verbs = verbsOf(mr);
  const shared = verbs.shared();
  if (!isErrno(shared) && takenBack !== undefined) verbs.whenTakenBack(takenBack);
  return isErrno(shared) ? FI_ERRNO_OF_ERRNO[shared] : shared;
}

/** hlsim's own: calls `takenBack`, once, when the exporter takes the region's memory back, before it is gone. */
export function fi_mr_watch(mr: FiMr, takenBack: () => void): void {
  verbsOf(mr).whenTakenBack(takenBack);
}

/** The region of verbs behind a region of this folder. */
export function verbsOf(mr: FiMr): IbvMr {
  assert(mr instanceof DomainMr, 'Expected a region of fi_mr_reg() or fi_mr_regattr()');
  return mr.verbs;
}

/** What both calls check before anything is registered. */
function refusalOf(
  domain: FiDomain,
  { access, dmabuf, host, offset = 0, requested_key = 0n, iface }: FiMrAttr,
  flags: readonly FiMrFlag[],
): FiErrno | undefined {
  if (flags.some((flag) => flag !== 'FI_MR_DMABUF')) return 'FI_EBADFLAGS';
  const isDmabuf = flags.length > 0;
  if (isDmabuf !== (dmabuf !== undefined)) return 'FI_EBADFLAGS';
  if (isDmabuf === (host !== undefined)) return 'FI_EINVAL';
  if (iface !== (isDmabuf ? 'FI_HMEM_SYNAPSEAI' : 'FI_HMEM_SYSTEM')) return 'FI_ENOSYS';
  if (access.length === 0 || offset !== 0) return 'FI_EINVAL';
  if (requested_key === 0n) return undefined;
  const isUsed = requested_key <= KEY_MAX && domain.nic.region(Number(requested_key)) !== undefined;
  return isUsed ? 'FI_ENOKEY' : 'FI_EKEYREJECTED';
}

function made(domain: FiDomain, mr: IbvMr | Errno): FiMr | FiErrno {
  return isErrno(mr) ? FI_ERRNO_OF_ERRNO[mr] : new DomainMr(domain, mr);
}
