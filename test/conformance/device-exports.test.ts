/** Exports as their rivals see them: another thread of the exporter, and the device itself as importer. */
import { describe, expect, it } from 'vitest';
import * as hlthunk from '../../node/device/hlthunk.ts';
import { DeviceBench, errnoOf, mappedMemory, UNUSED } from '../node/device/device-bench.ts';

const PAGE = 65536;

describe('R3: a thread closes the number that the export of another thread is about to return', () => {
  it.each([0, 1, 2, 3, 4, 5, 6, 8, 12])(
    '%i turns after the export began: it finds nothing or a whole dma-buf, and no count is off',
    async (turns) => {
      const bench = new DeviceBench();
      const user = bench.start();
      const { fd, handle, address, exportFd } = await mappedMemory(user, PAGE);
      const file = user.process.fds.lookup(fd);
      const exporting = exportFd();
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      const guess = errnoOf(hlthunk.hlthunk_close(user.channel, fd + 1));
      const [buffer, closed] = await Promise.all([exporting, guess]);
      const live = closed === 'no error' ? 0 : 1;
      expect(['no error', 'EBADF']).toContain(closed);
      expect(bench.dmaBufs.dmaBufs.length).toBe(live);
      expect(bench.device().usage().exports).toBe(live);
      expect(file).toMatchObject({ references: 1 + live });
      const again = await errnoOf(hlthunk.hlthunk_close(user.channel, buffer));
      expect(again).toBe(live === 1 ? 'no error' : 'EBADF');
      await hlthunk.hlthunk_memory_unmap(user.channel, fd, address);
      await hlthunk.hlthunk_device_memory_free(user.channel, fd, handle);
      await bench.run(hlthunk.hlthunk_close(user.channel, fd));
      expect(bench.device().usage()).toEqual(UNUSED);
    },
  );
});

describe('R8: a device imports a dma-buf of its own', () => {
  async function imported() {
    const bench = new DeviceBench();
    const user = bench.start();
    const { fd, address, exportFd } = await mappedMemory(user, PAGE);
    const buffer = await exportFd();
    const own = await hlthunk.hlthunk_import_dmabuf_fd(user.channel, fd, buffer, PAGE);
    return { bench, user, fd, address, buffer, own };
  }

  it('maps it a second time: what is written through the one is read through the other', async () => {
    const { bench, user, fd, address, own } = await imported();
    const staging = await hlthunk.hlthunk_host_memory_map(user.channel, fd, 4096, 2 * PAGE);
    const memory = user.process.userBytes(4096, 2 * PAGE);
    memory?.fill(7, 0, PAGE);
    const copies = [
      { kind: 'dma', source: staging, destination: own, bytes: PAGE },
      { kind: 'dma', source: address, destination: staging + PAGE, bytes: PAGE },
    ] as const;
    const sequence = await hlthunk.hlthunk_command_submission(user.channel, fd, copies);
    const waited = hlthunk.hlthunk_wait_for_cs(user.channel, fd, sequence, 1000);
    expect(await bench.run(waited)).toBe('COMPLETED');
    expect(memory?.subarray(PAGE).every((byte) => byte === 7)).toBe(true);
  });

  it('does not keep itself: the close of the device ends the import, then the dma-buf', async () => {
    const { bench, user, fd, buffer } = await imported();
    await hlthunk.hlthunk_close(user.channel, buffer);
    expect(bench.device().usage().exports).toBe(1);
    await bench.run(hlthunk.hlthunk_close(user.channel, fd));
    expect(bench.device().usage()).toEqual(UNUSED);
    expect(bench.dmaBufs.dmaBufs).toEqual([]);
  });
});
