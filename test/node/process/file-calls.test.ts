import { describe, expect, it } from 'vitest';
import { deferred } from '../../../common/deferred.ts';
import { OPEN_FILES_MAX } from '../../../node/process/file.ts';
import * as api from '../../../node/process/process-api.ts';
import { ProcessWorld } from './process-world.ts';

describe('dup and dup2', () => {
  it('a file stays open until the last descriptor of it is closed', async () => {
    const world = new ProcessWorld();
    const { process, channel } = world.process();
    const fd = world.install(process, 'file');
    const copy = await world.run(api.dup(channel, fd));
    await world.run(api.closeDescriptor(channel, fd));
    expect(world.log).toEqual([]);
    await world.run(api.closeDescriptor(channel, copy));
    expect(world.log).toEqual(['file closed', 'file released']);
    expect(await world.codeOf(api.closeDescriptor(channel, copy))).toBe('EBADF');
    expect(await world.codeOf(api.dup(channel, copy))).toBe('EBADF');
  });

  it('dup2 closes what the target named, and leaves a target that is the file itself', async () => {
    const world = new ProcessWorld();
    const { process, channel } = world.process();
    const [a, b] = ['a', 'b'].map((name) => world.install(process, name)) as [number, number];
    expect(await world.run(api.dup2(channel, a, a))).toBe(a);
    expect(world.log).toEqual([]);
    expect(await world.run(api.dup2(channel, a, b))).toBe(b);
    expect(world.log).toEqual(['b closed', 'b released']);
    expect(await world.run(api.dup2(channel, a, 700))).toBe(700);
    process.exit();
    expect(world.log.slice(2)).toEqual(['a closed', 'a released']);
  });

  it('dup2: EBADF for what is not open or no descriptor; EBUSY for a number that a call has reserved', async () => {
    const world = new ProcessWorld();
    const { process, channel } = world.process();
    const fd = world.install(process, 'file');
    const reserved = process.fds.reserve() as number;
    expect(await world.codeOf(api.dup2(channel, 9, fd))).toBe('EBADF');
    expect(await world.codeOf(api.dup2(channel, fd, OPEN_FILES_MAX))).toBe('EBADF');
    expect(await world.codeOf(api.dup2(channel, fd, reserved))).toBe('EBUSY');
    expect(await world.codeOf(channel.call('dup2', { fd }))).toBe('EINVAL');
  });
});

describe('close', () => {
  it('of the last descriptor returns when the file has settled; of another one at once', async () => {
    const world = new ProcessWorld();
    const { process, channel } = world.process();
    const gate = deferred<void>();
    const fd = world.install(process, 'file', { settled: () => gate.promise });
    const copy = await world.run(api.dup(channel, fd));
    await world.run(api.closeDescriptor(channel, copy));
    const order: string[] = [];
    const closing = api.closeDescriptor(channel, fd).then(() => order.push('returned'));
    world.scheduler.after(100, () => {
      order.push('settled');
      gate.resolve();
    });
    await world.run(closing);
    expect(order).toEqual(['settled', 'returned']);
    expect(world.log).toEqual(['file closed', 'file released']);
  });

  it('the number is free as soon as the close begins', async () => {
    const world = new ProcessWorld();
    const { process, channel } = world.process();
    const fd = world.install(process, 'file', { settled: () => new Promise(() => undefined) });
    void api.closeDescriptor(channel, fd);
    expect(world.install(process, 'next')).toBe(fd);
  });
});

