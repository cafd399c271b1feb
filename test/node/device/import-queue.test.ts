import { describe, expect, it } from 'vitest';
import { MiB } from '../../../common/bytes.ts';
import { VirtualScheduler } from '../../../common/scheduler.ts';
import { createDevice, registerDevice } from '../../../node/device/device.ts';
import * as hlthunk from '../../../node/device/hlthunk.ts';
import { KERNELS } from '../../../node/device/kernels/table.ts';
import { registerDescriptorCalls } from '../../../node/process/descriptor-calls.ts';
import { SimProcess } from '../../../node/process/sim-process.ts';
import { inlineChannel, SystemCallTable } from '../../../node/process/system-call-table.ts';

const BYTES = 65_536;

describe('a queue of work that names another device’s memory', () => {
  it('does not hold up a revoke: what is left of it never touches the memory', async () => {
    const scheduler = new VirtualScheduler();
    const table = new SystemCallTable();
    const nodes = registerDescriptorCalls(table);
    const devices = [0, 1].map((index) =>
      createDevice({ index, hbmBytes: 4 * MiB, scheduler, ownership: 'revoke' }),
    );
    for (const device of devices) registerDevice(nodes, device);
    const memory = new SharedArrayBuffer(BYTES);
    const channel = inlineChannel(table, new SimProcess({ pid: 1, containerId: 'a', memory }));
    const open = async (index: number) => {
      const fd = await hlthunk.hlthunk_open(channel, index);
      const handle = await hlthunk.hlthunk_device_memory_alloc(channel, fd, BYTES);
      return { fd, address: await hlthunk.hlthunk_device_memory_map(channel, fd, handle) };
    };
    const run = async () => {
      const owner = await open(0);
      const importer = await open(1);
      const dmaBuf = await hlthunk.hlthunk_device_mapped_memory_export_dmabuf_fd(
        channel,
        owner.fd,
        owner.address,
        BYTES,
      );
      const source = await hlthunk.hlthunk_import_dmabuf_fd(channel, importer.fd, dmaBuf, BYTES);
      const own = { kind: 'dma', source: importer.address, bytes: 4096 } as const;
      const sequence = await hlthunk.hlthunk_command_submission(channel, importer.fd, [
        ...Array.from({ length: 500 }, () => ({ ...own, destination: importer.address + 8192 })),
        { kind: 'dma', source, destination: importer.address, bytes: 4096 },
      ]);
      const closing = channel.call('close', { fd: owner.fd });
      await closing;
      const status = await hlthunk.hlthunk_wait_for_cs(channel, importer.fd, sequence, 1_000_000);
      return status;
    };
    const status = await scheduler.run(run());
    expect(status).toBe('ABORTED');
    expect(devices[0]?.driver.describe()).toMatchObject({ status: 'OPERATIONAL', use: 'free' });
  });
});

describe('kernels over nothing', () => {
  it('are refused: rows of no columns would still be counted one by one', () => {
    const many = 2 ** 28;
    expect(KERNELS.matmul_f32.sizes([many, 0, 0])).toBeUndefined();
    expect(KERNELS.add_bias_f32.sizes([many, 0])).toBeUndefined();
    expect(KERNELS.matmul_f32.sizes([2, 3, 4])).toEqual([8, 6, 12]);
  });
});
