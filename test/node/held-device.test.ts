import { describe, expect, it } from 'vitest';
import { MiB } from '../../common/bytes.ts';
import { createDevice } from '../../node/device/device.ts';
import * as hlthunk from '../../node/device/hlthunk.ts';
import { DmaBufList } from '../../node/dmabuf/export.ts';
import { HeldDevice } from '../../node/held-device.ts';
import { MemoryNetwork } from '../../node/transport/memory-transport.ts';
import { createNic } from '../../node/verbs/nic.ts';
import { registerUverbs } from '../../node/verbs/uverbs.ts';
import { ProcessWorld } from './process/process-world.ts';
import { ibv, REMOTE } from './verbs/uverbs-world.ts';

const BYTES = 65_536;

describe('who keeps a device', () => {
  it('is found also through the verbs file that was passed on, when the one that registered is gone', async () => {
    const world = new ProcessWorld();
    const { scheduler, processes } = world;
    const network = new MemoryNetwork({ scheduler, latencyMs: 0.01 });
    const nic = createNic({ transport: network.transport('host'), scheduler });
    registerUverbs(world.nodes, nic);
    const dmaBufs = new DmaBufList();
    const device = createDevice({ index: 0, hbmBytes: 4 * MiB, scheduler, dmaBufs, processes });
    const held = new HeldDevice(device, dmaBufs, processes);
    held.register(world.nodes);
    const a = world.process({ containerId: 'a', memory: new SharedArrayBuffer(BYTES) });
    const b = world.process({ containerId: 'b', memory: new SharedArrayBuffer(BYTES) });
    const register = async () => {
      const { channel } = a;
      const fd = await hlthunk.hlthunk_open(channel, 0);
      const handle = await hlthunk.hlthunk_device_memory_alloc(channel, fd, BYTES);
      const address = await hlthunk.hlthunk_device_memory_map(channel, fd, handle);
      const dmaBuf = await hlthunk.hlthunk_device_mapped_memory_export_dmabuf_fd(
        channel,
        fd,
        address,
        BYTES,
      );
      const context = await ibv.ibv_open_device(channel);
      const pd = await ibv.ibv_alloc_pd(channel, context);
      await ibv.ibv_reg_dmabuf_mr(channel, pd, 0, BYTES, 0, dmaBuf, REMOTE);
    };
    await world.run(register());
    const uverbs = a.process.fds.entries().find(([, file]) => file.operations.kind === 'uverbs');
    const fd = b.process.fds.reserve();
    if (uverbs === undefined || typeof fd !== 'number') throw new Error('Expected a descriptor');
    b.process.fds.install(fd, uverbs[1].get());
    a.process.exit();
    expect(device.driver.describe().use).toBe('releasing');
    expect(held.holders()).toMatchObject([{ pid: b.process.pid, how: 'descriptor' }]);
    b.process.exit();
    await world.run(new Promise<void>((done) => scheduler.after(100, done)));
    expect([device.driver.describe().use, held.holders()]).toEqual(['free', []]);
  });
});
