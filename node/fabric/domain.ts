/** Fabrics and domains (`struct fid_fabric`, `struct fid_domain`; fi_fabric(3), fi_domain(3)). */
import {
  type IbvContext,
  type IbvPd,
  ibv_alloc_pd,
  ibv_close_device,
  ibv_open_device,
  type SimProcess,
} from '../verbs/context.ts';
import type { Nic } from '../verbs/nic.ts';
import type { Fid, FiErrno, FiInfo } from './fabric.ts';
import { P2P_PROVIDER } from './info-types.ts';

export class FiFabric implements Fid {
  readonly fclass = 'FI_CLASS_FABRIC';
  readonly info: FiInfo;
  readonly domains = new Set<FiDomain>();
  /** Event queues. */
  readonly queues = new Set<Fid>();

  constructor(info: FiInfo) {
    this.info = info;
  }

  close(): FiErrno | undefined {
    return this.domains.size + this.queues.size > 0 ? 'FI_EBUSY' : undefined;
  }
}

/** In which order the objects of a domain go when its process ends: users before what they use. */
const ABANDON_ORDER = [
  'FI_CLASS_EP',
  'FI_CLASS_MR',
  'FI_CLASS_CNTR',
  'FI_CLASS_CQ',
  'FI_CLASS_AV',
] as const;

/** One process's access to one NIC: an opened device and a protection domain. */
export class FiDomain implements Fid {
  readonly fclass = 'FI_CLASS_DOMAIN';
  readonly fabric: FiFabric;
  readonly nic: Nic;
  readonly context: IbvContext;
  readonly pd: IbvPd;
  /** What endpoints share memory by with hosts of this machine; of provider `p2p` alone. */
  readonly machine: Nic['machine'];
  /** Address vectors, regions, completion queues, counters and endpoints that are open. */
  readonly children = new Set<Fid>();
  readonly #releaseExitHook: () => void;

  constructor(fabric: FiFabric, { nic, process }: FiDomainInit) {
    this.fabric = fabric;
    this.nic = nic;
    this.machine = fabric.info.fabric_attr?.prov_name === P2P_PROVIDER ? nic.machine : undefined;
    // Before the device's own hook: endpoints end in order, then the device finds nothing left.
    this.#releaseExitHook = process.onExit(() => this.#abandon());
    this.context = ibv_open_device(nic, process);
    this.pd = ibv_alloc_pd(this.context);
    fabric.domains.add(this);
  }

  close(): FiErrno | undefined {
    if (this.children.size > 0) return 'FI_EBUSY';
    this.#releaseExitHook();
    ibv_close_device(this.context);
    this.fabric.domains.delete(this);
    return undefined;
  }

  /** The process has ended: everything goes. */
  #abandon(): void {
    for (const fclass of ABANDON_ORDER) {
      for (const child of [...this.children]) if (child.fclass === fclass) child.close();
    }
    this.close();
  }
}

export interface FiDomainInit {
  readonly nic: Nic;
  /** Whose descriptors the registrations name; its end closes the domain. */
  readonly process: SimProcess;
}

export function fi_fabric(info: FiInfo): FiFabric {
  return new FiFabric(info);
}

/** Opens the NIC for a process. FI_EINVAL: `info` is not of this fabric's provider. */
export function fi_domain(fabric: FiFabric, info: FiInfo, init: FiDomainInit): FiDomain | FiErrno {
  if (info.fabric_attr?.prov_name !== fabric.info.fabric_attr?.prov_name) return 'FI_EINVAL';
  return new FiDomain(fabric, init);
}

/** What the link to a host is made of; `undefined` while there is none (hlsim's own). */
export function fi_domain_link(domain: FiDomain, nodeId: string): ReturnType<Nic['linkKind']> {
  return domain.nic.linkKind(nodeId);
}
