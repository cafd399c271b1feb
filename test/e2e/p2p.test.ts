/** Collectives through shared memory, on real host processes: right, and the same. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { operatingSystem } from '../../node/os/operating-system.ts';
import { program, TestProcesses } from './command.ts';
import { StandingCluster } from './standing-cluster.ts';

const P2P = { FI_PROVIDER: 'p2p' };
const isPossible = !('unavailable' in operatingSystem());

let processes: TestProcesses;
beforeEach(() => {
  processes = new TestProcesses();
});
afterEach(() => processes.expectNone());

/** Figures of each line of the table: bytes, wrong elements of both placements, algorithm. */
function rows(stdout: string) {
  const lines = stdout.split('\n').filter((line) => /^ +\d/.test(line));
  return lines.map((line) => {
    const words = line.trim().split(/ +/);
    return { wrong: [words[8], words[12]], algorithm: words[13] };
  });
}

describe.skipIf(!isPossible)('on shared memory', () => {
  it('every collective is right, on hosts of two devices', async () => {
    const cluster = new StandingCluster();
    const environment = { ...(await cluster.up('--hosts', '2', '--devices', '2')), ...P2P };
    const pulled = ['reduce', 'gather', 'scatter'];
    for (const collective of [
      'all_reduce',
      'all_gather',
      'reduce_scatter',
      'broadcast',
      ...pulled,
    ]) {
      const sizes = ['-b', '96', '-e', '1536K', '-f', '128', '-n', '1', '-w', '0'];
      const bench = await cluster.processes.run(['bench', collective, ...sizes], environment);
      expect(bench.code, bench.stderr).toBe(0);
      const table = rows(bench.stdout);
      expect(table).toHaveLength(3);
      for (const { wrong } of table) expect(wrong, collective).toEqual(['0', '0']);
      const algorithms = table.map(({ algorithm }) => algorithm);
      expect(algorithms[2], collective).toBe('direct');
      if (!pulled.includes(collective))
        expect(algorithms[0], collective).toBe(collective === 'all_reduce' ? 'oneShot' : 'direct');
    }
    expect((await cluster.here('down')).code).toBe(0);
    await cluster.end();
  });

  it('eight hosts reduce together', async () => {
    const { code, stdout, stderr } = await processes.run(
      ['bench', 'all_reduce', '--hosts', '8', '-b', '512', '-e', '512K', '-f', '1024', '-n', '2'],
      P2P,
    );
    expect(code, stderr).toBe(0);
    expect(rows(stdout)).toEqual([
      { wrong: ['0', '0'], algorithm: 'oneShot' },
      { wrong: ['0', '0'], algorithm: 'direct' },
    ]);
  });

  it('one algorithm gives the same bits on links, on shared memory, and without koffi', async () => {
    const digests = new Set<string>();
    for (const environment of [P2P, { FI_PROVIDER: 'ws' }, { HLSIM_OS: 'off' }]) {
      const run = await processes.run(['run', program('p2p-digest'), '--hosts', '2'], environment);
      expect(run.code, run.stderr).toBe(0);
      const lines = run.resultLines.map((line) => line.slice(line.indexOf('digest')));
      // The parts of the reduce-scatter differ from rank to rank.
      digests.add(run.resultLines.toSorted().join());
      expect(new Set(lines).size).toBe(2);
    }
    expect(digests.size).toBe(1);
  });

  it('is refused where it is asked for and cannot be', async () => {
    const run = await processes.run(['run', program('p2p-digest'), '--hosts', '2'], {
      ...P2P,
      HLSIM_OS: 'off',
    });
    expect(run.code).toBe(1);
    expect(run.lastNote).toMatch(
      /^hlsim: .*Expected every rank to share memory \(provider p2p\) but rank \d cannot: .*koffi.* \[HLSIM_JOB_FAILED\]$/,
    );
  });

  it('two devices of one process wait for each other without keeping its thread', async () => {
    const words = ['run', program('p2p-two-devices'), '--hosts', '2', '--devices', '2'];
    const { code, stdout, stderr } = await processes.run(words, P2P);
    expect(code, stderr).toBe(0);
    expect(stdout.match(/both have come to the end/g)).toHaveLength(2);
  });

  it('a rank that is slow gets what the others have left for it, who have long been done', async () => {
    const { code, stdout, stderr } = await processes.run(
      ['run', program('p2p-slow-rank'), '--hosts', '3'],
      P2P,
    );
    expect(code, stderr).toBe(0);
    expect(stdout.match(/done/g)).toHaveLength(3);
  });

  it('60 communicators leave no descriptor behind', async () => {
    const words = ['run', program('p2p-many-communicators'), '--hosts', '2', '--', '60'];
    const { code, stdout, stderr } = await processes.run(words, P2P);
    expect(code, stderr).toBe(0);
    const told = [...stdout.matchAll(/descriptors ([\d ]+)$/gm)].map(([, text = '']) =>
      text.split(' ').map(Number),
    );
    expect(told).toHaveLength(2);
    for (const counts of told) expect(Math.max(...counts) - Math.min(...counts)).toBeLessThan(4);
  });
});
