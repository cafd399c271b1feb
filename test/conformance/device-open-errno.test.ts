/** The rows of `OPEN_ERRORS`: over all states there are, and brought about through system calls. */
import { describe, expect, it } from 'vitest';
import * as hlthunk from '../../node/device/hlthunk.ts';
import { OPEN_ERRORS, openError } from '../../node/device/open-errors.ts';
import { DEVICE_STATUSES, type DeviceStatus } from '../../node/device/uapi.ts';
import { DeviceBench, errnoOf } from '../node/device/device-bench.ts';
import { fill, mappedWorld, resetDevice, stall } from './device-world.ts';

const PAGE = 65536;

describe('open of the compute node: the first row that holds, of all states there are', () => {
  const conditions = (['present', 'removed'] as const).flatMap((presence) =>
    (Object.keys(DEVICE_STATUSES) as DeviceStatus[]).flatMap((status) =>
      (['idle', 'running'] as const).flatMap((scrub) =>
        (['none', 'active', 'releasing'] as const).map((context) => ({
          ...{ presence, status, scrub, context },
        })),
      ),
    ),
  );

  it('only a present, operational, scrubbed and unused device can be opened', () => {
    expect(conditions.filter((one) => openError(one) === undefined)).toEqual([
      { presence: 'present', status: 'OPERATIONAL', scrub: 'idle', context: 'none' },
    ]);
  });

  it.each(OPEN_ERRORS)('$condition: $errno', (row) => {
    const decided = conditions.filter(
      (one) => OPEN_ERRORS.find((other) => other.holds(one)) === row,
    );
    expect(decided.length).toBeGreaterThan(0);
    for (const one of decided) expect(openError(one)).toBe(row.errno);
  });

  const opened = (bench: DeviceBench) => errnoOf(hlthunk.hlthunk_open(bench.start().channel, 0));

  it('removed: ENXIO, and for the control node too', async () => {
    const bench = new DeviceBench();
    bench.device().driver.remove();
    expect(await opened(bench)).toBe('ENXIO');
    const control = hlthunk.hlthunk_open_control(bench.start().channel, 0);
    expect(await errnoOf(control)).toBe('ENXIO');
  });

  it('in reset: EAGAIN, also while it is scrubbed; operational afterwards', async () => {
    const { bench } = await mappedWorld({ limits: { scrubSliceBytes: PAGE } });
    const reset = bench.device().driver.hardReset('test');
    expect(await opened(bench)).toBe('EAGAIN');
    await bench.sleep(1000);
    expect(bench.device().driver.describe()).toMatchObject({ status: 'IN_RESET', use: 'free' });
    expect(await opened(bench)).toBe('EAGAIN');
    await bench.run(reset);
    expect(await opened(bench)).toBe('no error');
  });

  it('needs a reset: EPERM, until it had one', async () => {
    const options = { limits: { csTimeoutMs: 5 }, resetOnLockup: false };
    const { bench, process, address, submit } = await mappedWorld(options);
    stall(bench);
    await submit(fill(address, 1));
    await bench.sleep(10);
    expect(await opened(bench)).toBe('EPERM');
    process.exit();
    await bench.sleep(1);
    expect(await opened(bench)).toBe('EPERM');
    await bench.run(resetDevice(bench));
    expect(await opened(bench)).toBe('no error');
  });

  it('disabled: EPERM', async () => {
    const bench = new DeviceBench();
    bench.device().driver.disable('test');
    expect(await opened(bench)).toBe('EPERM');
  });

  it('scrub after the release of a Gaudi 1, which needs no reset: EAGAIN', async () => {
    const { bench, process } = await mappedWorld({
      asic: 'gaudi1',
      limits: { scrubSliceBytes: PAGE },
    });
    process.exit();
    expect(bench.device().driver.describe()).toMatchObject({
      status: 'OPERATIONAL',
      use: 'scrubbing',
    });
    expect(await opened(bench)).toBe('EAGAIN');
    await bench.run(process.descriptorsSettled);
    expect(await opened(bench)).toBe('no error');
    expect(bench.device().driver.describe().resets).toEqual({ hard: 0, soft: 0 });
  });

  it('the previous context is still being released: EAGAIN', async () => {
    const { bench, channel, fd, address, exported } = await mappedWorld();
    await exported(address, PAGE);
    await hlthunk.hlthunk_close(channel, fd);
    expect(await opened(bench)).toBe('EAGAIN');
  });

  it('another user: EBUSY', async () => {
    expect(await opened((await mappedWorld()).bench)).toBe('EBUSY');
  });
});
