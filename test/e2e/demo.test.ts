/** What `npm start` shows, after the build. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestProcesses } from './command.ts';

let processes: TestProcesses;
beforeEach(() => {
  processes = new TestProcesses();
});
afterEach(() => processes.expectNone());

describe('hlsim demo', () => {
  it('trains on four hosts, sweeps two collectives, finds everything right, and leaves nothing', async () => {
    const { code, stdout, stderr } = await processes.run(['demo']);
    expect(code, stderr).toBe(0);
    expect(processes.list()).toEqual([]);
    const accuracy = Number(/^Held-out accuracy: +([\d.]+) %/m.exec(stdout)?.[1]);
    expect(accuracy).toBeGreaterThanOrEqual(95);
    expect(stdout).toMatch(/^Weights: +bit-identical on all ranks/m);
    for (const collective of ['all_reduce', 'all_gather']) {
      expect(stdout).toContain(`# Collective test starting: ${collective}_perf`);
    }
    expect(stdout.match(/^# Out of bounds values : 0 OK$/gm)).toHaveLength(2);
    // 8 B to 16 MiB by 8: the last row is the largest size.
    expect(stdout.match(/^ +16777216 /gm)).toHaveLength(2);
    expect(stderr).toMatch(/^Starting a coordinator and 4 host processes$/m);
  });
});
