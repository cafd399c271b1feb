/** The calls every process has for its descriptors, and the device nodes that `open` finds. */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import type { OpenFile } from './file.ts';
import { isOpenFlags } from './open-flags.ts';
import type { SimProcess } from './sim-process.ts';
import { errnoFailure, type SystemCallValue } from './system-call.ts';
import { field, integerField, recordOf, stringField } from './system-call-argument.ts';
import type { SystemCallTable } from './system-call-table.ts';

/** Opens a device node for `caller`: a file with one reference, or why not. */
export type DeviceOpener = (caller: SimProcess) => OpenFile | Errno;

export interface DeviceNodes {
  /** `path` ends in the minor number, as in `/dev/accel/accel0`. */
  register(path: string, opener: DeviceOpener): void;
}

/**
 * Registers `open` {path, flags}, `close` {fd}, `dup` {fd}, `dup2` {fd, target} and `ioctl` {fd,
 * request, argument}, and returns the registry of device nodes. Failures are of family `errno`.
 */
export function registerDescriptorCalls(table: SystemCallTable): DeviceNodes {
  const nodes = new Map<string, DeviceOpener>();
  table.register('open', (caller, argument) => {
    const record = recordOf(argument, 'the argument of open');
    const path = stringField(record, 'path');
    return open(caller, nodes, path, integerField(record, 'flags'));
  });
  table.register('close', (caller, argument) => {
    const fd = integerField(recordOf(argument, 'the argument of close'), 'fd');
    return close(caller, fd);
  });
  table.register('dup', (caller, argument) => {
    const fd = integerField(recordOf(argument, 'the argument of dup'), 'fd');
    const copy = caller.fds.dup(fd);
    if (typeof copy !== 'number') throw errnoFailure(copy, `dup fd ${fd}`);
    return copy;
  });
  table.register('dup2', (caller, argument) => {
    const record = recordOf(argument, 'the argument of dup2');
    return dup2(caller, integerField(record, 'fd'), integerField(record, 'target'));
  });
  table.register('ioctl', (caller, argument) => {
    const record = recordOf(argument, 'the argument of ioctl');
    const request = stringField(record, 'request');
    return ioctl(caller, integerField(record, 'fd'), request, field(record, 'argument'));
  });
  return {
    register(path, opener) {
      assert(!nodes.has(path), `Expected device node ${path} to be registered once`);
      nodes.set(path, opener);
    },
  };
}

/** Returns when what the close brought about is done, so that the caller may rely on it. */
async function close(caller: SimProcess, fd: number): Promise<undefined> {
  const file = caller.fds.lookup(fd);
  const errno = caller.fds.close(fd);
  if (typeof file === 'string' || errno !== undefined) {
    throw errnoFailure(errno ?? 'EBADF', `close fd ${fd}`);
  }
  await file.settled();
  return undefined;
}

/** Returns when what the close of the file that `target` named before brought about is done. */
async function dup2(caller: SimProcess, fd: number, target: number): Promise<number> {
  const result = caller.fds.dup2(fd, target);
  if (typeof result === 'string') throw errnoFailure(result, `dup2 fd ${fd} to ${target}`);
  await result.replaced?.settled();
  return target;
}

/** Reserves the number first, so that nothing has to be undone when the table is full. */
function open(
  caller: SimProcess,
  nodes: ReadonlyMap<string, DeviceOpener>,
  path: string,
  flags: number,
): number {
  if (!isOpenFlags(flags)) throw errnoFailure('EINVAL', `open ${path} with flags ${flags}`);
  const opener = nodes.get(path);
  if (opener === undefined) throw errnoFailure(absenceOf(path, nodes), `open ${path}`);
  const fd = caller.fds.reserve();
  if (typeof fd !== 'number') throw errnoFailure(fd, `open ${path}`);
  const file = opener(caller);
  if (typeof file === 'string') {
    caller.fds.unreserve(fd);
    throw errnoFailure(file, `open ${path}`);
  }
  caller.fds.install(fd, file);
  return fd;
}

/** ENXIO if a driver owns such nodes but has no such minor; ENOENT if there is no such node. */
function absenceOf(path: string, nodes: ReadonlyMap<string, DeviceOpener>): Errno {
  const withoutMinor = (name: string) => name.replace(/\d+$/, '');
  const isMinor = /\d$/.test(path);
  const sameDriver = [...nodes.keys()].some((node) => withoutMinor(node) === withoutMinor(path));
  return isMinor && sameDriver ? 'ENXIO' : 'ENOENT';
}

/** The call holds the file while it runs, so that a close in the meantime does not pull it away. */
async function ioctl(
  caller: SimProcess,
  fd: number,
  request: string,
  argument: SystemCallValue,
): Promise<SystemCallValue> {
  const file = fileFor(caller, fd, request);
  file.get();
  try {
    return await file.operations.ioctl?.(caller, request, argument);
  } finally {
    file.put();
  }
}

/** The ioctl of a request that is answered inside the call, for libraries on the kernel's own thread. */
export function ioctlNow(
  caller: SimProcess,
  fd: number,
  request: string,
  argument: SystemCallValue,
): SystemCallValue | Promise<SystemCallValue> {
  return fileFor(caller, fd, request).operations.ioctl?.(caller, request, argument);
}

/** The open file behind `fd`, which takes ioctls. */
function fileFor(caller: SimProcess, fd: number, request: string): OpenFile {
  const file = caller.fds.lookup(fd);
  if (typeof file === 'string') throw errnoFailure(file, `ioctl ${request} on fd ${fd}`);
  if (file.operations.ioctl === undefined) {
    throw errnoFailure(
      'ENOTTY',
      `ioctl ${request} on fd ${fd}, which is a ${file.operations.kind}`,
    );
  }
  return file;
}
