/** Provider `p2p` of libfabric on real host processes: the bytes, the errors and the ends of the link. */
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defined } from '../../common/assert.ts';
import { operatingSystem } from '../../node/os/operating-system.ts';
import { type Command, program, TestProcesses } from './command.ts';

/** A survivor's request has ended by then: as for links (`failure.test.ts`). */
const HOST_KILLED_MS = 2_000;
/** More are enough for a window, of 20 writes. */
const WRITES_BEFORE_WINDOW_MAX = 5;
const isPossible = !('unavailable' in operatingSystem());

let processes: TestProcesses;
beforeEach(() => {
  processes = new TestProcesses();
});
afterEach(() => processes.expectNone());

function started(mode: string, environment: Readonly<Record<string, string>>, hosts = 2): Command {
  const flags = ['--hosts', String(hosts), '--ownership', 'revoke'];
  return processes.hlsim(['run', program('fabric-p2p'), ...flags, '--', mode], environment);
}

/** What has been printed at the end, in the order of the ranks. */
async function linesOf(command: Command): Promise<string[]> {
  const { code } = await command.ended;
  expect(code, command.stderr).toBe(0);
  const rankOf = (line: string) => line.slice(0, '[0]'.length);
  return command.resultLines.toSorted((one, other) => rankOf(one).localeCompare(rankOf(other)));
}

/** How many of the writes went over the link. */
function writesOnLink(lines: readonly string[]): number {
  const [, count] = /by the link (\d+) of 20/.exec(lines.join('\n')) ?? [];
  return Number(defined(count, 'a count'));
}

const REFUSED = 'FI_EIO IBV_WC_REM_ACCESS_ERR';
/** Whichever way the bytes go. */
const MOVED = [
  '[0] read pattern 5',
  `[0] ended ${REFUSED}`,
  `[0] then ${REFUSED}`,
  `[0] then ${REFUSED}`,
  '[1] written pattern 1',
  `[1] told remoteWriteData ${0xfedc_ba98} ${1024 * 1024} pattern 3`,
  '[1] left pattern 7',
];

function expectMoved(lines: readonly string[], provider: string): void {
  const [zero, one] = [`[0] listed ${provider}`, `[1] listed ${provider}`];
  expect(lines).toEqual(expect.arrayContaining([zero, one]));
  const others = lines.filter((line) => line !== zero && line !== one);
  expect(others.map((line) => line.replace(/, by the link.*/, ''))).toEqual(MOVED);
}

describe('fi_getinfo', () => {
  it.skipIf(!isPossible)('lists both providers, that of links first', async () => {
    expect(await linesOf(started('list', {}, 1))).toEqual(['[0] listed ws p2p']);
  });

  it('lists that of links alone where memory cannot be shared; who asks for the other gets FI_ENODATA', async () => {
    const off = { HLSIM_OS: 'off' };
    const [alone, refused] = await Promise.all([
      linesOf(started('list', off, 1)),
      linesOf(started('list', { ...off, FI_PROVIDER: 'p2p' }, 1)),
    ]);
    expect([alone, refused]).toEqual([['[0] listed ws'], ['[0] refused FI_ENODATA']]);
  });
});

describe.skipIf(!isPossible)('reads and writes of the peer’s device memory', () => {
  it('go through a window, and end with its region, as those of links do', async () => {
    const [shared, linked] = await Promise.all(
      ['p2p', 'ws'].map((provider) => linesOf(started('close', { FI_PROVIDER: provider }))),
    );
    expectMoved(defined(shared, 'lines'), 'p2p');
    expectMoved(defined(linked, 'lines'), 'ws');
    expect(writesOnLink(defined(linked, 'lines'))).toBe(20);
    expect(writesOnLink(defined(shared, 'lines'))).toBeLessThanOrEqual(WRITES_BEFORE_WINDOW_MAX);
  });

  it('end when the memory is revoked, and its next user is alone with it', async () => {
    expectMoved(await linesOf(started('revoke', { FI_PROVIDER: 'p2p' })), 'p2p');
  });

  it('end with an error when the peer’s host is killed', async () => {
    const command = started('stay', { FI_PROVIDER: 'p2p' });
    const pids: number[] = [];
    for (const rank of [0, 1]) {
      const line = new RegExp(`^\\[${rank}\\] writing in (\\d+)$`, 'm');
      await command.printed(line);
      pids.push(Number(defined(line.exec(command.stdout)?.[1], 'a pid')));
    }
    const startMs = Date.now();
    process.kill(defined(pids[1], 'the victim'), 'SIGKILL');
    expect((await command.ended).code).toBe(1);
    const [, outcome, atMs] = /^\[0\] failed (.+) at (\d+)$/m.exec(command.stdout) ?? [];
    expect(outcome, command.stdout + command.stderr).toMatch(/^FI_EHOSTUNREACH/);
    expect(Number(atMs) - startMs).toBeLessThan(HOST_KILLED_MS);
    await processes.allGone(HOST_KILLED_MS);
  });
});
