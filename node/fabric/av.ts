/** Address vectors (`struct fid_av`; fi_av(3)), type FI_AV_TABLE: an address is an index from 0. */
import type { CmPeer } from '../verbs/cm.ts';
import type { FiDomain } from './domain.ts';
import { decodeEndpointName } from './endpoint-name.ts';
import { FI_ADDR_NOTAVAIL, type FiAddr, type Fid, type FiErrno } from './fabric.ts';

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

  insert(name: Uint8Array): FiAddr {
    const peer = decodeEndpointName(name);
    if (peer === undefined) return FI_ADDR_NOTAVAIL;
    const key = keyOf(peer);
    const known = this.#indices.get(key);
    const entry = known === undefined ? undefined : this.#entries[known];
    if (known !== undefined && entry !== undefined) {
      entry.count++;
      return known;
    }
    const free = this.#entries.indexOf(undefined);
    const address = free < 0 ? this.#entries.length : free;
    if (address >= AV_ENTRIES_MAX) return FI_ADDR_NOTAVAIL;
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
    this.#indices.delete(keyOf(entry.peer));
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

export function fi_av_open(domain: FiDomain): FiAv {
  return new FiAv(domain);
}

/**
 * Adds names of endpoints and gives their addresses, in order; FI_ADDR_NOTAVAIL for bytes that are no
 * name. The lowest free index is taken first; a name that is known keeps its index. Endpoints that
 * are enabled begin to connect.
 */
export function fi_av_insert(av: FiAv, names: readonly Uint8Array[]): FiAddr[] {
  return names.map((name) => av.insert(name));
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

function keyOf(peer: CmPeer): string {
  return `${peer.nodeId}/${peer.serviceId}`;
}
