/** What a registration is asked for with (fi_mr(3)). */
import type { FiAccess } from './fabric.ts';

/** `struct fi_mr_dmabuf` */
export interface FiMrDmabuf {
  readonly fd: number;
  readonly offset: number;
  readonly len: number;
  /** Address that the start of the dma-buf has for users of the region (FI_MR_VIRT_ADDR). */
  readonly base_addr: number;
}

/** Host memory, and the address that its start has for users of the region. */
export interface FiMrHost {
  readonly bytes: Uint8Array;
  readonly base_addr: number;
}

/** Kinds of memory. Of device memory, SynapseAI's alone is there. */
export type FiHmemIface =
  | 'FI_HMEM_SYSTEM'
  | 'FI_HMEM_CUDA'
  | 'FI_HMEM_ROCR'
  | 'FI_HMEM_ZE'
  | 'FI_HMEM_NEURON'
  | 'FI_HMEM_SYNAPSEAI';

/** `struct fi_mr_attr`: `dmabuf` with FI_MR_DMABUF, else `host`. */
export interface FiMrAttr {
  readonly dmabuf?: FiMrDmabuf;
  readonly host?: FiMrHost;
  readonly access: readonly FiAccess[];
  /** Must be 0. */
  readonly offset?: number;
  /** 0 or nothing: the provider chooses, as FI_MR_PROV_KEY says. */
  readonly requested_key?: bigint;
  readonly iface: FiHmemIface;
}

export type FiMrFlag =
  | 'FI_MR_DMABUF'
  | 'FI_HMEM_DEVICE_ONLY'
  | 'FI_HMEM_HOST_ALLOC'
  | 'FI_RMA_EVENT';

/** Memory of a region as a file of the operating system. The descriptor stays the region's. */
export interface FiSharedMemory {
  readonly fd: number;
  readonly bytes: number;
}
