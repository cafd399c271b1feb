/** Fabric conformance: fabtests/unit, fi_getinfo and registration. */
import { describe, expect } from 'vitest';
import { defined } from '../../common/assert.ts';
import { fi_close } from '../../node/fabric/close.ts';
import type { FiAccess, FiErrno, FiInfo } from '../../node/fabric/fabric.ts';
import { FI_API_VERSION, fi_getinfo, fiVersion } from '../../node/fabric/info.ts';
import { FI_CAPABILITIES, FI_ORDERS } from '../../node/fabric/info-types.ts';
import { fi_mr_key, fi_mr_reg, fi_mr_regattr } from '../../node/fabric/mr.ts';
import type { FiHmemIface } from '../../node/fabric/mr-types.ts';
import { fi_read, fi_write } from '../../node/fabric/rma.ts';
import { EVERY_ACCESS, ok, type Rank } from '../node/fabric/world.ts';
import { TestMemory } from '../node/verbs/world.ts';
import { behaves, behavesCompletely } from './fabric-behaviours.ts';
import { contexts, FABRIC_PROVIDERS, fabricWorlds, pairOf, part } from './fabric-world.ts';

/** What HCL asks for (hl_ofi.cpp); with gaudi direct it adds FI_HMEM and FI_MR_HMEM. */
const HCL_HINTS: FiInfo = {
  ep_attr: { type: 'FI_EP_RDM' },
  caps: ['FI_MSG', 'FI_TAGGED'],
  mode: ['FI_CONTEXT'],
  tx_attr: { msg_order: ['FI_ORDER_SAS'] },
  rx_attr: { msg_order: ['FI_ORDER_SAS'] },
  domain_attr: {
    mr_mode: ['FI_MR_LOCAL', 'FI_MR_VIRT_ADDR', 'FI_MR_ALLOCATED', 'FI_MR_PROV_KEY'],
    control_progress: 'FI_PROGRESS_AUTO',
    data_progress: 'FI_PROGRESS_AUTO',
  },
};
const GAUDI_DIRECT: FiInfo = {
  ...HCL_HINTS,
  caps: [...HCL_HINTS.caps, 'FI_HMEM'],
  domain_attr: {
    ...HCL_HINTS.domain_attr,
    mr_mode: [...HCL_HINTS.domain_attr.mr_mode, 'FI_MR_HMEM'],
  },
};
const NAMES = ['FI_ENOSYS', 'FI_ENODATA', 'FI_EBADFLAGS'];

function only(infos: FiInfo[] | FiErrno): FiInfo {
  expect(NAMES).not.toContain(infos);
  return defined(ok(infos)[0], 'an info');
}

/** Every subset of some rights that is not empty. */
function subsets(rights: readonly FiAccess[]): FiAccess[][] {
  const all = Array.from({ length: 2 ** rights.length }, (_, bits) =>
    rights.filter((_right, index) => (bits >> index) % 2 === 1),
  );
  return all.slice(1);
}

function dmabufOf({ process }: Rank, size: number) {
  const memory = new TestMemory(size, 4096);
  const fd = memory.fd(process);
  return { memory, dmabuf: { fd, offset: 0, len: size, base_addr: 0x40_0000 } };
}

