import { afterEach, describe, expect, it } from 'vitest';
import { KiB } from '../../../common/bytes.ts';
import { delay, wallScheduler } from '../../../common/scheduler.ts';
import { fi_close } from '../../../node/fabric/close.ts';
import { fi_domain, fi_fabric } from '../../../node/fabric/domain.ts';
import { type FiAccess, type FiMr, isFiErrno } from '../../../node/fabric/fabric.ts';
import { fi_getinfo } from '../../../node/fabric/info.ts';
import {
  fi_mr_reg,
  fi_mr_regattr,
  fi_mr_shared,
  regionOfKey,
  verbsOf,
} from '../../../node/fabric/mr.ts';
import type { FiSharedMemory } from '../../../node/fabric/mr-types.ts';
import type { SimProcess } from '../../../node/process/sim-process.ts';
import { MemoryNetwork } from '../../../node/transport/memory-transport.ts';
import { createNic } from '../../../node/verbs/nic.ts';
import { PeerProcess } from '../os/peer-process.ts';
import { isMissing, thisSystem, whyMissing } from '../os/this-system.ts';
import { DeviceBench, mappedMemory, UNUSED } from './device-bench.ts';

const PAGE = 64 * KiB;
const BYTES = 2 * PAGE;
/** How long the peer writes; long enough that the device is closed meanwhile. */
const HAMMER_MS = 250;
const EVERY_ACCESS: readonly FiAccess[] = ['FI_REMOTE_READ', 'FI_REMOTE_WRITE'];

function ok<T>(value: T | string): T {
  if (typeof value === 'string') throw new Error(`expected success but found ${value}`);
  return value;
}

/** A process with device memory, registered for the NIC of its host. */
async function world() {
  const bench = new DeviceBench(1, 16 * PAGE, {
    os: thisSystem(),
    ownership: 'revoke',
    apertureBytes: 0,
  });
  const { scheduler } = bench;
  const network = new MemoryNetwork({ scheduler, latencyMs: 0.01 });
  const nic = createNic({ transport: network.transport('host-a'), scheduler });
  const user = bench.start();
  const memory = await mappedMemory(user, BYTES);
  const fd = await memory.exportFd();
  const [info] = ok(fi_getinfo(nic));
  if (info === undefined) throw new Error('expected a provider');
  const domain = ok(fi_domain(fi_fabric(info), info, { nic, process: user.process as SimProcess }));
  const register = async (access = EVERY_ACCESS, offset = 0, len = BYTES): Promise<FiMr> => {
    const dmabuf = { fd, offset, len, base_addr: 0 };
    const attr = { dmabuf, access, iface: 'FI_HMEM_SYNAPSEAI' } as const;
    return ok(await bench.run(fi_mr_regattr(domain, attr, ['FI_MR_DMABUF'])));
  };
  const bytes = bench.device().hbm.view(PAGE, BYTES);
  return { bench, user, ...memory, dmaBufFd: fd, domain, register, bytes };
}

/** For those who do not ask when it ends. */
const shared = (mr: FiMr) => fi_mr_shared(mr, () => undefined);

let peer: PeerProcess | undefined;
afterEach(async () => {
  await peer?.end();
  peer = undefined;
});

/** Another process of the machine, which has the file mapped and keeps it. */
async function disobedient(file: FiSharedMemory): Promise<PeerProcess> {
  peer = await PeerProcess.start(thisSystem());
  expect(peer.channel.credentials).toMatchObject({ pid: peer.pid, uid: process.getuid?.() });
  expect(peer.channel.send(new TextEncoder().encode('memory'), file.fd)).toBe('sent');
  expect(await peer.call('map', file.bytes)).toBe('memory');
  return peer;
}

