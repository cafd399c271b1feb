/** fi_getinfo(3): which interfaces fit what a program asks for. hlsim has one, over verbs RC. */
import type { Nic } from '../verbs/nic.ts';
import type { FiErrno, FiInfo } from './fabric.ts';
import { EAGER_BYTES } from './message-header.ts';

/** Modes that the provider needs its users to support; FI_MR_HMEM only where FI_HMEM is asked for. */
const MR_MODES = ['FI_MR_LOCAL', 'FI_MR_VIRT_ADDR', 'FI_MR_ALLOCATED', 'FI_MR_PROV_KEY'] as const;
const CAPABILITIES = ['FI_MSG', 'FI_TAGGED', 'FI_RMA', 'FI_HMEM'] as const;
/** Bytes of immediate data. */
const CQ_DATA_BYTES = 4;
const PROVIDER_NAME = 'verbs';

/**
 * What `nic` can do within `hints`; FI_ENODATA: not what they ask for. Without hints: everything. As
 * in libfabric, `mr_mode` of the hints lists what the program supports; the provider needs all of its
 * own modes in it.
 */
export function fi_getinfo(nic: Nic, hints?: FiInfo): FiInfo[] | FiErrno {
  if (hints !== undefined && !fits(hints)) return 'FI_ENODATA';
  const caps = hints?.caps ?? CAPABILITIES;
  const hmem = caps.includes('FI_HMEM');
  return [
    {
      ep_attr: { type: 'FI_EP_RDM' },
      caps,
      domain_attr: {
        mr_mode: hmem ? [...MR_MODES, 'FI_MR_HMEM'] : MR_MODES,
        inject_size: EAGER_BYTES,
        cq_data_size: CQ_DATA_BYTES,
      },
      fabric_attr: { prov_name: `${PROVIDER_NAME};${nic.transport.provider}` },
    },
  ];
}

function fits({ ep_attr, caps, domain_attr, fabric_attr }: FiInfo): boolean {
  const { mr_mode, inject_size = 0, cq_data_size = 0 } = domain_attr;
  const name = fabric_attr?.prov_name ?? PROVIDER_NAME;
  return (
    ep_attr.type === 'FI_EP_RDM' &&
    caps.every((capability) => CAPABILITIES.includes(capability)) &&
    MR_MODES.every((mode) => mr_mode.includes(mode)) &&
    (!caps.includes('FI_HMEM') || mr_mode.includes('FI_MR_HMEM')) &&
    inject_size <= EAGER_BYTES &&
    cq_data_size <= CQ_DATA_BYTES &&
    name.split(';')[0] === PROVIDER_NAME
  );
}
