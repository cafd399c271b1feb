/** The calls about processes themselves: spawn, wait, kill, and handling SIGTERM. */
import type { Scheduler } from '../../common/scheduler.ts';
import { OPEN_FILES_MAX, type OpenFile } from './file.ts';
import { interruptibleWait, whenSettled } from './interruptible-wait.ts';
import { PROCESSES_MAX, type ProcessTable } from './process-table.ts';
import { type ExitStatus, isSignal } from './signal.ts';
import type { SimProcess } from './sim-process.ts';
import { errnoFailure, type SystemCallValue } from './system-call.ts';
import {
  arrayField,
  field,
  integerField,
  recordOf,
  type SystemCallRecord,
  stringField,
  timeoutField,
} from './system-call-argument.ts';
import type { SystemCallTable } from './system-call-table.ts';

/** Arguments, and variables, of one program. */
const STRINGS_MAX = 1024;
/** Longest container id. */
const CONTAINER_ID_CHARACTERS_MAX = 128;
/** What `spawn` asks a host to run. */
export interface ProgramRequest {
  /** An absolute path, or `builtin:NAME`. */
  readonly program: string;
  readonly arguments: readonly string[];
  /** Variables that differ from the parent's. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface ProcessCallsInit {
  readonly table: SystemCallTable;
  readonly processes: ProcessTable;
  readonly scheduler: Scheduler;
  /** Starts the program of `child`, which ends with it. */
  run(parent: SimProcess, child: SimProcess, request: ProgramRequest): void;
}

/**
 * Registers `getpid`, `getppid`, `spawn` {program, arguments, environment, fds, containerId?},
 * `waitpid` {pid, timeoutMs}, `kill` {pid, signal}, `sigaction` {signal, action} and `exit`
 * {exitCode}. Failures are of family `errno`.
 */
export function registerProcessCalls(init: ProcessCallsInit): void {
  const { table, processes, scheduler } = init;
  table.register('getpid', (caller) => caller.pid);
  // As for a process whose parent is init: 0 would be no process, 1 is none of ours.
  table.register('getppid', (caller) => caller.parentPid ?? 1);
  table.register('spawn', (caller, argument) => spawn(init, caller, argument));
  table.register('waitpid', (caller, argument) => {
    const record = recordOf(argument, 'the argument of waitpid');
    const pid = integerField(record, 'pid');
    return waitpid(caller, processes, scheduler, pid, timeoutField(record));
  });
  table.register('kill', (caller, argument) => kill(caller, processes, argument));
  table.register('sigaction', (caller, argument) => sigaction(caller, argument));
  table.register('exit', (caller, argument) => {
    const record = recordOf(argument, 'the argument of exit');
    caller.exit({ exitCode: integerField(record, 'exitCode') & 0xff });
    return undefined;
  });
}

/**
 * The child's descriptors 0, 1, ... are those that the parent names, and no others. EPERM: only a
 * privileged process may join a container that others run in; anyone may start a new one. EAGAIN: the
 * host has no room for a process.
 */
function spawn(init: ProcessCallsInit, caller: SimProcess, argument: SystemCallValue): number {
  const { processes } = init;
  mustRun(caller, 'spawn');
  const record = recordOf(argument, 'the argument of spawn');
  const request = requestOf(record);
  const files = arrayField(record, 'fds', OPEN_FILES_MAX).map((fd) => fileNamed(caller, fd));
  const containerId = containerOf(caller, processes, record);
  if (processes.count >= PROCESSES_MAX) {
    throw errnoFailure('EAGAIN', `spawn: the host has ${PROCESSES_MAX} processes`);
  }
  const child = processes.create({
    containerId,
    program: request.program,
    parentPid: caller.pid,
    processGroup: caller.processGroup,
    privileged: caller.privileged,
  });
  for (const file of files) {
    const fd = child.fds.reserve();
    if (typeof fd === 'number') child.fds.install(fd, file.get());
  }
  init.run(caller, child, request);
  return child.pid;
}

/** What is left of a program after its process has ended does nothing to others. */
function mustRun(caller: SimProcess, what: string): void {
  if (caller.state === 'exited')
    throw errnoFailure('EINTR', `${what} after the end of the process`);
}

