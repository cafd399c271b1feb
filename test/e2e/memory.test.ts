/** What a host process holds at the most, HBM included. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { StandingCluster } from './standing-cluster.ts';

const PEAK_BYTES_MAX = 450e6;

let cluster: StandingCluster;
beforeEach(() => {
  cluster = new StandingCluster();
});
afterEach(() => cluster.end());

/** Highest resident size that the process ever had (VmHWM, proc(5)), in bytes. */
function peakResidentBytes(pid: number): number {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1]) * 1024;
}

// Over links: what ranks share would count as resident at every rank that has it mapped.
it('a 64 MiB all-reduce on 4 hosts stays below 450 MB resident per host process', async () => {
  const environment = { ...(await cluster.up('--hosts', '4')), FI_PROVIDER: 'ws' };
  const sweep = ['bench', 'all_reduce', '-b', '64M', '-e', '64M', '-n', '2', '-c', '1'];
  const bench = await cluster.processes.run(sweep, environment);
  expect(bench.stdout, bench.stderr).toContain('# Out of bounds values : 0 OK');
  const peaks = cluster.processes.daemons('node').map(({ pid }) => peakResidentBytes(pid));
  expect(peaks).toHaveLength(4);
  for (const peak of peaks) {
    // Two vectors of 64 MiB were in HBM: less than that would mean that nothing was measured.
    expect(peak).toBeGreaterThan(2 * 64 * 1024 * 1024);
    expect(peak).toBeLessThan(PEAK_BYTES_MAX);
  }
  expect((await cluster.here('down')).code).toBe(0);
});