describe('lseek, mmap, fdinfo', () => {
  it('reach the file’s own operations', async () => {
    const world = new ProcessWorld();
    const { process, channel } = world.process();
    const fd = world.install(process, 'file', {
      lseek: (offset, whence) => (whence === 'SEEK_END' ? 100 + offset : 'EINVAL'),
      mmap: (caller, offset, length) => caller.pid + offset + length,
      fdinfo: () => ({ size: 8 }),
    });
    expect(await world.run(api.lseek(channel, fd, -1, 'SEEK_END'))).toBe(99);
    expect(await world.codeOf(api.lseek(channel, fd, 0, 'SEEK_CUR'))).toBe('EINVAL');
    expect(await world.run(api.mmap(channel, fd, 1, 2))).toBe(process.pid + 3);
    expect(await world.run(api.fdinfo(channel, fd))).toEqual({ kind: 'recorded', size: 8 });
  });

  it('ESPIPE and ENODEV where a file has none; EINVAL and EBADF for wrong arguments', async () => {
    const world = new ProcessWorld();
    const { process, channel } = world.process();
    const fd = world.install(process, 'file');
    expect(await world.codeOf(api.lseek(channel, fd, 0, 'SEEK_SET'))).toBe('ESPIPE');
    expect(await world.codeOf(api.mmap(channel, fd, 0, 1))).toBe('ENODEV');
    expect(await world.codeOf(api.mmap(channel, fd, 0, 0))).toBe('EINVAL');
    expect(await world.run(api.fdinfo(channel, fd))).toEqual({ kind: 'recorded' });
    const badSeek = { fd, offset: 0.5, whence: 'SEEK_SET' };
    expect(await world.codeOf(channel.call('lseek', badSeek))).toBe('EINVAL');
    const badWhence = { fd, offset: 0, whence: 'SEEK_DATA' };
    expect(await world.codeOf(channel.call('lseek', badWhence))).toBe('EINVAL');
    expect(await world.codeOf(api.lseek(channel, 9, 0, 'SEEK_SET'))).toBe('EBADF');
    expect(await world.codeOf(api.mmap(channel, 9, 0, 1))).toBe('EBADF');
    expect(await world.codeOf(api.fdinfo(channel, 9))).toBe('EBADF');
  });
});

describe('poll', () => {
  it('answers at once what holds: a file without a poll of its own is always ready', async () => {
    const world = new ProcessWorld();
    const { process, channel } = world.process();
    const fd = world.install(process, 'file');
    const [socket] = await world.run(api.socketPair(channel));
    const fds = [
      { fd, events: ['POLLIN'] },
      { fd: socket, events: ['POLLIN', 'POLLOUT'] },
      { fd: socket, events: ['POLLIN'] },
      { fd: 99, events: [] },
    ] as const;
    expect(await world.run(api.poll(channel, fds, 1000))).toEqual([
      ...[['POLLIN'], ['POLLOUT'], [], ['POLLNVAL']],
    ]);
    expect(world.scheduler.clock.now()).toBe(0);
  });

  it('waits until something holds, at most its timeout', async () => {
    const world = new ProcessWorld();
    const { channel } = world.process();
    const [one, other] = await world.run(api.socketPair(channel));
    const fds = [
      { fd: one, events: ['POLLIN'] },
      { fd: other, events: ['POLLIN'] },
    ] as const;
    expect(await world.run(api.poll(channel, fds, 0))).toEqual([[], []]);
    expect(await world.run(api.poll(channel, fds, 300))).toEqual([[], []]);
    expect(world.scheduler.clock.now()).toBe(300);
    world.scheduler.after(50, () => void api.sendMessage(channel, one, 'x'));
    expect(await world.run(api.poll(channel, fds, 300))).toEqual([[], ['POLLIN']]);
    expect(world.scheduler.clock.now()).toBe(350);
    await world.run(api.closeDescriptor(channel, one));
    expect(await world.run(api.poll(channel, fds.slice(1), 300))).toEqual([['POLLIN', 'POLLHUP']]);
  });

  it('holds the files while it waits, and lets them go when the caller ends', async () => {
    const world = new ProcessWorld();
    const { process, channel } = world.process();
    const fd = world.install(process, 'file', {
      poll: (_, signal) =>
        new Promise((resolve) => {
          if (signal.aborted) resolve([]);
          signal.addEventListener('abort', () => resolve([]));
        }),
    });
    const polling = api.poll(channel, [{ fd, events: ['POLLIN'] }], 1000).then(
      () => 'no error',
      (reason: { code: string }) => reason.code,
    );
    await world.run(api.closeDescriptor(channel, fd));
    expect(world.log).toEqual(['file closed']);
    process.exit();
    expect(await world.run(polling)).toBe('EINTR');
    expect(world.log).toEqual(['file closed', 'file released']);
    expect(world.scheduler.clock.now()).toBe(0);
  });

  it('EINVAL: events that there are not', async () => {
    const world = new ProcessWorld();
    const { channel } = world.process();
    for (const fds of [[{ fd: 0, events: ['POLLPRI'] }], [{ fd: 0 }], [3], 'x']) {
      expect(await world.codeOf(channel.call('poll', { fds, timeoutMs: 0 }))).toBe('EINVAL');
    }
  });
});
