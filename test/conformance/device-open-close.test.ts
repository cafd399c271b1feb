/**
 * What the test suites of hl-thunk (HabanaAI/hl-thunk-open, tests/) ask of a driver, one test per behaviour
 * and named after it: open_close, debug and control_device.
 */
import { describe, expect, it } from 'vitest';
import { MiB } from '../../common/bytes.ts';
import * as hlthunk from '../../node/device/hlthunk.ts';
import * as information from '../../node/device/hlthunk-info.ts';
import * as opening from '../../node/device/hlthunk-open.ts';
import * as work from '../../node/device/hlthunk-work.ts';
import { controlNodePath, deviceNodePath, pciBusId } from '../../node/device/uapi.ts';
import { DeviceBench, errnoOf, UNUSED } from '../node/device/device-bench.ts';
import { fill, opened } from './device-world.ts';

const PAGE = 65536;

describe('open_close', () => {
  it('open by bus id', async () => {
    const bench = new DeviceBench(3);
    const { channel } = bench.start();
    const fd = await opening.hlthunk_open_by_bus_id(channel, pciBusId(2));
    expect((await hlthunk.hlthunk_get_hw_ip_info(channel, fd)).moduleId).toBe(2);
    const nowhere = opening.hlthunk_open_by_bus_id(channel, '0000:ff:00.0');
    expect(await errnoOf(nowhere)).toBe('EINVAL');
  });

  it('open twice: the second open fails with EBUSY', async () => {
    const { channel } = await opened();
    expect(await errnoOf(hlthunk.hlthunk_open(channel, 0))).toBe('EBUSY');
    expect(await errnoOf(opening.hlthunk_open_by_module_id(channel, 0))).toBe('EBUSY');
  });

  it('open by module id', async () => {
    const bench = new DeviceBench(3);
    const { channel } = bench.start();
    const fd = await opening.hlthunk_open_by_module_id(channel, 1);
    expect((await hlthunk.hlthunk_get_hw_ip_info(channel, fd)).moduleId).toBe(1);
    expect(await errnoOf(opening.hlthunk_open_by_module_id(channel, 3))).toBe('EINVAL');
  });

  it('open by name gives the first device that is free', async () => {
    const bench = new DeviceBench(2);
    const { process, channel } = bench.start();
    const minorOf = async (fd: number) =>
      (await hlthunk.hlthunk_get_hw_ip_info(channel, fd)).moduleId;
    expect(await minorOf(await opening.hlthunk_open_by_name(channel, 'GAUDI2'))).toBe(0);
    expect(await minorOf(await opening.hlthunk_open_by_name(channel, 'GAUDI2'))).toBe(1);
    expect(await errnoOf(opening.hlthunk_open_by_name(channel, 'GAUDI2'))).toBe('EBUSY');
    expect(await errnoOf(opening.hlthunk_open_by_name(channel, 'GAUDI'))).toBe('EINVAL');
    expect(process.fds.openCount).toBe(2);
  });

  it('close without any ioctl', async () => {
    const { bench, channel, fd } = await opened();
    await hlthunk.hlthunk_close(channel, fd);
    expect(bench.device().usage()).toEqual(UNUSED);
  });

  it('close without releasing debug mode: the next user can turn it on again', async () => {
    const { channel, fd } = await opened();
    const debug = (enable: boolean) =>
      errnoOf(work.hlthunk_debug(channel, fd, { op: 'HL_DEBUG_OP_SET_MODE', enable }));
    expect([await debug(true), await debug(true)]).toEqual(['no error', 'EFAULT']);
    await hlthunk.hlthunk_close(channel, fd);
    expect(await hlthunk.hlthunk_open(channel, 0)).toBe(fd);
    expect([await debug(false), await debug(true)]).toEqual(['EFAULT', 'no error']);
  });

  it('the nodes have the names of the kernel', () => {
    expect(deviceNodePath(3)).toBe('/dev/accel/accel3');
    expect(controlNodePath(3)).toBe('/dev/accel/accel_controlD3');
  });

  it('prints the bus, device and function', async () => {
    const { channel, fd } = await opened();
    const found = await information.hlthunk_get_pci_bus_id_from_fd(channel, fd);
    expect(found).toBe('0000:01:00.0');
  });
});

describe('debug', () => {
  it('duplicate descriptor: either works, and the device is open until both are closed', async () => {
    const { bench, channel, fd } = await opened();
    const copy = (await channel.call('dup', { fd })) as number;
    const name = (of: number) => information.hlthunk_get_device_name_from_fd(channel, of);
    expect([await name(fd), await name(copy)]).toEqual(['GAUDI2', 'GAUDI2']);
    await hlthunk.hlthunk_close(channel, fd);
    expect(await name(copy)).toBe('GAUDI2');
    await hlthunk.hlthunk_close(channel, copy);
    expect(bench.device().usage()).toEqual(UNUSED);
  });
});

