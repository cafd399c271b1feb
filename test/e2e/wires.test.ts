/** Collectives over links that the program's own thread reads and writes, on real host processes. */
import { readdirSync, readlinkSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { operatingSystem } from '../../node/os/operating-system.ts';
import { program, TestProcesses, until } from './command.ts';
import { StandingCluster } from './standing-cluster.ts';

const WS = { FI_PROVIDER: 'ws' };
const AUTO = { ...WS, HLSIM_PROGRESS: 'auto' };
const isPossible = !('unavailable' in operatingSystem());
const COLLECTIVES = [
  ...['all_reduce', 'all_gather', 'reduce_scatter', 'broadcast'],
  ...['reduce', 'gather', 'scatter'],
];

let processes: TestProcesses;
beforeEach(() => {
  processes = new TestProcesses();
});
afterEach(() => processes.expectNone());

/** Of each line of the table: wrong elements of both placements, algorithm and slice. */
function rows(stdout: string) {
  const lines = stdout.split('\n').filter((line) => /^ +\d/.test(line));
  return lines.map((line) => {
    const words = line.trim().split(/ +/);
    return { wrong: [words[8], words[12]], how: words.slice(13).join(' ') };
  });
}

/** Open sockets of a process. */
function socketsOf(pid: number): number {
  const folder = `/proc/${pid}/fd`;
  const targets = readdirSync(folder).map((fd) => {
    try {
      return readlinkSync(`${folder}/${fd}`);
    } catch {
      // It was closed while we looked.
      return '';
    }
  });
  return targets.filter((target) => target.startsWith('socket:')).length;
}

/** What every rank has printed, in no order. */
function resultsOf({ resultLines }: { readonly resultLines: string[] }): string {
  return resultLines.toSorted().join('\n');
}

describe.skipIf(!isPossible).each([
  ['2', 'tcp'],
  ['4', 'unix'],
])('on wires of %s hosts over %s', (hosts, transport) => {
  const cluster = new StandingCluster();
  let environment: Record<string, string>;
  beforeAll(async () => {
    environment = { ...(await cluster.up('--hosts', hosts, '--transport', transport)), ...WS };
  });
  afterAll(async () => {
    expect((await cluster.here('down')).code).toBe(0);
    await cluster.end();
  });

  it.each(COLLECTIVES)('%s is right', async (collective) => {
    const sizes = ['-b', '96', '-e', '1536K', '-f', '128', '-n', '2', '-w', '0', '-c', '1'];
    const bench = await cluster.processes.run(['bench', collective, ...sizes], environment);
    expect(bench.code, bench.stderr).toBe(0);
    expect(bench.stdout).toContain(`# Links between ranks  : wire over ${transport}\n`);
    const table = rows(bench.stdout);
    expect(table).toHaveLength(3);
    for (const { wrong } of table) expect(wrong).toEqual(['0', '0']);
    // How the host would do it itself reads otherwise.
    const isRing = collective === 'all_gather' && hosts === '2';
    expect(table[2]?.how).toBe(isRing ? 'ring 380 KiB' : 'direct 380 KiB');
    const isSmall = ['all_reduce', 'all_gather', 'broadcast'].includes(collective);
    expect(table[0]?.how).toMatch(isSmall ? / 16 KiB$/ : / 380 KiB$/);
  });

  it('hosts hold no socket of a job that has ended', async () => {
    const hostPids = cluster.processes.daemons('node').map(({ pid }) => pid);
    expect(hostPids).toHaveLength(Number(hosts));
    const sockets = () => hostPids.reduce((sum, pid) => sum + socketsOf(pid), 0);
    const words = ['bench', 'all_reduce', '-b', '4K', '-e', '4K', '-n', '1', '-w', '0'];
    for (let job = 0; job < 2; job++) {
      const before = sockets();
      const bench = await cluster.processes.run(words, environment);
      expect(bench.code, bench.stderr).toBe(0);
      await until(5_000, 'as few sockets as before', () => sockets() <= before);
    }
  });
});

describe.skipIf(!isPossible)('a job on wires', () => {
  it('of six hosts sums long vectors in a ring, and is right', async () => {
    const words = ['bench', 'all_reduce', '--hosts', '6', '-b', '3M', '-e', '4M', '-i', '1M'];
    const { code, stdout, stderr } = await processes.run([...words, '-n', '2', '-w', '0'], WS);
    expect(code, stderr).toBe(0);
    const table = rows(stdout);
    expect(table.map(({ how }) => how)).toEqual(['ring 380 KiB', 'ring 380 KiB']);
    for (const { wrong } of table) expect(wrong).toEqual(['0', '0']);
  });

  it('that asks for progress auto has none, and is as right', async () => {
    const words = ['bench', 'all_reduce', '--hosts', '2', '-b', '96', '-e', '1536K', '-f', '128'];
    const sizes = ['-n', '1', '-w', '0', '-c', '1', '--progress', 'auto'];
    const { code, stdout, stderr } = await processes.run([...words, ...sizes], WS);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain('# Links between ranks  : unix\n');
    const table = rows(stdout);
    expect(table.map(({ wrong }) => wrong)).toEqual(Array(3).fill(['0', '0']));
    expect(table[2]?.how).not.toMatch(/ 380 KiB$/);
  });

  it('has the bits of links, of shared memory, and of no koffi', async () => {
    const digests = new Set<string>();
    const ways = [
      { environment: WS, transport: 'unix' },
      { environment: WS, transport: 'tcp' },
      { environment: AUTO, transport: 'auto' },
      { environment: { FI_PROVIDER: 'p2p' }, transport: 'auto' },
      { environment: { ...WS, HLSIM_OS: 'off' }, transport: 'auto' },
    ];
    for (const { environment, transport } of ways) {
      const words = ['run', program('p2p-digest'), '--hosts', '2', '--transport', transport];
      const run = await processes.run(words, environment);
      expect(run.code, run.stderr).toBe(0);
      digests.add(resultsOf(run));
    }
    expect(digests.size).toBe(1);
  });

  it('falls back to links where one host cannot, and says the same results', async () => {
    const words = ['bench', 'all_gather', '--hosts', '2', '-b', '96', '-e', '1536K', '-f', '128'];
    const sizes = ['-n', '1', '-w', '0', '-c', '1'];
    const run = await processes.run([...words, ...sizes], { ...WS, HLSIM_OS: 'off' });
    expect(run.code, run.stderr).toBe(0);
    expect(run.stdout).toContain('# Links between ranks  : unix\n');
    const table = rows(run.stdout);
    expect(table.map(({ wrong }) => wrong)).toEqual(Array(3).fill(['0', '0']));
    expect(table[2]?.how).not.toMatch(/ 380 KiB$/);
  });

  it('two devices of one process wait for each other without keeping its thread', async () => {
    const words = ['run', program('p2p-two-devices'), '--hosts', '2', '--devices', '2'];
    const { code, stdout, stderr } = await processes.run(words, WS);
    expect(code, stderr).toBe(0);
    expect(stdout.match(/both have come to the end/g)).toHaveLength(2);
  });

  it('a rank that is slow gets what the others have left for it, who have long been done', async () => {
    const words = ['run', program('p2p-slow-rank'), '--hosts', '3'];
    const { code, stdout, stderr } = await processes.run(words, WS);
    expect(code, stderr).toBe(0);
    expect(stdout.match(/done/g)).toHaveLength(3);
  });

  it('leaves no descriptor of 30 communicators behind', async () => {
    const words = ['run', program('p2p-many-communicators'), '--hosts', '2', '--', '30'];
    const { code, stdout, stderr } = await processes.run(words, WS);
    expect(code, stderr).toBe(0);
    const told = [...stdout.matchAll(/descriptors ([\d ]+)$/gm)].map(([, text = '']) =>
      text.split(' ').map(Number),
    );
    expect(told).toHaveLength(2);
    for (const counts of told) expect(Math.max(...counts) - Math.min(...counts)).toBeLessThan(4);
  });
});
