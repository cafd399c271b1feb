/** Ranks that disappear while others reduce in their programs' threads: told on every other rank, and soon. */
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defined } from '../../common/assert.ts';
import { operatingSystem } from '../../node/os/operating-system.ts';
import { program, TestProcesses, timed } from './command.ts';
import { failures, startReducing } from './reducing-job.ts';
import { StandingCluster } from './standing-cluster.ts';

/** Every survivor's call has ended by then: as for links (`failure.test.ts`). */
const HOST_KILLED_MS = 2_000;
const HOST_STOPPED_MS = 5_000;
const isPossible = !('unavailable' in operatingSystem());

let processes: TestProcesses;
beforeEach(() => {
  processes = new TestProcesses();
});
afterEach(() => processes.expectNone());

describe.skipIf(!isPossible).each([
  ['shared memory', 'p2p', 'auto'],
  ['wires over tcp', 'ws', 'tcp'],
  ['wires over unix', 'ws', 'unix'],
])('in the middle of a reduction on %s', (_, provider, transport) => {
  const way = { FI_PROVIDER: provider };

  it.each([
    ['SIGKILL', HOST_KILLED_MS],
    ['SIGSTOP', HOST_STOPPED_MS],
  ] as const)('%s of a host is told on every other rank', async (signal, boundMs) => {
    const words = ['--transport', transport];
    const { command, pids } = await startReducing(processes, 'stay', way, ...words);
    const startMs = Date.now();
    process.kill(defined(pids[1], 'the victim'), signal);
    expect((await command.ended).code).toBe(1);
    const told = failures(command);
    expect(told.map(({ rank }) => rank)).toEqual([0, 2]);
    for (const { message, atMs } of told) {
      expect(message).toMatch(/rank 1\b.*hcclAllReduce operation \d+/i);
      expect(atMs - startMs).toBeLessThan(boundMs);
    }
    await processes.allGone(boundMs);
  });

  it.each([
    ['leave', /Rank 1 left the communicator but rank \d called hcclAllReduce operation 21/],
    ['abort', /Rank 1 aborted its communicator/],
    [
      'other',
      /of their threads but rank (\d) called (hcclAllReduce|hcclAllGather) \(.*\) where rank (?!\1)\d called (?!\2)hcclAll/,
    ],
  ])('a rank that does something else (%s) is told on every other rank', async (what, pattern) => {
    const { command } = await startReducing(processes, what, way, '--transport', transport);
    expect(await timed(command.ended)).toBeLessThan(HOST_STOPPED_MS);
    expect((await command.ended).code, command.stderr).toBe(0);
    const told = failures(command).filter(({ rank }) => rank !== 1);
    expect(told.map(({ rank }) => rank)).toEqual([0, 2]);
    for (const { message } of told) expect(message).toMatch(pattern);
  });

  it('a device can be taken from its program, and the next one runs on it', async () => {
    const cluster = new StandingCluster();
    const environment = { ...(await cluster.up('--hosts', '2', '--transport', transport)), ...way };
    const words = ['run', program('p2p-endless'), '--', 'stay'];
    const command = cluster.processes.hlsim(words, environment);
    await command.printed(/^\[1\] reducing in/m);
    const which = ['--host', '1', '--device', '0', '--grace', '1s'];
    const evicted = await cluster.here('evict', ...which);
    expect(evicted.code, evicted.stderr).toBe(0);
    expect((await command.ended).code).toBe(143);
    const next = await cluster.processes.run(['run', program('p2p-digest')], environment);
    expect(next.code, next.stderr).toBe(0);
    expect((await cluster.here('down')).code).toBe(0);
    await cluster.end();
  });
});
