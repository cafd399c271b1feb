/** A prediction that takes its time: told to stop, or with nobody left to read it, it ends, and leaves no half of a file. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TestProcesses, timed } from './command.ts';

/** Far below what the whole sweep takes. */
const END_MS = 5_000;
/** Every rank on its own, row after row; to 16G the work of a minute. */
const sweep = (to: string): string[] => [
  ...['predict', 'all_reduce', '--topology', 'flat', '--cards', '1024', '--algorithm', 'ring'],
  ...['-b', '4K', '-e', to, '-f', '2', '--exact'],
];

let processes: TestProcesses;
let folder: string;
beforeEach(() => {
  processes = new TestProcesses();
  folder = mkdtempSync(join(tmpdir(), 'hlsim-test-'));
});
afterEach(async () => {
  await processes.expectNone();
  rmSync(folder, { recursive: true });
});

it('ends at once at Ctrl-C, and leaves no half-written file', async () => {
  const files = ['json', 'svg', 'trace'].flatMap((flag) => [`--${flag}`, join(folder, flag)]);
  const command = processes.hlsim([...sweep('16G'), ...files]);
  await command.printed(/^ +4096 /m);
  command.child.kill('SIGINT');
  expect(await timed(command.ended)).toBeLessThan(END_MS);
  const { code, signal } = await command.ended;
  expect([130, 'SIGINT']).toContain(code ?? signal);
  expect(command.stdout).not.toContain('# Avg');
  expect(readdirSync(folder)).toEqual([]);
});

it('ends as SIGPIPE would have it, and says nothing, when the reader of its rows goes', async () => {
  const command = processes.hlsim(sweep('8K'));
  await command.printed(/^#/m);
  command.child.stdout?.destroy();
  expect(await command.ended).toEqual({ code: 141, signal: null });
  expect(command.stderr).not.toMatch(/hlsim: |Error|^ +at /m);
});
