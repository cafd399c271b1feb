/** The calls of unix socket pairs: how processes of a host pass open files to each other. */
import type { Scheduler } from '../../common/scheduler.ts';
import type { OpenFile } from './file.ts';
import { interruptibleWait } from './interruptible-wait.ts';
import type { SimProcess } from './sim-process.ts';
import { landFile, type SocketMessage, SocketRegistry } from './socket-registry.ts';
import { errnoFailure, type SystemCallValue } from './system-call.ts';
import {
  arrayField,
  field,
  integerField,
  recordOf,
  type SystemCallRecord,
  timeoutField,
} from './system-call-argument.ts';
import type { SystemCallTable } from './system-call-table.ts';
import { MESSAGE_FILES_MAX, UnixSocket } from './unix-socket.ts';

/** What `recvmsg` answers; `null` instead is the end: nothing is left and the other end is gone. */
export interface ReceivedMessage {
  readonly data: Uint8Array;
  /** New descriptors of the receiver, one for each file that came. */
  readonly fds: readonly number[];
  /** MSG_CTRUNC: the receiver's table was full, and the files that did not fit are closed. */
  readonly controlTruncated: boolean;
}

/**
 * Registers `socketpair` {}, `sendmsg` {fd, data, fds} (which never waits: EAGAIN when the queue is
 * full) and `recvmsg` {fd, timeoutMs} (EAGAIN when nothing came in time). Returns the host's sockets.
 */
export function registerSocketCalls(
  table: SystemCallTable,
  scheduler: Scheduler,
): SocketRegistry<UnixSocket> {
  const registry = new SocketRegistry<UnixSocket>();
  table.register('socketpair', (caller) => socketpair(caller, registry));
  table.register('sendmsg', (caller, argument) => {
    const record = recordOf(argument, 'the argument of sendmsg');
    const [fd, file] = fileOf(caller, record, 'sendmsg');
    const message: SocketMessage = {
      data: dataField(record),
      files: arrayField(record, 'fds', MESSAGE_FILES_MAX).map((one) => fileNamed(caller, one)),
      senderContainerId: caller.containerId,
    };
    const errno = socketOf(registry, file, fd).send(message);
    if (errno !== undefined) throw errnoFailure(errno, `sendmsg on fd ${fd}`);
    registry.collect();
    return undefined;
  });
  table.register('recvmsg', async (caller, argument) => {
    const record = recordOf(argument, 'the argument of recvmsg');
    const timeoutMs = timeoutField(record);
    const [fd, file] = fileOf(caller, record, 'recvmsg');
    const socket = socketOf(registry, file, fd);
    file.get();
    try {
      const message = await receive(caller, scheduler, socket, timeoutMs, fd);
      return message === undefined ? null : { ...install(caller, message) };
    } finally {
      file.put();
    }
  });
  return registry;
}

/** Reserves both numbers first, so that nothing has to be undone when the table is full. */
function socketpair(caller: SimProcess, registry: SocketRegistry<UnixSocket>): number[] {
  const first = caller.fds.reserve();
  if (typeof first !== 'number') throw errnoFailure(first, 'socketpair');
  const second = caller.fds.reserve();
  if (typeof second !== 'number') {
    caller.fds.unreserve(first);
    throw errnoFailure(second, 'socketpair');
  }
  const [one, other] = UnixSocket.pair(registry);
  caller.fds.install(first, one.file);
  caller.fds.install(second, other.file);
  return [first, second];
}

function fileOf(caller: SimProcess, record: SystemCallRecord, what: string): [number, OpenFile] {
  const fd = integerField(record, 'fd');
  const file = caller.fds.lookup(fd);
  if (typeof file === 'string') throw errnoFailure(file, `${what} on fd ${fd}`);
  return [fd, file];
}

function fileNamed(caller: SimProcess, value: SystemCallValue): OpenFile {
  const file = typeof value === 'number' ? caller.fds.lookup(value) : 'EBADF';
  if (typeof file === 'string') throw errnoFailure(file, `passing fd ${String(value)}`);
  return file;
}

function socketOf(registry: SocketRegistry<UnixSocket>, file: OpenFile, fd: number): UnixSocket {
  const socket = registry.socketOf(file);
  if (socket !== undefined) return socket;
  throw errnoFailure('ENOTSOCK', `fd ${fd} is a ${file.operations.kind}`);
}

/** A copy: what the sender changes afterwards is not sent. Text goes as UTF-8. */
function dataField(record: SystemCallRecord): Uint8Array {
  const data = field(record, 'data');
  if (data instanceof Uint8Array) return data.slice();
  if (typeof data === 'string') return new TextEncoder().encode(data);
  throw errnoFailure('EINVAL', 'expected data to be bytes or a string');
}

/** The next message; `undefined` at the end. Another receiver may be faster: then it waits on. */
async function receive(
  caller: SimProcess,
  scheduler: Scheduler,
  socket: UnixSocket,
  timeoutMs: number,
  fd: number,
): Promise<SocketMessage | undefined> {
  const deadline = scheduler.clock.now() + timeoutMs;
  for (;;) {
    const message = socket.receive();
    if (message === 'end') return undefined;
    if (typeof message !== 'string') return message;
    const leftMs = deadline - scheduler.clock.now();
    if (message !== 'EAGAIN' || leftMs <= 0) throw errnoFailure(message, `recvmsg on fd ${fd}`);
    const end = await interruptibleWait(caller, scheduler, leftMs, (wake) => socket.watch(wake));
    if (end === 'interrupted') throw errnoFailure('EINTR', `recvmsg on fd ${fd}`);
  }
}

/** Gives the receiver a descriptor for each file, and drops the message's references. */
function install(caller: SimProcess, { data, files }: SocketMessage): ReceivedMessage {
  const fds: number[] = [];
  for (const file of files) {
    const fd = caller.fds.reserve();
    if (typeof fd === 'number') {
      caller.fds.install(fd, file.get());
      fds.push(fd);
    }
    landFile(file);
  }
  return { data, fds, controlTruncated: fds.length < files.length };
}