describe.skipIf(isMissing)(`a process that keeps what it was to give back${whyMissing}`, () => {
  it('reaches the memory before the device is closed, and nothing of it after that', async () => {
    const { bench, user, fd, register, bytes } = await world();
    const mr = await register();
    bytes.fill(1);
    const atTheEnd: number[] = [];
    const file = ok(fi_mr_shared(mr, () => atTheEnd.push(bytes[0] ?? 0)));
    const other = await disobedient(file);
    expect(await other.call('sum')).toBe(BYTES);
    await other.call('fill', 2);
    expect(bytes.every((byte) => byte === 2)).toBe(true);

    await bench.run(user.channel.call('close', { fd }));
    expect(bench.device().usage()).toEqual(UNUSED);
    expect(atTheEnd).toEqual([2]);
    expect(await other.call('sum')).toBe(0);
    const next = await mappedMemory(bench.start(), BYTES);
    expect(next.fd).toBeGreaterThanOrEqual(0);
    bytes.fill(3);
    expect(await other.call('sum')).toBe(0);
    await other.call('fill', 4);
    expect(bytes.every((byte) => byte === 3)).toBe(true);
    expect(verbsOf(mr).state).toBe('REVOKED');
    expect(shared(mr)).toBe('FI_EIO');
  });

  it('does not get a byte in while the memory is taken from under its writes', async () => {
    const { bench, user, fd, register, bytes } = await world();
    const other = await disobedient(ok(shared(await register())));
    const hammering = other.call('hammer', HAMMER_MS);
    while (bytes[BYTES - 1] === 0) await delay(wallScheduler, 1);
    await bench.run(user.channel.call('close', { fd }));
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    await mappedMemory(bench.start(), BYTES);
    bytes.fill(3);
    expect(await hammering).toBeGreaterThan(0);
    expect(bytes.every((byte) => byte === 3)).toBe(true);
  });

  it('can neither shrink the file under its owner, nor grow or freeze it', async () => {
    const { register, bytes } = await world();
    const other = await disobedient(ok(shared(await register())));
    expect([
      await other.call('shrink'),
      await other.call('grow'),
      await other.call('seal'),
    ]).toEqual(['EPERM', 'EPERM', 'EPERM']);
    bytes.fill(1);
    expect(await other.call('sum')).toBe(BYTES);
  });

  it('reaches a region that it was lent until the region is closed, and keeps nothing of it', async () => {
    const { bench, domain, register, bytes } = await world();
    const mr = await register();
    const region = regionOfKey(domain, Number(mr.key));
    const atTheEnd: number[] = [];
    const lend = () => region?.lend(() => atTheEnd.push(bytes[0] ?? 0)) ?? 'FI_EINVAL';
    const other = await disobedient(ok(lend()));
    const hammering = other.call('hammer', HAMMER_MS);
    while (bytes[BYTES - 1] === 0) await delay(wallScheduler, 1);
    fi_close(mr);
    await bench.run(mr.released);
    expect(atTheEnd).toHaveLength(1);
    expect(atTheEnd[0]).toBeGreaterThan(0);
    bytes.fill(3);
    expect(await hammering).toBeGreaterThan(0);
    expect(bytes.every((byte) => byte === 3)).toBe(true);
    expect(await other.call('sum')).not.toBe(3 * BYTES);
    expect(lend()).toBe('FI_EIO');
  });

  it('keeps the device from nobody when it dies', async () => {
    const { bench, user, fd, register, bytes } = await world();
    const other = await disobedient(ok(shared(await register())));
    await other.call('fill', 5);
    await other.end();
    peer = undefined;
    expect(bytes[BYTES - 1]).toBe(5);
    await bench.run(user.channel.call('close', { fd }));
    expect(bench.device().usage()).toEqual(UNUSED);
  });
});

describe.skipIf(isMissing)(`the file of a region${whyMissing}`, () => {
  it('is that of its dma-buf, for as long as the region is registered', async () => {
    const { bench, register } = await world();
    const mr = await register();
    const twin = await register();
    const file = ok(shared(mr));
    expect(file.bytes).toBe(BYTES);
    expect(shared(twin)).toBe(file);
    mr.close();
    await bench.run(mr.released);
    expect([shared(mr), shared(twin)]).toEqual(['FI_EIO', file]);
  });

  it('is given only for a whole dma-buf that peers may read and write', async () => {
    const { register, domain } = await world();
    for (const access of ['FI_REMOTE_READ', 'FI_REMOTE_WRITE'] as const) {
      expect(shared(await register([access]))).toBe('FI_EACCES');
    }
    expect(shared(await register(EVERY_ACCESS, 0, PAGE))).toBe('FI_EINVAL');
    expect(shared(await register(EVERY_ACCESS, PAGE, PAGE))).toBe('FI_EINVAL');
    const host = fi_mr_reg(domain, new Uint8Array(64), EVERY_ACCESS, 0, 0n, []);
    expect(isFiErrno(host) ? host : shared(host)).toBe('FI_EOPNOTSUPP');
  });
});
