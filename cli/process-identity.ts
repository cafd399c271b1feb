/**
 * Which process a number means. A pid is given out again after its process has ended; together with
 * the time the process started it is given out once, so nothing else is ever signalled by mistake.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import process from 'node:process';

export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque; equal for the same process. */
  readonly startTime: string;
}

/** `undefined` if no such process runs. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  const startTime = process.platform === 'linux' ? startTimeLinux(pid) : startTimeElsewhere(pid);
  return startTime === undefined ? undefined : { pid, startTime };
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identityOf(identity.pid)?.startTime === identity.startTime;
}

/** Signals exactly this process; harmless if it has ended. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, signal);
  } catch (reason) {
    // It ended between the two lines.
    if ((reason as NodeJS.ErrnoException).code !== 'ESRCH') throw reason;
  }
}

/**
 * Field 22 of /proc/<pid>/stat, in clock ticks after boot (proc_pid_stat(5)); a zombie (field 3) has
 * ended. The second field, the name, may hold spaces and parentheses, so fields count from its end.
 */
function startTimeLinux(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTime] = [fields[0], fields[19]];
  return state === 'Z' || state === 'X' ? undefined : startTime;
}

function startTimeElsewhere(pid: number): string | undefined {
  const { stdout } = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' });
  return stdout?.trim() || undefined;
}
