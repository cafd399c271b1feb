import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HLSIM, program, TestProcesses } from './command.ts';

let processes: TestProcesses;
beforeEach(() => {
  processes = new TestProcesses();
});
afterEach(() => processes.expectNone());

function run(name: string, ...args: string[]): ReturnType<TestProcesses['run']> {
  return processes.run(['run', program(name), ...args]);
}

describe('hlsim run', () => {
  it('gives every rank the environment that torchrun gives, and its arguments', async () => {
    const args = ['run', program('report-environment'), '--hosts', '2', '--devices', '2'];
    const { code, resultLines, stderr } = await processes.run(
      [...args, '--', '--epochs', '3', 'x y'],
      { FRUIT: 'quince', HLSIM_TOKEN: 'hush' },
    );
    expect(code, stderr).toBe(0);
    expect(resultLines).toHaveLength(4);
    for (const [rank, line] of resultLines.toSorted().entries()) {
      expect(line).toMatch(new RegExp(`^\\[${rank}\\] `));
      const report = JSON.parse(line.slice(line.indexOf('{')));
      expect(report.arguments).toEqual(['--epochs', '3', 'x y']);
      expect(report.environment).toMatchObject({
        RANK: String(rank),
        WORLD_SIZE: '4',
        LOCAL_RANK: String(rank % 2),
        LOCAL_WORLD_SIZE: '2',
        GROUP_RANK: String(Math.floor(rank / 2)),
        GROUP_WORLD_SIZE: '2',
        ROLE_RANK: String(rank),
        ROLE_WORLD_SIZE: '4',
        MASTER_ADDR: '127.0.0.1',
        MASTER_PORT: expect.stringMatching(/^\d+$/),
        TORCHELASTIC_RUN_ID: expect.stringMatching(/./),
        TORCHELASTIC_RESTART_COUNT: '0',
        TORCHELASTIC_MAX_RESTARTS: '0',
        FRUIT: 'quince',
        HLSIM_TOKEN: null,
      });
    }
  });

  it("keeps the programs' stderr on stderr, behind the rank", async () => {
    const { code, stdout, stderr } = await run('report-environment', '--hosts', '2');
    expect(code).toBe(0);
    expect(stdout).not.toContain('a line on stderr');
    for (const rank of [0, 1]) expect(stderr).toContain(`[${rank}] a line on stderr\n`);
  });

  it('passes on all that programs print, however fast, and no host is taken for dead over it', async () => {
    const { code, resultLines, stderr } = await run('flood', '--hosts', '2', '--', '100000');
    expect(code, stderr).toBe(0);
    expect(resultLines).toHaveLength(200_000);
    for (const rank of [0, 1]) {
      const own = resultLines.filter((line) => line.startsWith(`[${rank}] `));
      expect(own.every((line, at) => line.startsWith(`[${rank}] line ${at} x`))).toBe(true);
    }
  });

  it('takes exit codes as an operating system does, and none that failed becomes 0', async () => {
    const { code } = await run('exit-code', '--hosts', '2', '--', '1', '300');
    expect(code).toBe(300 & 0xff);
    const whole = await run('exit-code', '--hosts', '1', '--', '0', '256');
    expect(whole.code, whole.stderr).toBe(0);
    expect(whole.stderr).not.toContain('HLSIM_JOB_FAILED');
  });

  it('ends with the first exit code that is not 0, and names the rank', async () => {
    const { code, stdout, lastNote } = await run('exit-code', '--hosts', '3', '--', '1', '7');
    expect(code).toBe(7);
    expect(stdout).toBe('[1] no newline at the end\n');
    expect(lastNote).toMatch(/^hlsim: .*exit code 0 .*7 of rank 1.* \[HLSIM_JOB_FAILED\]$/);
  });

  it('finds its program from any directory, and the program finds hlsim', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'hlsim-test-'));
    try {
      copyFileSync(program('barrier'), join(directory, 'mine.mjs'));
      const args = [HLSIM, 'run', 'mine.mjs', '--hosts', '2'];
      const command = processes.start(process.execPath, args, {}, directory);
      expect(await command.ended, command.stderr).toEqual({ code: 0, signal: null });
      expect(command.resultLines.toSorted()).toEqual(['[0] met', '[1] met']);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('ends with 0 when every rank does', async () => {
    const { code, stderr } = await run('exit-code', '--hosts', '1', '--', '0', '0');
    expect(code).toBe(0);
    expect(stderr).not.toContain('hlsim:');
  });

  it('ends programs that compute without a pause', async () => {
    const command = processes.hlsim(['run', program('busy'), '--hosts', '2']);
    await command.printed(/\[0\] busy/);
    await command.printed(/\[1\] busy/);
    command.child.kill('SIGINT');
    expect(await command.ended).toEqual({ code: 130, signal: null });
  });

  it('shows what a program threw, with the place, and ends with 1', async () => {
    const { code, stderr, lastNote } = await run('throws', '--hosts', '1');
    expect(code).toBe(1);
    expect(stderr).toMatch(/\[0\] .*the melon is not ripe/);
    expect(stderr).toMatch(/\[0\] +at .*throws\.js:\d+/);
    expect(lastNote).toMatch(/rank 0.*\[HLSIM_JOB_FAILED\]$/);
  });
});
