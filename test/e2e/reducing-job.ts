/** A job whose ranks reduce until something breaks (`programs/p2p-endless.js`). */
import { defined } from '../../common/assert.ts';
import { type Command, program, type TestProcesses } from './command.ts';

/** A command of three ranks, and the host process of each. */
export async function startReducing(
  processes: TestProcesses,
  what: string,
  environment: Readonly<Record<string, string>>,
  ...flags: string[]
): Promise<{ readonly command: Command; readonly pids: readonly number[] }> {
  const words = ['run', program('p2p-endless'), '--hosts', '3', ...flags, '--', what];
  const command = processes.hlsim(words, environment);
  const pids: number[] = [];
  for (const rank of [0, 1, 2]) {
    const line = new RegExp(`^\\[${rank}\\] reducing in (\\d+)$`, 'm');
    await command.printed(line);
    pids.push(Number(defined(line.exec(command.stdout)?.[1], 'a pid')));
  }
  return { command, pids };
}

/** What each rank's call failed with, by rank. */
export function failures({ stdout }: Command): { rank: number; atMs: number; message: string }[] {
  return [...stdout.matchAll(/^\[(\d)\] failed at (\d+): (.*)$/gm)]
    .map(([, rank, at, message = '']) => ({ rank: Number(rank), atMs: Number(at), message }))
    .toSorted((a, b) => a.rank - b.rank);
}
