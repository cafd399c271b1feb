/** What dies while a job runs, who tells it, and how soon. Bounds are those of docs/ARCHITECTURE.md. */
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defined } from '../../common/assert.ts';
import { COORDINATOR_TIMEOUT_MS } from '../../coordinator/hlcp/heartbeat.ts';
import { HEARTBEAT_INTERVAL_MS } from '../../coordinator/hlcp/messages.ts';
import { type Command, program, TestProcesses, timed } from './command.ts';

/** Every survivor's call has ended by then. */
const HOST_KILLED_MS = 2_000;
const HOST_STOPPED_MS = 5_000;
/** Everything that depended on a dead launcher or coordinator is gone by then. */
const ORPHANS_GONE_MS = 2_000;
/** The whole command has ended by then: 3 s of silence, a heartbeat's interval, and the takedown. */
const COORDINATOR_STOPPED_MS = 8_000;
/** As above for a host, whose silence the coordinator notices after 2.5 s. */
const HOST_STOPPED_END_MS = 4_500;
/** Longer than a coordinator may be silent. */
const LAUNCHER_STOPPED_MS = COORDINATOR_TIMEOUT_MS + 1_000;
/** For an orderly end of the whole command afterwards: no bound of the design, only no hang. */
const END_MS = 15_000;

let processes: TestProcesses;
beforeEach(() => {
  processes = new TestProcesses();
});
afterEach(() => processes.expectNone());

/** A command whose three ranks are all-reducing, and the host process of each. */
async function startReducing(): Promise<{ command: Command; pids: number[] }> {
  const command = processes.hlsim(['run', program('endless-all-reduce'), '--hosts', '3']);
  const pids: number[] = [];
  for (const rank of [0, 1, 2]) {
    const line = new RegExp(`^\\[${rank}\\] reducing in (\\d+)$`, 'm');
    await command.printed(line);
    pids.push(Number(defined(line.exec(command.stdout)?.[1], 'a pid')));
  }
  return { command, pids };
}

/** When each rank's call failed, in milliseconds after `startMs`, and what it said. */
function failures(
  command: Command,
  startMs: number,
): { rank: number; afterMs: number; message: string }[] {
  return [...command.stdout.matchAll(/^\[(\d)\] failed at (\d+): (.*)$/gm)].map(
    ([, rank, atMs, message = '']) => ({
      rank: Number(rank),
      afterMs: Number(atMs) - startMs,
      message,
    }),
  );
}

async function expectVictimNamed(
  command: Command,
  victim: number,
  startMs: number,
  boundMs: number,
): Promise<void> {
  await processes.allGone(END_MS);
  expect(await command.ended).toEqual({ code: 1, signal: null });
  const told = failures(command, startMs);
  const survivors = [0, 1, 2].filter((rank) => rank !== victim);
  expect(told.map(({ rank }) => rank).toSorted()).toEqual(survivors);
  for (const { rank, afterMs, message } of told) {
    expect(message, `rank ${rank}`).toMatch(new RegExp(`rank ${victim}\\b`, 'i'));
    expect(message, `rank ${rank}`).toMatch(/all.?reduce/i);
    expect(afterMs, `rank ${rank}`).toBeLessThan(boundMs);
  }
  expect(command.lastNote).toMatch(
    new RegExp(`^hlsim: .*rank ${victim}\\b.* \\[HLSIM_HOST_LOST\\]$`, 'i'),
  );
}

describe('in the middle of an all-reduce', () => {
  it.each([0, 1, 2])(
    'kill -9 of the host of rank %i is told on every other rank',
    async (victim) => {
      const { command, pids } = await startReducing();
      const startMs = Date.now();
      process.kill(defined(pids[victim], 'the victim'), 'SIGKILL');
      await expectVictimNamed(command, victim, startMs, HOST_KILLED_MS);
    },
  );

  it('SIGSTOP of a host is told on every other rank, and the stopped process ends', async () => {
    const { command, pids } = await startReducing();
    const startMs = Date.now();
    process.kill(defined(pids[1], 'the victim'), 'SIGSTOP');
    expect(await timed(command.ended)).toBeLessThan(HOST_STOPPED_END_MS);
    await expectVictimNamed(command, 1, startMs, HOST_STOPPED_MS);
  });

  it('SIGSTOP of the coordinator ends everything, the stopped process too, and says why', async () => {
    const { command } = await startReducing();
    const coordinator = defined(processes.daemons('coordinator')[0], 'the coordinator');
    process.kill(coordinator.pid, 'SIGSTOP');
    expect(await timed(command.ended)).toBeLessThan(COORDINATOR_STOPPED_MS);
    expect(await command.ended).toEqual({ code: 1, signal: null });
    expect(command.lastNote).toMatch(
      /^hlsim: Expected the coordinator at ws:\S+ to answer heartbeats but it has been silent for \d+ ms.* \[HLSIM_COORDINATOR_LOST\]$/,
    );
    expect(processes.list()).toEqual([]);
  });

  it('SIGSTOP of the launcher for longer than that is no reason to blame the coordinator', async () => {
    const { command } = await startReducing();
    command.child.kill('SIGSTOP');
    await sleep(LAUNCHER_STOPPED_MS);
    command.child.kill('SIGCONT');
    // Were it blamed, it would be by now.
    await sleep(2 * HEARTBEAT_INTERVAL_MS);
    expect(command.child.exitCode).toBeNull();
    command.child.kill('SIGINT');
    expect(await command.ended).toEqual({ code: 130, signal: null });
  });

  it('kill -9 of the launcher ends everything', async () => {
    const { command } = await startReducing();
    command.child.kill('SIGKILL');
    expect(await timed(processes.allGone(END_MS))).toBeLessThan(ORPHANS_GONE_MS);
  });

  it('kill -9 of the coordinator ends the hosts, and the command says what happened', async () => {
    const { command, pids } = await startReducing();
    const [coordinator] = processes.daemons('coordinator');
    const hostsGone = async (): Promise<void> => {
      while (processes.list().some(({ pid }) => pids.includes(pid))) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    process.kill(defined(coordinator, 'the coordinator').pid, 'SIGKILL');
    expect(await timed(hostsGone())).toBeLessThan(ORPHANS_GONE_MS);
    expect(await command.ended).toEqual({ code: 1, signal: null });
    expect(command.lastNote).toMatch(/^hlsim: .*coordinator.* \[HLSIM_COORDINATOR_LOST\]$/);
  });
});

describe('while a cluster starts', () => {
  it('kill -9 of the launcher ends everything that it has started', async () => {
    const command = processes.hlsim(['run', program('endless-all-reduce'), '--hosts', '4']);
    while (processes.daemons('node').length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    command.child.kill('SIGKILL');
    expect(await timed(processes.allGone(END_MS))).toBeLessThan(2 * ORPHANS_GONE_MS);
  });

  it('kill -9 of a host that has not joined is told with the host', async () => {
    const command = processes.hlsim(['run', program('endless-all-reduce'), '--hosts', '4']);
    while (processes.daemons('node').length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    process.kill(defined(processes.daemons('node')[0], 'a host').pid, 'SIGKILL');
    expect((await command.ended).code).toBe(1);
    expect(command.lastNote).toMatch(/^hlsim: .*host \d.*SIGKILL.* \[HLSIM_CLUSTER_INCOMPLETE\]$/);
  });
});