describe('control_device: what can be asked while somebody else has the device', () => {
  async function asked() {
    const world = await opened(16 * MiB);
    const { channel } = world.bench.start('c1');
    const control = await hlthunk.hlthunk_open_control(channel, 0);
    return { ...world, other: channel, control };
  }

  it('hardware ip info', async () => {
    const { other, control } = await asked();
    expect(await hlthunk.hlthunk_get_hw_ip_info(other, control)).toEqual({
      deviceName: 'GAUDI2',
      vendorId: 0x1da3,
      pciBusId: '0000:01:00.0',
      moduleId: 0,
      dramBaseAddress: 0x20_0000_0000 + PAGE,
      dramBytes: 16 * MiB,
      dramPageBytes: PAGE,
      importApertureBytes: 0,
    });
  });

  it('DRAM usage: of the device, and nothing of the asker’s own', async () => {
    const { other, control, alloc } = await asked();
    await alloc(1 * MiB);
    expect(await hlthunk.hlthunk_get_dram_usage(other, control)).toEqual({
      dramFreeBytes: 15 * MiB,
      contextDramBytes: 0,
    });
  });

  it('device status', async () => {
    const { other, control } = await asked();
    const found = await hlthunk.hlthunk_get_device_status_info(other, control);
    expect(found).toEqual({ status: 'OPERATIONAL' });
  });

  it('idle or not', async () => {
    const { other, control, alloc, map, submit, wait } = await asked();
    const isIdle = () => information.hlthunk_is_device_idle(other, control);
    const address = await map(await alloc(PAGE));
    expect(await isIdle()).toBe(true);
    const sequence = await submit(fill(address, 1));
    expect(await isIdle()).toBe(false);
    await wait(sequence);
    expect(await isIdle()).toBe(true);
  });

  it('reset counts: hard resets, and soft ones that a release brings about', async () => {
    const { bench, channel, fd, other, control } = await asked();
    const counts = () => information.hlthunk_get_reset_count_info(other, control);
    await hlthunk.hlthunk_close(channel, fd);
    expect(await counts()).toEqual({ hardResetCount: 0, softResetCount: 1 });
    await bench.run(bench.device().driver.hardReset('test'));
    expect(await counts()).toEqual({ hardResetCount: 1, softResetCount: 1 });
  });

  it('time sync', async () => {
    const { bench, other, control } = await asked();
    await bench.sleep(7);
    const found = await information.hlthunk_get_time_sync_info(other, control);
    expect(found).toEqual({ deviceTimeNs: 7e6, hostTimeNs: 7e6 });
  });

  it('open statistics', async () => {
    const { bench, channel, fd, other, control } = await asked();
    const stats = () => hlthunk.hlthunk_get_open_stats(other, control);
    await bench.sleep(25);
    expect(await stats()).toEqual({
      openCounter: 1,
      lastOpenPeriodMs: 0,
      isComputeContextActive: true,
      computeContextInRelease: false,
    });
    await hlthunk.hlthunk_close(channel, fd);
    expect(await stats()).toMatchObject({ lastOpenPeriodMs: 25, isComputeContextActive: false });
  });

  it('page sizes of ALLOC', async () => {
    const { channel, fd, other, control } = await asked();
    const mask = await information.hlthunk_get_dev_memalloc_page_orders(other, control);
    const { hlthunk_device_memory_alloc } = hlthunk;
    for (let order = 12; order <= 22; order++) {
      const call = hlthunk_device_memory_alloc(channel, fd, 1, 2 ** order).then((handle) =>
        hlthunk.hlthunk_device_memory_free(channel, fd, handle),
      );
      const isNamed = Math.floor(mask / 2 ** order) % 2 === 1;
      expect(await errnoOf(call)).toBe(isNamed ? 'no error' : 'EINVAL');
    }
  });

  it('PCI bus id and device name; open of the control node by either, and by module', async () => {
    const { bench, other, control } = await asked();
    expect(await information.hlthunk_get_pci_bus_id_from_fd(other, control)).toBe(pciBusId(0));
    const fds = [
      await opening.hlthunk_open_control_by_bus_id(other, pciBusId(0)),
      await opening.hlthunk_open_control_by_module_id(other, 0),
      await opening.hlthunk_open_control_by_name(other, 'GAUDI2'),
    ];
    for (const fd of fds) {
      expect(await information.hlthunk_get_device_name_from_fd(other, fd)).toBe('GAUDI2');
    }
    expect(await errnoOf(opening.hlthunk_open_control_by_module_id(other, 1))).toBe('EINVAL');
    expect(bench.device().usage().state).toBe('open');
  });

  it('has no memory, no work and no debug mode: ENOTTY', async () => {
    const { other, control } = await asked();
    for (const request of [
      'HL_IOCTL_MEMORY',
      'HL_IOCTL_CS',
      'HL_IOCTL_WAIT_CS',
      'HL_IOCTL_DEBUG',
    ]) {
      const call = other.call('ioctl', { fd: control, request, argument: {} });
      expect(await errnoOf(call)).toBe('ENOTTY');
    }
  });
});
