/** Options of endpoints (fi_setopt, fi_getopt; fi_endpoint(3), level FI_OPT_ENDPOINT). */
import type { FiErrno } from './fabric.ts';

/** How device memory is reached (FI_OPT_FI_HMEM_P2P). hlsim has no way but by the NIC itself. */
export type HmemP2p =
  | 'FI_HMEM_P2P_ENABLED'
  | 'FI_HMEM_P2P_REQUIRED'
  | 'FI_HMEM_P2P_PREFERRED'
  | 'FI_HMEM_P2P_DISABLED';

/** Options and the type of their value. */
export interface FiOptions {
  readonly FI_OPT_FI_HMEM_P2P: HmemP2p;
  /** Bytes that may come with a connection request: none, endpoints have no such call. */
  readonly FI_OPT_CM_DATA_SIZE: number;
}

/** Options that libfabric has and hlsim does not: FI_ENOPROTOOPT. */
export const OPTIONS_LEFT_OUT = [
  'FI_OPT_MIN_MULTI_RECV',
  'FI_OPT_BUFFERED_MIN',
  'FI_OPT_BUFFERED_LIMIT',
  'FI_OPT_SEND_BUF_SIZE',
  'FI_OPT_RECV_BUF_SIZE',
  'FI_OPT_TX_SIZE',
  'FI_OPT_RX_SIZE',
  'FI_OPT_XPU_TRIGGER',
  'FI_OPT_CUDA_API_PERMITTED',
  'FI_OPT_SHARED_MEMORY_PERMITTED',
  'FI_OPT_MAX_MSG_SIZE',
  'FI_OPT_INJECT_MSG_SIZE',
] as const;

export type FiOptionName = keyof FiOptions | (typeof OPTIONS_LEFT_OUT)[number];

export class EndpointOptions {
  hmemP2p: HmemP2p = 'FI_HMEM_P2P_PREFERRED';

  /** FI_ENOPROTOOPT: not an option that can be set. FI_EOPNOTSUPP: not to this value. */
  set(name: FiOptionName, value: unknown): FiErrno | undefined {
    if (name !== 'FI_OPT_FI_HMEM_P2P') return 'FI_ENOPROTOOPT';
    const error = P2P_VALUES[value as HmemP2p];
    if (error !== 'taken') return error ?? 'FI_EINVAL';
    this.hmemP2p = value as HmemP2p;
    return undefined;
  }

  get(name: FiOptionName): number | HmemP2p | FiErrno {
    if (name === 'FI_OPT_FI_HMEM_P2P') return this.hmemP2p;
    return name === 'FI_OPT_CM_DATA_SIZE' ? 0 : 'FI_ENOPROTOOPT';
  }
}

const P2P_VALUES: Readonly<Partial<Record<HmemP2p, FiErrno | 'taken'>>> = {
  FI_HMEM_P2P_ENABLED: 'taken',
  FI_HMEM_P2P_REQUIRED: 'taken',
  FI_HMEM_P2P_PREFERRED: 'taken',
  FI_HMEM_P2P_DISABLED: 'FI_EOPNOTSUPP',
};
