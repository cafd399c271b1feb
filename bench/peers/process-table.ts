/** The machine's processes as /proc shows them (proc_pid_stat(5)); none where there is no /proc. */
import { readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';

export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  /** Pid of the session's leader. */
  readonly session: number;
  /** Ticks since the machine's start. With the pid, names a process for ever. */
  readonly startTicks: number;
}

export function processTable(): readonly ProcessEntry[] {
  return namesIn('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => parseStat(contentOf(`/proc/${name}/stat`)))
    .filter((entry) => entry !== undefined);
}

/** One line of /proc/PID/stat; `undefined` if it is none. The command's name may hold anything. */
export function parseStat(text: string): ProcessEntry | undefined {
  const pid = Number.parseInt(text, 10);
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  // Fields 4, 6 and 22 of the manual page; the first here is field 3.
  const [parent, session, startTicks] = [fields[1], fields[3], fields[19]].map(Number);
  if (parent === undefined || session === undefined || startTicks === undefined) return undefined;
  if (![pid, parent, session, startTicks].every(Number.isInteger)) return undefined;
  return { pid, parent, session, startTicks };
}

/** The processes in the sessions that `leaders` lead, and all that descend from the leaders. */
export function familyOf(
  leaders: readonly number[],
  table: readonly ProcessEntry[],
): readonly ProcessEntry[] {
  const family = new Map<number, ProcessEntry>();
  const isOf = ({ pid, parent, session }: ProcessEntry): boolean =>
    leaders.includes(pid) || leaders.includes(session) || family.has(parent);
  for (let before = -1; before !== family.size; ) {
    before = family.size;
    for (const entry of table) if (isOf(entry)) family.set(entry.pid, entry);
  }
  return [...family.values()];
}

/** Ends those that still are what they were when they were listed. */
export function killAll(entries: readonly ProcessEntry[]): void {
  const now = new Map(processTable().map((entry) => [entry.pid, entry.startTicks]));
  for (const { pid, startTicks } of entries) {
    if (now.get(pid) !== startTicks) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself since the table was read.
    }
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process has ended since the folder was listed.
    return '';
  }
}