function requestOf(record: SystemCallRecord): ProgramRequest {
  const program = stringField(record, 'program');
  if (!program.startsWith('/') && !program.startsWith('builtin:')) {
    throw errnoFailure('ENOENT', `spawn of ${program}, which is no absolute path`);
  }
  const variables = Object.entries(recordOf(field(record, 'environment'), 'environment'));
  const strings = arrayField(record, 'arguments', STRINGS_MAX);
  if (variables.length > STRINGS_MAX || !strings.every(isString)) {
    throw errnoFailure('EINVAL', `spawn of ${program} with arguments or variables that are none`);
  }
  const environment = variables.map(([name, value]) => {
    if (isString(value)) return [name, value] as const;
    throw errnoFailure('EINVAL', `spawn with variable ${name}, which is no string`);
  });
  return { program, arguments: strings, environment: Object.fromEntries(environment) };
}

function isString(value: SystemCallValue): value is string {
  return typeof value === 'string';
}

function fileNamed(caller: SimProcess, value: SystemCallValue): OpenFile {
  const file = typeof value === 'number' ? caller.fds.lookup(value) : 'EBADF';
  if (typeof file === 'string') throw errnoFailure(file, `spawn with fd ${String(value)}`);
  return file;
}

function containerOf(
  caller: SimProcess,
  processes: ProcessTable,
  record: SystemCallRecord,
): string {
  if (field(record, 'containerId') === undefined) return caller.containerId;
  const containerId = stringField(record, 'containerId');
  if (containerId === '' || containerId.length > CONTAINER_ID_CHARACTERS_MAX) {
    throw errnoFailure('EINVAL', `spawn in a container of ${containerId.length} characters`);
  }
  const own = containerId === caller.containerId;
  if (own || caller.privileged || !processes.hasContainer(containerId)) return containerId;
  throw errnoFailure('EPERM', `spawn in container ${containerId}, which others run in`);
}

/**
 * The status of a child that has ended, once what its end brought about is done; the child is gone
 * then. ECHILD: no such child, or it was waited for already. ETIMEDOUT: it still runs.
 */
async function waitpid(
  caller: SimProcess,
  processes: ProcessTable,
  scheduler: Scheduler,
  pid: number,
  timeoutMs: number,
): Promise<ExitStatus> {
  const child = processes.get(pid);
  if (child?.parentPid !== caller.pid) throw errnoFailure('ECHILD', `waitpid ${pid}`);
  if (child.state === 'running') {
    const end = await interruptibleWait(caller, scheduler, timeoutMs, (wake) => child.onExit(wake));
    if (end === 'interrupted') throw errnoFailure('EINTR', `waitpid ${pid}`);
    if (end === 'timedOut') throw errnoFailure('ETIMEDOUT', `waitpid ${pid} for ${timeoutMs} ms`);
  }
  if ((await whenSettled(child, scheduler)) === 'late') {
    throw errnoFailure('ETIMEDOUT', `waitpid ${pid}: its descriptors are not closed`);
  }
  const status = child.exitStatus;
  if (status === undefined || processes.get(pid) !== child) {
    throw errnoFailure('ECHILD', `waitpid ${pid}, which another call has waited for`);
  }
  processes.reap(pid);
  return { ...status };
}

/** EPERM: another container's process, unless the caller is privileged. ESRCH: there is none. */
function kill(caller: SimProcess, processes: ProcessTable, argument: SystemCallValue): undefined {
  mustRun(caller, 'kill');
  const record = recordOf(argument, 'the argument of kill');
  const pid = integerField(record, 'pid');
  const signal = stringField(record, 'signal');
  if (!isSignal(signal)) throw errnoFailure('EINVAL', `kill ${pid} with ${signal}`);
  const target = processes.get(pid);
  if (target === undefined) throw errnoFailure('ESRCH', `kill ${pid}`);
  if (target.containerId !== caller.containerId && !caller.privileged) {
    throw errnoFailure('EPERM', `kill ${pid}, which is in container ${target.containerId}`);
  }
  target.signal(signal);
  return undefined;
}

function sigaction(caller: SimProcess, argument: SystemCallValue): undefined {
  const record = recordOf(argument, 'the argument of sigaction');
  const signal = stringField(record, 'signal');
  const action = stringField(record, 'action');
  if (signal !== 'SIGTERM') throw errnoFailure('EINVAL', `sigaction for ${signal}`);
  if (action !== 'default' && action !== 'handle') {
    throw errnoFailure('EINVAL', `sigaction ${action}: expected default or handle`);
  }
  caller.terminationAction = action;
  return undefined;
}
