/** Address vectors (`struct fid_av`; fi_av(3)), type FI_AV_TABLE: an address is an index from 0. */
import type { CmPeer } from '../verbs/cm.ts';
import type { FiDomain } from './domain.ts';
import { decodeEndpointName } from './endpoint-name.ts';
import { FI_ADDR_NOTAVAIL, type FiAddr, type Fid, type FiErrno, isFiErrno } from './fabric.ts';
import { peerKey } from './peer-service.ts';

/** Addresses that one vector holds. */
export const AV_ENTRIES_MAX = 65_536;

interface AvEntry {
  readonly name: Uint8Array;
  readonly peer: CmPeer;
  /** How often it was inserted. */
  count: number;
}

/** An endpoint that uses the vector. */
export interface AvUser {
  peerInserted(address: FiAddr, peer: CmPeer): void;
  peerRemoved(address: FiAddr): void;
}

export class FiAv implements Fid {
  readonly fclass = 'FI_CLASS_AV';
  readonly users = new Set<AvUser>();
  readonly #domain: FiDomain;
  readonly #entries: (AvEntry | undefined)[] = [];
  readonly #indices = new Map<string, FiAddr>();

  constructor(domain: FiDomain) {
    this.#domain = domain;
    domain.children.add(this);
  }

  /** FI_EINVAL: not a name. FI_ENOMEM: full. */
  insert(name: Uint8Array): FiAddr | 'FI_EINVAL' | 'FI_ENOMEM' {
    const peer = decodeEndpointName(name);
    if (peer === undefined) return 'FI_EINVAL';
    const key = peerKey(peer);
    const known = this.#indices.get(key);
    const entry = known === undefined ? undefined : this.#entries[known];
    if (known !== undefined && entry !== undefined) {
      entry.count++;
      return known;
    }
    const free = this.#entries.indexOf(undefined);
    const address = free < 0 ? this.#entries.length : free;
    if (address >= AV_ENTRIES_MAX) return 'FI_ENOMEM';
    this.#entries[address] = { name: name.slice(), peer, count: 1 };
    this.#indices.set(key, address);
    for (const user of this.users) user.peerInserted(address, peer);
    return address;
  }

  remove(address: FiAddr): FiErrno | undefined {
    const entry = this.#entries[address];
    if (entry === undefined) return 'FI_EINVAL';
    entry.count--;
    if (entry.count > 0) return undefined;
    this.#entries[address] = undefined;
    this.#indices.delete(peerKey(entry.peer));
    for (const user of this.users) user.peerRemoved(address);
    return undefined;
  }

  lookup(address: FiAddr): Uint8Array | FiErrno {
    return this.#entries[address]?.name.slice() ?? 'FI_EINVAL';
  }

  /** Every address with its peer, lowest first. */
  *peers(): Generator<readonly [FiAddr, CmPeer]> {
    for (const [address, entry] of this.#entries.entries()) {
      if (entry !== undefined) yield [address, entry.peer];
    }
  }

  close(): FiErrno | undefined {
    if (this.users.size > 0) return 'FI_EBUSY';
    this.#domain.children.delete(this);
    return undefined;
  }
}

/** `struct fi_av_attr` */
export interface FiAvAttr {
  readonly type?: 'FI_AV_UNSPEC' | 'FI_AV_TABLE' | 'FI_AV_MAP';
  /** Addresses that are expected: a hint. FI_EINVAL above AV_ENTRIES_MAX. */
  readonly count?: number;
}

/** Opens a vector. FI_AV_MAP is FI_EOPNOTSUPP. */
export function fi_av_open(domain: FiDomain): FiAv;
export function fi_av_open(domain: FiDomain, attr: FiAvAttr): FiAv | FiErrno;
export function fi_av_open(domain: FiDomain, attr: FiAvAttr = {}): FiAv | FiErrno {
  const { type = 'FI_AV_TABLE', count = 0 } = attr;
  if (type === 'FI_AV_MAP') return 'FI_EOPNOTSUPP';
  if (!Number.isInteger(count) || count < 0 || count > AV_ENTRIES_MAX) return 'FI_EINVAL';
  return new FiAv(domain);
}

/**
 * Adds names of endpoints and gives their addresses, in order; FI_ADDR_NOTAVAIL for bytes that are no
 * name, and when the vector is full. The lowest free index is taken first; a name that is known keeps
 * its index. Endpoints that are enabled begin to connect. With FI_SYNC_ERR, that is, if there is an
 * `errors`, the error of each name is put there: `undefined`, FI_EINVAL or FI_ENOMEM.
 */
export function fi_av_insert(
  av: FiAv,
  names: readonly Uint8Array[],
  errors?: (FiErrno | undefined)[],
): FiAddr[] {
  return names.map((name, index) => {
    const address = av.insert(name);
    if (errors !== undefined) errors[index] = isFiErrno(address) ? address : undefined;
    return isFiErrno(address) ? FI_ADDR_NOTAVAIL : address;
  });
}

/**
 * Takes an address out, once it has been removed as often as inserted. Operations to that peer end
 * with FI_ECANCELED. FI_EINVAL: no such address.
 */
export function fi_av_remove(av: FiAv, address: FiAddr): FiErrno | undefined {
  return av.remove(address);
}

/** The name behind an address. FI_EINVAL: no such address. */
export function fi_av_lookup(av: FiAv, address: FiAddr): Uint8Array | FiErrno {
  return av.lookup(address);
}
