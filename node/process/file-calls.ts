/** The calls that work on an open file of any kind, beyond open, close, dup and ioctl. */
import type { Errno } from '../../common/errno.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import type { OpenFile, PollEvent, SeekWhence } from './file.ts';
import { interruptibleWait } from './interruptible-wait.ts';
import type { SimProcess } from './sim-process.ts';
import { errnoFailure, type SystemCallValue } from './system-call.ts';
import {
  arrayField,
  field,
  integerField,
  recordOf,
  stringField,
  timeoutField,
} from './system-call-argument.ts';
import type { SystemCallTable } from './system-call-table.ts';

/** Descriptors of one `poll`. */
export const POLL_FDS_MAX = 1024;

const POLL_EVENTS: readonly string[] = ['POLLIN', 'POLLOUT', 'POLLERR', 'POLLHUP'];
const WHENCES: readonly string[] = ['SEEK_SET', 'SEEK_CUR', 'SEEK_END'];

/** What holds of one descriptor of a `poll`: POLLNVAL if it names no file. */
export type PollResult = readonly (PollEvent | 'POLLNVAL')[];

interface Polled {
  /** `undefined`: the descriptor names no file. */
  readonly file: OpenFile | undefined;
  readonly events: readonly PollEvent[];
}

/**
 * Registers `lseek` {fd, offset, whence}, `mmap` {fd, offset, length}, `fdinfo` {fd} and `poll`
 * {fds: [{fd, events}], timeoutMs}, which answers one array of events for each descriptor. Failures
 * are of family `errno`.
 */
export function registerFileCalls(table: SystemCallTable, scheduler: Scheduler): void {
  table.register('lseek', (caller, argument) => {
    const record = recordOf(argument, 'the argument of lseek');
    const whence = stringField(record, 'whence');
    const offset = field(record, 'offset');
    if (!WHENCES.includes(whence)) throw errnoFailure('EINVAL', `lseek from ${whence}`);
    if (!Number.isSafeInteger(offset)) throw errnoFailure('EINVAL', 'lseek by no integer');
    const file = fileOf(caller, integerField(record, 'fd'), 'lseek');
    const position = file.operations.lseek?.(Number(offset), whence as SeekWhence) ?? 'ESPIPE';
    return numberOrFailure(position, `lseek on a ${file.operations.kind}`);
  });
  table.register('mmap', (caller, argument) => {
    const record = recordOf(argument, 'the argument of mmap');
    const [offset, length] = [integerField(record, 'offset'), integerField(record, 'length')];
    const file = fileOf(caller, integerField(record, 'fd'), 'mmap');
    if (length === 0) throw errnoFailure('EINVAL', 'mmap of no bytes');
    const address = file.operations.mmap?.(caller, offset, length) ?? 'ENODEV';
    return numberOrFailure(address, `mmap of a ${file.operations.kind}`);
  });
  table.register('fdinfo', (caller, argument) => {
    const fd = integerField(recordOf(argument, 'the argument of fdinfo'), 'fd');
    const { operations } = fileOf(caller, fd, 'fdinfo');
    return { kind: operations.kind, ...operations.fdinfo?.() };
  });
  table.register('poll', (caller, argument) => {
    const record = recordOf(argument, 'the argument of poll');
    const polled = arrayField(record, 'fds', POLL_FDS_MAX).map((one) => polledOf(caller, one));
    return poll(caller, scheduler, polled, timeoutField(record));
  });
}

function fileOf(caller: SimProcess, fd: number, what: string): OpenFile {
  const file = caller.fds.lookup(fd);
  if (typeof file === 'string') throw errnoFailure(file, `${what} on fd ${fd}`);
  return file;
}

function numberOrFailure(value: number | Errno, what: string): number {
  if (typeof value !== 'number') throw errnoFailure(value, what);
  return value;
}

function polledOf(caller: SimProcess, value: SystemCallValue): Polled {
  const record = recordOf(value, 'a descriptor to poll');
  const events = arrayField(record, 'events', POLL_EVENTS.length);
  if (!events.every(isPollEvent))
    throw errnoFailure('EINVAL', 'poll for events that there are not');
  const file = caller.fds.lookup(integerField(record, 'fd'));
  return { file: typeof file === 'string' ? undefined : file, events };
}

function isPollEvent(value: SystemCallValue): value is PollEvent {
  return typeof value === 'string' && POLL_EVENTS.includes(value);
}

/** Holds the files while it waits, as ioctl does. What is ready at once is answered without a wait. */
async function poll(
  caller: SimProcess,
  scheduler: Scheduler,
  polled: readonly Polled[],
  timeoutMs: number,
): Promise<PollResult[]> {
  for (const { file } of polled) file?.get();
  try {
    const now = await Promise.all(polled.map((one) => eventsOf(one, AbortSignal.abort())));
    if (timeoutMs === 0 || now.some((events) => events.length > 0)) return now;
    const stop = new AbortController();
    const waits = polled.map((one) => eventsOf(one, stop.signal));
    await interruptibleWait(caller, scheduler, timeoutMs, (wake) => {
      for (const wait of waits) void wait.then(wake);
      return () => undefined;
    });
    stop.abort();
    return await Promise.all(waits);
  } finally {
    for (const { file } of polled) file?.put();
  }
}

/** A file without a poll of its own is always ready (DEFAULT_POLLMASK). */
async function eventsOf({ file, events }: Polled, signal: AbortSignal): Promise<PollResult> {
  if (file === undefined) return ['POLLNVAL'];
  if (file.operations.poll === undefined) {
    return events.filter((event) => event === 'POLLIN' || event === 'POLLOUT');
  }
  return file.operations.poll(events, signal);
}
