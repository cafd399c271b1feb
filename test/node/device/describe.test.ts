import { describe, expect, it } from 'vitest';
import { DeviceBench, mappedMemory, passDescriptor } from './device-bench.ts';
import { region } from './region.ts';

const PAGE = 65536;

describe('describe', () => {
  it('of a free device', () => {
    const bench = new DeviceBench(2, 16 * PAGE);
    expect(bench.device(1).driver.describe()).toEqual({
      index: 1,
      asic: 'gaudi2',
      pciBusId: '0000:02:00.0',
      status: 'OPERATIONAL',
      use: 'free',
      ownership: 'owner',
      owner: null,
      openers: [],
      hbmBytes: 16 * PAGE,
      hbmUsedBytes: 0,
      allocations: 0,
      mappings: 0,
      exportedDmaBufs: 0,
      memoryRegions: 0,
      submissions: 0,
      resets: { hard: 0, soft: 0 },
    });
  });

  it('says whose memory it is, before and after the close, and is serialisable', async () => {
    const bench = new DeviceBench(1, 16 * PAGE);
    const user = bench.start('c7');
    const { fd, exportFd } = await mappedMemory(user, 3 * PAGE);
    await region(user.process, await exportFd());
    const { driver } = bench.device();
    const { pid } = user.process;
    const expected = {
      use: 'open',
      owner: { pid, containerId: 'c7' },
      openers: [{ pid, containerId: 'c7' }],
      hbmUsedBytes: 3 * PAGE,
      allocations: 1,
      mappings: 1,
      exportedDmaBufs: 1,
      memoryRegions: 1,
    };
    expect(driver.describe()).toMatchObject(expected);
    user.process.fds.close(fd);
    expect(driver.describe()).toMatchObject({ ...expected, use: 'releasing' });
    expect(structuredClone(driver.describe())).toEqual(driver.describe());
    expect(JSON.parse(JSON.stringify(driver.describe()))).toEqual(driver.describe());
  });
});

describe('holders: who keeps a device from its next user', () => {
  it('nobody, of a free one', () => {
    expect(new DeviceBench().device().driver.holders()).toEqual([]);
  });

  it('its opener first, then for whom others work on its memory, each by process', async () => {
    const bench = new DeviceBench(1, 16 * PAGE);
    const user = bench.start('c1');
    const other = bench.start('c2');
    const { fd, exportFd } = await mappedMemory(user, PAGE);
    const buffer = await exportFd();
    const own = await region(user.process, buffer);
    await region(other.process, passDescriptor(user.process, buffer, other.process));
    const opener = { pid: user.process.pid, containerId: 'c1' };
    const importer = { pid: other.process.pid, containerId: 'c2' };
    const { driver } = bench.device();
    expect(driver.holders()).toEqual([
      { ...opener, how: 'opener', what: '/dev/accel/accel0' },
      { ...opener, how: 'importer', what: 'nic0' },
      { ...importer, how: 'importer', what: 'nic0' },
    ]);
    await own.close();
    user.process.fds.close(buffer);
    user.process.fds.close(fd);
    expect(driver.holders().map(({ how, pid }) => [how, pid])).toEqual([
      ['opener', user.process.pid],
      ['importer', other.process.pid],
    ]);
    other.process.exit();
    expect(driver.holders()).toEqual([]);
  });

  it('under policy none, importers of a former user’s memory are still named', async () => {
    const bench = new DeviceBench(1, 16 * PAGE, { ownership: 'none' });
    const user = bench.start();
    const { fd, exportFd } = await mappedMemory(user, PAGE);
    await region(user.process, await exportFd());
    user.process.fds.close(fd);
    expect(
      bench
        .device()
        .driver.holders()
        .map(({ how }) => how),
    ).toEqual(['importer']);
  });
});
