import process from 'node:process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Command, program, until } from './command.ts';
import { StandingCluster } from './standing-cluster.ts';

const WAIT_MS = 30_000;

let cluster: StandingCluster;
beforeEach(() => {
  cluster = new StandingCluster();
});
afterEach(() => cluster.end());

interface DeviceRow {
  readonly host: number;
  readonly device: number;
  readonly use: string;
  readonly ownership: string;
  readonly owner: { readonly pid: number; readonly containerId: string } | null;
  readonly hbmUsedBytes: number;
  readonly exportedDmaBufs: number;
  readonly memoryRegions: number;
}

async function devices(): Promise<DeviceRow[]> {
  const { code, stdout, stderr } = await cluster.here('smi', '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout).devices;
}

const evict = (...args: string[]) => cluster.here('evict', ...args);

/** A job of `keep-device.js` that has got as far as the line of each rank. */
async function keeping(
  environment: Record<string, string>,
  mode: string,
  line: string,
  ranks: readonly number[],
): Promise<Command> {
  const job = cluster.processes.hlsim(['run', program('keep-device'), '--', mode], environment);
  for (const rank of ranks) await job.printed(new RegExp(`^\\[${rank}\\] ${line}$`, 'm'), WAIT_MS);
  return job;
}

describe('a cluster whose devices are kept', () => {
  it('shows who keeps them, and frees one from the process that has it open', async () => {
    const environment = await cluster.up('--hosts', '2');
    expect((await devices()).map(({ use, owner }) => [use, owner])).toEqual([
      ['free', null],
      ['free', null],
    ]);
    const job = await keeping(environment, 'open', 'keeping the device', [0, 1]);

    const rows = await devices();
    expect(rows.map(({ host, device, use }) => [host, device, use])).toEqual([
      [0, 0, 'open'],
      [1, 0, 'open'],
    ]);
    for (const row of rows) {
      expect(row).toMatchObject({ ownership: 'owner', exportedDmaBufs: 1, memoryRegions: 1 });
      expect(row.hbmUsedBytes).toBeGreaterThanOrEqual(64 * 1024);
    }
    const pid = rows[1]?.owner?.pid;
    const table = await cluster.here('smi');
    expect(table.resultLines[0]).toMatch(/^HOST +DEVICE +STATE +OWNERSHIP +OWNER +HBM /);
    expect(table.resultLines[2]).toMatch(
      new RegExp(`^1 \\S+ +0 +open +owner +pid ${pid} \\(.*-1\\) .* / 256 MiB +1 +1 +0$`),
    );

    const list = await cluster.here('dmabuf');
    expect(list.code, list.stderr).toBe(0);
    expect(list.stdout).toMatch(/^Host 1 \S+: 1 dma-buf, 65536 bytes$/m);
    expect(list.stdout).toMatch(/^0 +65536 +habanalabs +live .*fd \d+ of pid \d+ \(.*-1\)$/m);
    const json = JSON.parse((await cluster.here('dmabuf', '--json')).stdout);
    expect(json.failures).toEqual([]);
    expect(json.hosts[1].dmaBufs[0]).toMatchObject({
      device: 0,
      size: 65_536,
      attachments: [{ holder: { pid }, state: 'mapped', revocable: true }],
      descriptors: [{ pid }],
    });

    const eviction = await evict('--host', '1', '--device', '0');
    expect(eviction.code, eviction.stderr).toBe(0);
    expect(eviction.resultLines.at(-1)).toBe('Device 0 of host 1 is free.');
    expect(eviction.resultLines.slice(0, -1).map((line) => line.slice(5))).toEqual([
      expect.stringMatching(
        new RegExp(`^pid ${pid} \\(.*-1\\) keeps device 0: it has /dev/accel/accel0 open$`),
      ),
      expect.stringMatching(new RegExp(`^SIGTERM to pid ${pid} `)),
      expect.stringMatching(new RegExp(`^pid ${pid} .* has ended$`)),
      'Device 0 is free',
    ]);
    expect((await job.ended).code).toBe(143);
    expect((await devices()).map(({ use }) => use)).toEqual(['free', 'free']);
    expect((await evict('--host', '1', '--device', '0')).resultLines).toEqual([
      '  1  Device 0 is free',
      'Device 0 of host 1 is free.',
    ]);
    await cluster.here('down');
  });

  it('kills a process that does not end in the grace', async () => {
    const environment = await cluster.up('--hosts', '1');
    const job = await keeping(environment, 'stubborn', 'keeping the device', [0]);
    const { code, stdout } = await evict(
      ...['--host', '0', '--device', '0', '--grace', '500ms', '--json'],
    );
    expect(code).toBe(0);
    const { outcome, steps } = JSON.parse(stdout);
    expect(outcome).toBe('free');
    expect(steps.map(({ action }: { action: string }) => action)).toEqual([
      ...['found', 'signalled', 'survived', 'signalled', 'ended', 'checked'],
    ]);
    expect((await job.ended).code).toBe(137);
    expect(job.stdout).toContain('[0] told to end, and stays\n');
    await cluster.here('down');
  });

  it('takes a device from a process that never opened it, and leaves the one that closed it', async () => {
    const environment = await cluster.up('--hosts', '1');
    const job = await keeping(environment, 'heir', 'the heir has a region', [0]);
    await job.printed(/^\[0\] the rank has closed everything$/m);
    expect(await devices()).toMatchObject([
      { use: 'releasing', exportedDmaBufs: 1, memoryRegions: 1 },
    ]);
    const eviction = await evict('--host', '0', '--device', '0');
    expect(eviction.code, eviction.stderr).toBe(0);
    expect(eviction.resultLines[0]).toMatch(/\(heir-0\) keeps device 0: .* works on its memory/);
    expect(await job.ended).toEqual({ code: 0, signal: null });
    expect(job.stdout).toContain('[0] the heir ended: {"signal":"SIGTERM"}\n');
    expect(job.stdout).toContain('[0] the device is free\n');
    await cluster.here('down');
  });

  it('has no device at a place of evict that is not there, and says what there is', async () => {
    await cluster.up('--hosts', '1', '--devices', '2');
    for (const [place, words] of [
      [['--host', '1', '--device', '0'], /a host from 0 to 0, .* found 1/],
      [['--host', '0', '--device', '2'], /a device from 0 to 1, .* found 2/],
    ] as const) {
      const { code, lastNote, stdout } = await evict(...place);
      expect([code, stdout]).toEqual([2, '']);
      expect(lastNote).toMatch(words);
      expect(lastNote).toMatch(/^hlsim: .* \[HLSIM_USAGE\]$/);
    }
    await cluster.here('down');
  });
});

describe('hlsim smi', () => {
  it('shows the hosts that answer, and says of the others that they do not', async () => {
    await cluster.up('--hosts', '2');
    const { stdout } = await cluster.here('ps', '--json');
    const { processes } = JSON.parse(stdout) as {
      readonly processes: readonly { readonly name: string; readonly pid: number }[];
    };
    const pid = processes.find(({ name }) => name === 'host-1')?.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    const { code, resultLines, lastNote } = await cluster.here('smi');
    process.kill(pid, 'SIGCONT');
    expect(code).toBe(1);
    expect(resultLines).toHaveLength(2);
    expect(lastNote).toMatch(/^hlsim: .* \[HLSIM_(?:TIMEOUT|HOST_LOST)\]$/);
    await cluster.here('down');
  });

  it('says how many hosts there are, when one has died', async () => {
    await cluster.up('--hosts', '2');
    const [victim] = cluster.processes.daemons('node');
    process.kill(victim?.pid ?? 0, 'SIGKILL');
    await until(WAIT_MS, 'a host less', async () => (await devices()).length === 1);
    const { code, stderr } = await cluster.here('smi');
    expect([code, stderr]).toEqual([0, 'hlsim: 1 of 2 hosts in the cluster\n']);
    await cluster.here('down');
  });

  it('looks again and again with --watch, at the cluster of --coordinator, until it is told to end', async () => {
    const environment = await cluster.up('--hosts', '1');
    const watch = cluster.processes.hlsim(['smi', '--watch', '--json'], environment);
    await until(WAIT_MS, 'three looks', () => watch.resultLines.length >= 3);
    watch.child.kill('SIGINT');
    expect(await watch.ended).toEqual({ code: 130, signal: null });
    for (const line of watch.resultLines) expect(JSON.parse(line).devices).toHaveLength(1);
    await cluster.here('down');
  });
});

describe('--ownership', () => {
  it('none is warned of before the cluster starts, and shown', async () => {
    const up = await cluster.here('up', '--hosts', '1', '--ownership', 'none');
    expect(up.code).toBe(0);
    expect(up.stderr).toMatch(/^hlsim: warning: --ownership none is unsafe: /m);
    expect(await devices()).toMatchObject([{ ownership: 'none' }]);
    await cluster.here('down');
  });

  it('revoke protects, without a warning', async () => {
    const up = await cluster.here('up', '--hosts', '1', '--ownership', 'revoke');
    expect(up.stderr).not.toContain('warning');
    expect(await devices()).toMatchObject([{ ownership: 'revoke' }]);
    await cluster.here('down');
  });
});
