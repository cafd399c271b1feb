/** What a host process holds at the most, HBM included. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TestProcesses } from './command.ts';

const PEAK_BYTES_MAX = 450e6;

let processes: TestProcesses;
let state: string;
beforeEach(() => {
  processes = new TestProcesses();
  state = join(mkdtempSync(join(tmpdir(), 'hlsim-test-')), 'state');
});
afterEach(async () => {
  await processes.run(['down', '--state-dir', state]);
  await processes.expectNone();
  rmSync(join(state, '..'), { recursive: true });
});

/** Highest resident size that the process ever had (VmHWM, proc(5)), in bytes. */
function peakResidentBytes(pid: number): number {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1]) * 1024;
}

it('a 64 MiB all-reduce on 4 hosts stays below 450 MB resident per host process', async () => {
  const up = await processes.run(['up', '--hosts', '4', '--state-dir', state]);
  expect(up.code, up.stderr).toBe(0);
  const [, url = '', token = ''] =
    /HLSIM_COORDINATOR=(\S+) HLSIM_TOKEN=(\S+)/.exec(up.stdout) ?? [];
  const environment = { HLSIM_COORDINATOR: url, HLSIM_TOKEN: token };
  const sweep = ['bench', 'all_reduce', '-b', '64M', '-e', '64M', '-n', '2', '-c', '1'];
  const bench = await processes.run(sweep, environment);
  expect(bench.stdout, bench.stderr).toContain('# Out of bounds values : 0 OK');
  const peaks = processes.daemons('node').map(({ pid }) => peakResidentBytes(pid));
  expect(peaks).toHaveLength(4);
  for (const peak of peaks) {
    // Two vectors of 64 MiB were in HBM: less than that would mean that nothing was measured.
    expect(peak).toBeGreaterThan(2 * 64 * 1024 * 1024);
    expect(peak).toBeLessThan(PEAK_BYTES_MAX);
  }
});
