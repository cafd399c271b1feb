import { describe, expect, it } from 'vitest';
import { deferred } from '../../../common/deferred.ts';
import { HlsimError } from '../../../common/errors.ts';
import { registerDescriptorCalls } from '../../../node/process/descriptor-calls.ts';
import { OpenFile } from '../../../node/process/file.ts';
import { SimProcess } from '../../../node/process/sim-process.ts';
import type { SystemCallValue } from '../../../node/process/system-call.ts';
import { inlineChannel, SystemCallTable } from '../../../node/process/system-call-table.ts';

function world() {
  const table = new SystemCallTable();
  const nodes = registerDescriptorCalls(table);
  const process = new SimProcess({
    pid: 7,
    containerId: 'c',
    memory: new SharedArrayBuffer(64),
  });
  const { call } = inlineChannel(table, process);
  const failure = async (name: string, argument: SystemCallValue) => {
    try {
      await call(name, argument);
    } catch (reason) {
      return reason;
    }
    return undefined;
  };
  return { table, nodes, process, call, failure };
}

describe('open, close, dup', () => {
  it('a device node is opened for the caller, and the failure of its opener is the call’s', async () => {
    const { nodes, process, call, failure } = world();
    let released = 0;
    const openers: SimProcess[] = [];
    nodes.register('/dev/a0', (caller) => {
      openers.push(caller);
      return new OpenFile({ kind: 'a', release: () => released++ });
    });
    nodes.register('/dev/a1', () => 'EBUSY');
    expect(await call('open', { path: '/dev/a0', flags: 2 })).toBe(0);
    expect(openers).toEqual([process]);
    const busy = { family: 'errno', code: 'EBUSY' };
    expect(await failure('open', { path: '/dev/a1', flags: 2 })).toMatchObject({
      ...busy,
      message: 'EBUSY: Device or resource busy: open /dev/a1',
    });
    expect(await call('dup', { fd: 0 })).toBe(1);
    await call('close', { fd: 0 });
    expect(released).toBe(0);
    await call('close', { fd: 1 });
    expect([released, process.fds.openCount]).toEqual([1, 0]);
    expect(await failure('close', { fd: 1 })).toMatchObject({ code: 'EBADF' });
    expect(await failure('dup', { fd: 1 })).toMatchObject({ code: 'EBADF' });
  });

  it('ENXIO: a driver without that minor; ENOENT: no such node; EINVAL: bad flags', async () => {
    const { nodes, failure } = world();
    nodes.register('/dev/accel/accel0', () => 'EBUSY');
    const open = (path: string, flags = 2) => failure('open', { path, flags });
    expect(await open('/dev/accel/accel1')).toMatchObject({ code: 'ENXIO' });
    expect(await open('/dev/accel/accel')).toMatchObject({ code: 'ENOENT' });
    expect(await open('/dev/accel/accel_control1')).toMatchObject({ code: 'ENOENT' });
    expect(await open('/dev/accel/accel0', 3)).toMatchObject({ code: 'EINVAL' });
  });

  it.each(['open', 'close', 'dup', 'ioctl'])(
    'EINVAL: %s with a malformed argument',
    async (name) => {
      const { failure } = world();
      const bad: SystemCallValue[] = [undefined, null, 3, 'x', [], {}, { fd: -1 }, { path: 1 }];
      for (const argument of bad) {
        expect(await failure(name, argument)).toMatchObject({ family: 'errno', code: 'EINVAL' });
      }
    },
  );
});

describe('ioctl', () => {
  it('reaches the file’s own handler with caller, request and argument', async () => {
    const { nodes, process, call, failure } = world();
    nodes.register('/dev/a0', () => {
      return new OpenFile({
        kind: 'a',
        ioctl: (caller, request, argument) => [caller.pid, request, argument],
        release: () => undefined,
      });
    });
    nodes.register('/dev/b0', () => new OpenFile({ kind: 'b', release: () => undefined }));
    await call('open', { path: '/dev/a0', flags: 2 });
    await call('open', { path: '/dev/b0', flags: 2 });
    const result = await call('ioctl', { fd: 0, request: 'GET', argument: { x: 1 } });
    expect(result).toEqual([process.pid, 'GET', { x: 1 }]);
    const onOther = { fd: 1, request: 'GET', argument: null };
    expect(await failure('ioctl', onOther)).toMatchObject({ code: 'ENOTTY' });
    const onNone = { fd: 2, request: 'GET', argument: null };
    expect(await failure('ioctl', onNone)).toMatchObject({ code: 'EBADF' });
  });

  it('holds the file until it returns, also when the descriptor is closed meanwhile', async () => {
    const { nodes, call } = world();
    const answer = deferred<number>();
    let released = 0;
    nodes.register('/dev/a0', () => {
      return new OpenFile({ kind: 'a', ioctl: () => answer.promise, release: () => released++ });
    });
    await call('open', { path: '/dev/a0', flags: 2 });
    const pending = call('ioctl', { fd: 0, request: 'WAIT', argument: null });
    await call('close', { fd: 0 });
    expect(released).toBe(0);
    answer.resolve(5);
    expect(await pending).toBe(5);
    expect(released).toBe(1);
  });
});

describe('the inline channel', () => {
  it('ENOSYS for an unknown call; a call that is pending when the process ends gives EINTR', async () => {
    const { table, process, call, failure } = world();
    table.register('never', () => new Promise(() => undefined));
    expect(await failure('fork', null)).toMatchObject({ code: 'ENOSYS' });
    const pending = failure('never', null);
    process.exit();
    expect(await pending).toMatchObject({ family: 'errno', code: 'EINTR' });
    await expect(call('close', { fd: 0 })).rejects.toMatchObject({ code: 'EBADF' });
  });

  it('passes on the code of an HlsimError, and hides nothing of a bug', async () => {
    const { table, failure } = world();
    table.register('late', () => {
      throw new HlsimError('HLSIM_TIMEOUT', 'Expected an answer');
    });
    table.register('broken', () => {
      throw new TypeError('x is not a function');
    });
    expect(await failure('late', null)).toMatchObject({ family: 'hlsim', code: 'HLSIM_TIMEOUT' });
    expect(await failure('broken', null)).toMatchObject({
      family: 'hlsim',
      code: 'HLSIM_INTERNAL',
      message: 'x is not a function',
    });
  });
});
