/**
 * Processes and descriptors, for user programs: what a C library gives over the system calls of
 * `process-calls.ts`, `descriptor-calls.ts`, `file-calls.ts` and `socket-calls.ts`. Every function
 * rejects with a `SystemCallError` whose `code` is the errno.
 */
import { fileURLToPath } from 'node:url';
import type { PollEvent, SeekWhence } from './file.ts';
import type { PollResult } from './file-calls.ts';
import type { ExitStatus, Signal } from './signal.ts';
import type { ReceivedMessage } from './socket-calls.ts';
import { errnoFailure, type SystemCallChannel } from './system-call.ts';

/** What `spawnProcess` starts, and how. */
export interface SpawnOptions {
  /** An absolute path, a file URL, or one of hlsim's own as `builtin:NAME`. */
  readonly program: string | URL;
  readonly arguments?: readonly string[];
  /** Variables that differ from this process's. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Descriptors of this process that become 0, 1, ... of the child; it gets no others. */
  readonly fds?: readonly number[];
  /** This process's container by default. One that others run in takes a privileged process. */
  readonly containerId?: string;
}

/** This process's pid on its host. */
export async function getpid(channel: SystemCallChannel): Promise<number> {
  return Number(await channel.call('getpid', null));
}

/** The pid of whoever spawned this process; 1 once that has ended, and for a rank. */
export async function getppid(channel: SystemCallChannel): Promise<number> {
  return Number(await channel.call('getppid', null));
}

/**
 * Starts a program as a process of its own on this host: the pid. It belongs to this rank: what it
 * prints is the rank's, and it is killed when the rank ends. EBADF, EPERM (container), EAGAIN (no room).
 */
export async function spawnProcess(
  channel: SystemCallChannel,
  options: SpawnOptions,
): Promise<number> {
  const { program, environment = {}, fds = [], containerId } = options;
  const path = program instanceof URL ? fileURLToPath(program) : program;
  const argument = { program: path, arguments: options.arguments ?? [], environment, fds };
  const inContainer = containerId === undefined ? argument : { ...argument, containerId };
  return Number(await channel.call('spawn', inContainer));
}

/**
 * Waits for a child to end: how it did. Its descriptors are closed then, with all that follows.
 * ECHILD: no such child, or it was waited for already. ETIMEDOUT: it still runs.
 */
export async function waitProcess(
  channel: SystemCallChannel,
  pid: number,
  timeoutMs: number,
): Promise<ExitStatus> {
  return (await channel.call('waitpid', { pid, timeoutMs })) as unknown as ExitStatus;
}

/** Sends a signal. EPERM: a process of another container. ESRCH: no such process. */
export async function killProcess(
  channel: SystemCallChannel,
  pid: number,
  signal: Signal = 'SIGTERM',
): Promise<void> {
  await channel.call('kill', { pid, signal });
}

/** Ends this process at once, with all its descriptors. Never resolves. */
export async function exitProcess(channel: SystemCallChannel, exitCode: number): Promise<never> {
  await channel.call('exit', { exitCode });
  throw errnoFailure('ESRCH', 'exit returned');
}

/**
 * From now on SIGTERM calls `handler` in place of ending the process with exit code 143. It runs
 * between two turns of the program: a program that computes hears of it when it pauses.
 */
export async function onTermination(
  channel: SystemCallChannel,
  handler: () => void,
): Promise<void> {
  if (channel.onSignal === undefined) throw errnoFailure('ENOSYS', 'the channel has no signals');
  channel.onSignal((signal) => {
    if (signal === 'SIGTERM') handler();
  });
  await channel.call('sigaction', { signal: 'SIGTERM', action: 'handle' });
}

/** Another descriptor of the same open file, of the lowest free number. EBADF, EMFILE. */
export async function dup(channel: SystemCallChannel, fd: number): Promise<number> {
  return Number(await channel.call('dup', { fd }));
}

/** Makes `target` another descriptor of `fd`'s open file; what `target` was is closed first. EBADF. */
export async function dup2(
  channel: SystemCallChannel,
  fd: number,
  target: number,
): Promise<number> {
  return Number(await channel.call('dup2', { fd, target }));
}

/** Closes a descriptor, and returns when what that brought about is done. EBADF. */
export async function closeDescriptor(channel: SystemCallChannel, fd: number): Promise<void> {
  await channel.call('close', { fd });
}

/** Moves a file's position: the new one. ESPIPE where the file has none. */
export async function lseek(
  channel: SystemCallChannel,
  fd: number,
  offset: number,
  whence: SeekWhence,
): Promise<number> {
  return Number(await channel.call('lseek', { fd, offset, whence }));
}

/** Maps bytes of a file: the user address. ENODEV, or what the file answers. */
export async function mmap(
  channel: SystemCallChannel,
  fd: number,
  offset: number,
  length: number,
): Promise<number> {
  return Number(await channel.call('mmap', { fd, offset, length }));
}

/** What `/proc/self/fdinfo/FD` shows: the kind of file, and what the kind adds. */
export async function fdinfo(
  channel: SystemCallChannel,
  fd: number,
): Promise<Readonly<Record<string, string | number>>> {
  return (await channel.call('fdinfo', { fd })) as Readonly<Record<string, string | number>>;
}

/** One descriptor that `poll` looks at. */
export interface PollRequest {
  readonly fd: number;
  readonly events: readonly PollEvent[];
}

/**
 * Waits until something asked for holds of a descriptor, at most `timeoutMs`: what holds of each, in
 * the order of `fds`; nothing of any when time is up.
 */
export async function poll(
  channel: SystemCallChannel,
  fds: readonly PollRequest[],
  timeoutMs: number,
): Promise<readonly PollResult[]> {
  const polled = fds.map(({ fd, events }) => ({ fd, events }));
  return (await channel.call('poll', { fds: polled, timeoutMs })) as readonly PollResult[];
}

/** A connected pair of sockets (SOCK_SEQPACKET): hand one end to a child. EMFILE. */
export async function socketPair(channel: SystemCallChannel): Promise<readonly [number, number]> {
  return (await channel.call('socketpair', null)) as unknown as readonly [number, number];
}

/**
 * Sends one message, and with it the open files that `fds` name (SCM_RIGHTS): they live on in the
 * message even if this process closes them or ends. Never waits: EAGAIN when the queue is full. EPIPE.
 */
export async function sendMessage(
  channel: SystemCallChannel,
  fd: number,
  data: string | Uint8Array,
  fds: readonly number[] = [],
): Promise<void> {
  await channel.call('sendmsg', { fd, data, fds });
}

/**
 * Receives the next message, with new descriptors for the files that came along; `null` when the
 * other end is gone and nothing is left. EAGAIN: nothing came within `timeoutMs`.
 */
export async function receiveMessage(
  channel: SystemCallChannel,
  fd: number,
  timeoutMs: number,
): Promise<ReceivedMessage | null> {
  return (await channel.call('recvmsg', { fd, timeoutMs })) as ReceivedMessage | null;
}

/** The text of a message, which was sent as such. */
export function textOf(message: ReceivedMessage): string {
  return new TextDecoder().decode(message.data);
}
