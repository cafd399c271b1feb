/** Memory regions (`struct fid_mr`; fi_mr(3)): dma-bufs, for local use and for peers. */
import { assert } from '../../common/assert.ts';
import { isErrno } from '../../common/errno.ts';
import { type IbvAccessFlag, type IbvMr, ibv_dereg_mr, ibv_reg_dmabuf_mr } from '../verbs/mr.ts';
import type { FiDomain } from './domain.ts';
import { FI_ERRNO_OF_ERRNO } from './error-map.ts';
import type { FiAccess, Fid, FiErrno, FiMr, FiMrAttr } from './fabric.ts';

/** What verbs must allow for each right (libfabric prov/verbs, `vrb_mr_ofi2ibv_access`). */
const IBV_ACCESS: Readonly<Record<FiAccess, readonly IbvAccessFlag[]>> = {
  FI_SEND: [],
  FI_WRITE: [],
  FI_RECV: ['IBV_ACCESS_LOCAL_WRITE'],
  FI_READ: ['IBV_ACCESS_LOCAL_WRITE'],
  FI_REMOTE_READ: ['IBV_ACCESS_REMOTE_READ'],
  FI_REMOTE_WRITE: ['IBV_ACCESS_LOCAL_WRITE', 'IBV_ACCESS_REMOTE_WRITE'],
};

class DomainMr implements FiMr, Fid {
  readonly fclass = 'FI_CLASS_MR';
  readonly key: bigint;
  readonly address: number;
  readonly length: number;
  readonly verbs: IbvMr;
  readonly #domain: FiDomain;
  #closed = false;

  constructor(domain: FiDomain, verbs: IbvMr) {
    this.#domain = domain;
    this.verbs = verbs;
    this.key = BigInt(verbs.rkey);
    this.address = verbs.addr;
    this.length = verbs.length;
    domain.children.add(this);
  }

  /** Operations under way may fail; later ones do, at the peer too. Idempotent. */
  close(): undefined {
    if (this.#closed) return;
    this.#closed = true;
    ibv_dereg_mr(this.verbs);
    this.#domain.children.delete(this);
  }
}

/**
 * Registers part of a dma-buf of the domain's process. With FI_MR_VIRT_ADDR, as here, users and peers
 * address it from `base_addr + offset` on. FI_EBADFLAGS: other flags than FI_MR_DMABUF. FI_EINVAL: no
 * rights, no such fd, a range outside the buffer. Else what verbs or the exporter answer.
 */
export function fi_mr_regattr(
  domain: FiDomain,
  attr: FiMrAttr,
  flags: readonly 'FI_MR_DMABUF'[],
): FiMr | FiErrno {
  if (flags.length !== 1 || flags[0] !== 'FI_MR_DMABUF') return 'FI_EBADFLAGS';
  if (attr.access.length === 0) return 'FI_EINVAL';
  const { fd, offset, len, base_addr } = attr.dmabuf;
  const access = new Set(attr.access.flatMap((right) => IBV_ACCESS[right]));
  const mr = ibv_reg_dmabuf_mr(domain.pd, offset, len, base_addr + offset, fd, [...access]);
  return isErrno(mr) ? FI_ERRNO_OF_ERRNO[mr] : new DomainMr(domain, mr);
}

/** The local key of a region of this folder. */
export function lkeyOf(mr: FiMr): number {
  assert(mr instanceof DomainMr, 'Expected a region of fi_mr_regattr()');
  return mr.verbs.lkey;
}