describe.each(FABRIC_PROVIDERS)('fabric conformance, registration: $name', (provider) => {
  const { strangers, connected } = fabricWorlds(provider);
  const nicOf = async () => (await strangers(1)).rank(0).nic;

  behaves('getinfo_test', 'without hints it offers everything', async () => {
    const nic = await nicOf();
    expect(only(fi_getinfo(nic))).toMatchObject({
      ep_attr: { type: 'FI_EP_RDM' },
      caps: ['FI_MSG', 'FI_TAGGED', 'FI_RMA', 'FI_ATOMIC', 'FI_HMEM'],
      fabric_attr: { prov_name: nic.transport.provider },
    });
    expect(
      only(fi_getinfo(nic, { ...HCL_HINTS, caps: [], domain_attr: GAUDI_DIRECT.domain_attr })),
    ).toMatchObject({ caps: ['FI_MSG', 'FI_TAGGED', 'FI_RMA', 'FI_ATOMIC', 'FI_HMEM'] });
  });

  behaves('getinfo_test', 'the hints of HCL, with and without device memory', async () => {
    const nic = await nicOf();
    // It needs no mode of its users.
    for (const hints of [HCL_HINTS, GAUDI_DIRECT]) {
      expect(only(fi_getinfo(nic, hints))).toMatchObject({ ...hints, mode: [] });
    }
    const blind = { ...GAUDI_DIRECT, domain_attr: HCL_HINTS.domain_attr };
    expect(fi_getinfo(nic, blind)).toBe('FI_ENODATA');
    for (const addr_format of ['FI_SOCKADDR_IN', 'FI_SOCKADDR_IN6'] as const) {
      expect(only(fi_getinfo(nic, { ...HCL_HINTS, addr_format }))).toMatchObject({ addr_format });
    }
  });

  behaves('getinfo_test', 'source and destination', async () => {
    const nic = await nicOf();
    const { host: own } = nic.transport.address;
    only(fi_getinfo(nic, undefined, { node: 'elsewhere', service: '47592' }));
    only(fi_getinfo(nic, undefined, { node: own, flags: ['FI_SOURCE'] }));
    const elsewhere = { node: 'elsewhere', flags: ['FI_SOURCE'] } as const;
    expect(fi_getinfo(nic, undefined, elsewhere)).toBe('FI_ENODATA');
  });

  behaves('getinfo_test', 'API version', async () => {
    const nic = await nicOf();
    for (const version of [fiVersion(1, 0), fiVersion(1, 20), fiVersion(2, 0), FI_API_VERSION]) {
      only(fi_getinfo(nic, HCL_HINTS, { version }));
    }
    for (const version of [FI_API_VERSION + 1, fiVersion(3, 0)]) {
      expect(fi_getinfo(nic, HCL_HINTS, { version })).toBe('FI_ENOSYS');
    }
  });

  behaves('getinfo_test', 'an unknown domain is FI_ENODATA', async () => {
    const nic = await nicOf();
    const { name = '' } = only(fi_getinfo(nic)).domain_attr;
    const domain_attr = { ...HCL_HINTS.domain_attr, name };
    expect(only(fi_getinfo(nic, { ...HCL_HINTS, domain_attr })).domain_attr.name).toBe(name);
    const unknown = { ...domain_attr, name: 'mlx5_0' };
    expect(fi_getinfo(nic, { ...HCL_HINTS, domain_attr: unknown })).toBe('FI_ENODATA');
    const efa = { ...HCL_HINTS, fabric_attr: { prov_name: 'efa' } };
    expect(fi_getinfo(nic, efa)).toBe('FI_ENODATA');
    const types = ['FI_EP_MSG', 'FI_EP_DGRAM'] as const;
    for (const type of types) {
      expect(fi_getinfo(nic, { ...HCL_HINTS, ep_attr: { type } })).toBe('FI_ENODATA');
    }
    only(fi_getinfo(nic, { ...HCL_HINTS, ep_attr: { type: 'FI_EP_UNSPEC' } }));
  });

  behaves('getinfo_test', 'order bits and sizes', async () => {
    const nic = await nicOf();
    const { tx_attr, rx_attr, ep_attr } = only(fi_getinfo(nic));
    const kept = tx_attr?.msg_order ?? [];
    expect(kept).toEqual(expect.arrayContaining(['FI_ORDER_SAS', 'FI_ORDER_SAW', 'FI_ORDER_WAW']));
    expect(rx_attr?.msg_order).toEqual(kept);
    expect(ep_attr).toMatchObject({ max_order_waw_size: ep_attr.max_msg_size });
    expect(ep_attr.max_order_war_size).toBe(0);
    for (const order of FI_ORDERS) {
      const hints = { ...HCL_HINTS, tx_attr: { msg_order: [order] } };
      const answer = fi_getinfo(nic, hints);
      if (kept.includes(order)) expect(only(answer).tx_attr?.msg_order).toEqual([order]);
      else expect(answer).toBe('FI_ENODATA');
    }
    const { size = 0, inject_size = 0 } = tx_attr ?? {};
    const hints = (attr: object) => fi_getinfo(nic, { ...HCL_HINTS, tx_attr: attr });
    only(hints({ size, inject_size, iov_limit: 1 }));
    for (const attr of [{ size: size + 1 }, { inject_size: inject_size + 1 }, { iov_limit: 2 }]) {
      expect(hints(attr)).toBe('FI_ENODATA');
    }
  });

  behaves('getinfo_test', 'mr_mode: only the bits that the provider needs come back', async () => {
    const nic = await nicOf();
    const mr_mode = [
      ...HCL_HINTS.domain_attr.mr_mode,
      'FI_MR_ENDPOINT',
      'FI_MR_RMA_EVENT',
    ] as const;
    const info = only(fi_getinfo(nic, { ...HCL_HINTS, domain_attr: { mr_mode } }));
    expect(info.domain_attr.mr_mode).toEqual(HCL_HINTS.domain_attr.mr_mode);
    for (const missing of HCL_HINTS.domain_attr.mr_mode) {
      const rest = HCL_HINTS.domain_attr.mr_mode.filter((mode) => mode !== missing);
      const hints = { ...HCL_HINTS, domain_attr: { mr_mode: rest } };
      expect(fi_getinfo(nic, hints), missing).toBe('FI_ENODATA');
    }
  });

  behaves('getinfo_test', 'progress is automatic', async () => {
    const nic = await nicOf();
    for (const asked of ['FI_PROGRESS_UNSPEC', 'FI_PROGRESS_AUTO', 'FI_PROGRESS_MANUAL'] as const) {
      const attr = { ...HCL_HINTS.domain_attr, control_progress: asked, data_progress: asked };
      expect(only(fi_getinfo(nic, { ...HCL_HINTS, domain_attr: attr })).domain_attr).toMatchObject({
        control_progress: 'FI_PROGRESS_AUTO',
        data_progress: 'FI_PROGRESS_AUTO',
      });
    }
  });

  behaves('getinfo_test', 'capabilities: those asked for, and none that is not there', async () => {
    const nic = await nicOf();
    const not = FI_CAPABILITIES.slice(FI_CAPABILITIES.indexOf('FI_COLLECTIVE'));
    for (const capability of FI_CAPABILITIES) {
      const answer = fi_getinfo(nic, { ...GAUDI_DIRECT, caps: [capability] });
      if (not.includes(capability)) expect(answer, capability).toBe('FI_ENODATA');
      else expect(only(answer).caps).toEqual([capability]);
    }
  });

  behaves('getinfo_test', 'unknown flags are FI_EBADFLAGS', async () => {
    const nic = await nicOf();
    only(fi_getinfo(nic, HCL_HINTS, { flags: ['FI_NUMERICHOST', 'FI_PROV_ATTR_ONLY'] }));
    const flags = ['FI_MULTI_RECV'] as unknown as ['FI_SOURCE'];
    expect(fi_getinfo(nic, HCL_HINTS, { flags })).toBe('FI_EBADFLAGS');
  });

  behaves('mr_test', 'every combination of access', async () => {
    const rank = (await strangers(1)).rank(0);
    const { dmabuf } = dmabufOf(rank, 4096);
    for (const access of subsets(EVERY_ACCESS)) {
      const attr = { dmabuf, access, iface: 'FI_HMEM_SYNAPSEAI' } as const;
      const device = ok(await fi_mr_regattr(rank.domain, attr, ['FI_MR_DMABUF']));
      const host = fi_mr_reg(rank.domain, new Uint8Array(64), access, 0, 0n, []);
      expect(fi_mr_key(device)).toBeGreaterThan(0n);
      fi_close(device);
      fi_close(ok(host));
    }
    expect(fi_mr_reg(rank.domain, new Uint8Array(64), [], 0, 0n, [])).toBe('FI_EINVAL');
  });

  behaves('mr_test', 'regattr of host memory and of dma-bufs', async () => {
    const { world, a, b } = await pairOf(connected);
    const bytes = Uint8Array.from({ length: 5000 }, (_, index) => index);
    const host = { bytes, base_addr: 0x1000 };
    const attr = { host, access: EVERY_ACCESS, iface: 'FI_HMEM_SYSTEM' } as const;
    const source = ok(await fi_mr_regattr(a.domain, attr, []));
    expect([source.address, source.length]).toEqual([0x1000, 5000]);
    const target = await b.register(8192);
    fi_write(a.endpoint, part(source), 1, target.mr.address, target.mr.key, 'w');
    await world.until(() => a.completions.length === 1);
    expect(target.memory.bytes.subarray(0, 5000)).toEqual(bytes);
    const wrong = [
      [attr, ['FI_HMEM_DEVICE_ONLY'], 'FI_EBADFLAGS'],
      [attr, ['FI_MR_DMABUF'], 'FI_EBADFLAGS'],
      [{ ...attr, offset: 1 }, [], 'FI_EINVAL'],
      [{ ...attr, access: [] }, [], 'FI_EINVAL'],
      [{ access: EVERY_ACCESS, iface: 'FI_HMEM_SYSTEM' }, [], 'FI_EINVAL'],
      [{ ...attr, iface: 'FI_HMEM_SYNAPSEAI' }, [], 'FI_ENOSYS'],
    ] as const;
    for (const [one, flags, error] of wrong) {
      expect(await fi_mr_regattr(a.domain, one, flags)).toBe(error);
    }
    expect(fi_mr_reg(a.domain, new Uint8Array(), EVERY_ACCESS, 0, 0n, [])).toBe('FI_EINVAL');
    expect(fi_mr_reg(a.domain, bytes, EVERY_ACCESS, 0, 0n, ['FI_MR_DMABUF'])).toBe('FI_EBADFLAGS');
  });

  behaves(
    'mr_test',
    'registers after memory of the same address was freed and allocated',
    async () => {
      const { world, a, b } = await pairOf(connected);
      const target = await b.register(64);
      const keys = new Set<bigint>();
      for (const value of [1, 2, 3]) {
        const source = await a.register(64);
        source.memory.bytes.fill(value);
        keys.add(source.mr.key);
        fi_write(a.endpoint, part(source.mr), 1, target.mr.address, target.mr.key, value);
        await world.until(() => a.completions.length === value);
        expect(target.memory.bytes).toEqual(source.memory.bytes);
        fi_close(source.mr);
        a.process.fds.close(source.fd);
        await world.settle(source.mr.released);
      }
      expect(keys.size).toBe(3);
    },
  );

  behaves('mr_test', 'a requested key is FI_ENOKEY or FI_EKEYREJECTED', async () => {
    const rank = (await strangers(1)).rank(0);
    const taken = ok(fi_mr_reg(rank.domain, new Uint8Array(8), EVERY_ACCESS, 0, 0n, []));
    const ask = (key: bigint) =>
      fi_mr_reg(rank.domain, new Uint8Array(8), EVERY_ACCESS, 0, key, []);
    expect(ask(taken.key)).toBe('FI_ENOKEY');
    expect(ask(taken.key + 5n)).toBe('FI_EKEYREJECTED');
    expect(ask(2n ** 40n)).toBe('FI_EKEYREJECTED');
    fi_close(taken);
    expect(ask(taken.key)).toBe('FI_EKEYREJECTED');
  });

  behaves('check_hmem', 'SynapseAI memory is there, other devices are not', async () => {
    const { world, a, b } = await pairOf(connected);
    const { dmabuf, memory } = dmabufOf(a, 4096);
    const register = (iface: FiHmemIface) =>
      fi_mr_regattr(a.domain, { dmabuf, access: EVERY_ACCESS, iface }, ['FI_MR_DMABUF']);
    for (const iface of ['FI_HMEM_CUDA', 'FI_HMEM_ROCR', 'FI_HMEM_ZE', 'FI_HMEM_NEURON'] as const) {
      expect(await register(iface)).toBe('FI_ENOSYS');
    }
    const mr = ok(await register('FI_HMEM_SYNAPSEAI'));
    const source = await b.register(4096);
    source.memory.bytes.fill(7);
    fi_read(a.endpoint, part(mr), 1, source.mr.address, source.mr.key, 'r');
    await world.until(() => contexts(a).includes('r'));
    expect(memory.bytes).toEqual(source.memory.bytes);
  });
});

describe('fabtests of registration', () => {
  behavesCompletely('getinfo_test', 'mr_test', 'check_hmem');
});
