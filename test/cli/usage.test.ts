import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { record } from './recording-terminal.ts';

/** Each wrong command line, and what its one line must name: the flag, the expected, the found. */
const WRONG: readonly (readonly [commandLine: string, ...words: string[]])[] = [
  ['frobnicate', 'a command of hlsim', '"frobnicate"'],
  ['benhc all_reduce', '"benhc"', 'perhaps bench'],
  ['bench', '<collective>', 'nothing'],
  ['bench all_to_nobody --hosts 2', 'all_reduce, all_gather', '"all_to_nobody"'],
  ['bench all_reduce', '--hosts', '--coordinator', 'neither'],
  ['bench all_reduce all_gather --hosts 2', 'arguments', '2'],
  ['bench all_reduce --hosts', '--hosts <n>', 'none'],
  ['bench all_reduce --hosts 0', '--hosts', 'whole number from 1', '"0"'],
  ['bench all_reduce --hosts four', '--hosts', 'whole number', '"four"'],
  ['bench all_reduce --hosts 2.5', '--hosts', 'whole number', '"2.5"'],
  ['bench all_reduce --hosts 100000', '--hosts', '"100000"'],
  ['bench all_reduce --hosts 2 --devices 0', '--devices', 'whole number from 1 to 64', '"0"'],
  ['bench all_reduce --hosts 2 -b lots', '-b, --minbytes', 'a size such as 8', '"lots"'],
  ['bench all_reduce --hosts 2 -b 0', '--minbytes', 'at least 1', '"0"'],
  ['bench all_reduce --hosts 2 -e 1T', '--maxbytes', 'a size such as 8', '"1T"'],
  ['bench all_reduce --hosts 2 -b 1M -e 1K', '--maxbytes', '1048576', '1024'],
  ['bench all_reduce --hosts 2 -b 8 -e 64 -f 1', '--stepfactor', 'from 2', '"1"'],
  ['bench all_reduce --hosts 2 -b 8 -e 64 -i 0', '--stepbytes', '"0"'],
  ['bench all_reduce --hosts 2 -b 8 -e 64 -i 8 -f 2', '--stepbytes', '--stepfactor', 'both'],
  ['bench all_reduce --hosts 2 -n 0', '--iters', '"0"'],
  ['bench all_reduce --hosts 2 -w -1', '--warmup_iters', '"-1"'],
  ['bench all_reduce --hosts 2 -d int7', '--datatype', 'bfloat16', '"int7"'],
  ['bench all_reduce --hosts 2 -o xor', '--op', 'sum', '"xor"'],
  ['bench all_reduce --hosts 2 -c 2', '--check', '0, 1', '"2"'],
  ['bench all_reduce --hosts 2 --algorithm magic', '--algorithm', 'ring', '"magic"'],
  ['bench all_reduce --hosts 2 --hbm 1K', '--hbm', 'at least 1048576', '"1K"'],
  ['bench all_reduce --hosts 2 --hbm 100G', '--hbm', 'at most 4294836224', '"100G"'],
  ['bench all_reduce --hosts 2 --hbm 4G', '--hbm', 'at most 4294836224', '"4G"'],
  ['bench all_reduce --hosts 2 --hbm 2000001', '--hbm', 'multiple of 65536', '"2000001"'],
  ['up --hbm 4G', '--hbm', 'at most 4294836224', '"4G"'],
  ['bench all_reduce --hosts 2 --json /proc/x.json', '--json', '/proc/x.json'],
  ['train digits --hosts 2 --json /proc/x.json', '--json', '/proc/x.json'],
  ['bench all_reduce --hosts 2 --json /nowhere/at/all.json', '--json', '/nowhere/at/all.json'],
  ['bench all_reduce --hosts 2 --json /', '--json', 'directory'],
  ['bench all_reduce --hsots 2', '--hsots', '--hosts'],
  ['bench all_reduce --coordinator localhost:7700', '--coordinator', 'ws://', 'localhost:7700'],
  ['bench all_reduce --coordinator http://localhost:7700', '--coordinator', 'ws://'],
  ['bench all_reduce --coordinator ws://localhost:7700/host', '--coordinator', 'ws://'],
  ['bench all_reduce --coordinator ws://a:1 --devices 2', '--coordinator', '--devices', 'both'],
  ['bench all_reduce --coordinator ws://a:1 --hbm 1G', '--coordinator', '--hbm', 'both'],
  ['bench all_reduce --hosts 2 --join-timeout soon', '--join-timeout', '30s', '"soon"'],
  ['bench all_reduce --hosts 2 --join-timeout 0', '--join-timeout', '"0"'],
  ['bench all_reduce --hosts 2 --log-level loud', '--log-level', 'debug', '"loud"'],
  ['run', '<program>', 'nothing'],
  ['run program.js', '--hosts', 'neither'],
  ['train', '<dataset>', 'nothing'],
  ['train faces --hosts 2', 'digits', '"faces"'],
  ['train digits', '--hosts', 'neither'],
  ['train digits --hosts 2 --epochs 0', '--epochs', '"0"'],
  ['train digits --hosts 2 --seed x', '--seed', '"x"'],
  ['scenario run', '<name>', 'nothing'],
  ['scenario run heist', '"heist"', 'hlsim scenario list'],
  ['scenario run R99', '"R99"'],
  ['scenario run exfiltration --ownership finders', '--ownership', 'revoke', '"finders"'],
  ['scenario run reset-exhausted --ownership owner', 'reset-exhausted', 'owner-2021'],
  ['scenario lsit', '"lsit"', 'perhaps list'],
  ['scenario run exfiltration --json /proc/x.json', '--json', '/proc/x.json'],
  ['node --coordinator ws://a:1 --reset-trials 0', '--reset-trials', '"0"'],
  ['up --hosts none', '--hosts', '"none"'],
  ['up --port 65536', '--port', 'from 0 to 65535', '"65536"'],
  ['down --now', '--now'],
  ['ps extra', 'arguments', '1'],
  ['coordinator', '--hosts <n>', 'none', 'HLSIM_HOSTS'],
  ['coordinator --hosts 2 --port http', '--port', '"http"'],
  ['node', '--coordinator <url>', 'none', 'HLSIM_COORDINATOR'],
  ['node --coordinator ws://127.0.0.1:7700 --hbm 1', '--hbm', '"1"'],
  ['demo --hosts -3', '--hosts', '"-3"'],
  ['up --ownership mine', '--ownership', 'revoke, owner, owner-2021, none', '"mine"'],
  ['node --coordinator ws://a:1 --ownership 2021', '--ownership', 'owner-2021', '"2021"'],
  ['demo --ownership all', '--ownership', '"all"'],
  ['run p.js --coordinator ws://a:1 --ownership none', '--coordinator', '--ownership', 'both'],
  ['smi extra', 'arguments', '1'],
  ['smi --coordinator http://a:1', '--coordinator', 'ws://'],
  ['dmabuf --watch', '--watch'],
  ['evict --device 0', '--host <n>', 'none', 'HLSIM_EVICT_HOST'],
  ['evict --host 0', '--device <n>', 'none', 'HLSIM_EVICT_DEVICE'],
  ['evict --host one --device 0', '--host', 'whole number', '"one"'],
  ['evict --host 0 --device 64', '--device', 'from 0 to 63', '"64"'],
  ['evict --host 0 --device 0 --grace soon', '--grace', '"soon"'],
  ['evict --host 0 --device 0 --grace 61s', '--grace', 'at most 60s', '61s'],
  ['evict --host 0 --device 0 --retries 101', '--retries', 'from 0 to 100', '"101"'],
  ['trace', '--output <file>', 'none', 'HLSIM_TRACE_OUTPUT'],
  ['trace --output /proc/x.json', '--output', '/proc/x.json'],
  ['trace --output x --seconds soon', '--seconds', '"soon"'],
  ['trace --output x --trace-calls 4-2', '--trace-calls', '5-8', '"4-2"'],
  ['run p.js --hosts 2 --trace-calls 0', '--trace-calls', 'counted from 1', '"0"'],
  ['run p.js --hosts 2 --trace-calls 3', '--trace <file>', '--trace-calls', 'none'],
  ['bench all_reduce --hosts 2 --trace-every 2', '--trace <file>', '--trace-every', 'none'],
  ['bench all_reduce --hosts 2 --trace /proc/x.json', '--trace', '/proc/x.json'],
  ['bench all_reduce --hosts 2 --trace x --trace-events-max 500001', 'to 500000', '"500001"'],
];

const COMMANDS = [
  ...['bench', 'coordinator', 'demo', 'dmabuf', 'down', 'evict', 'node', 'ps', 'run', 'smi'],
  ...['cost', 'export', 'scenario', 'show', 'trace', 'train', 'up'],
];
/** Commands of a command. */
const PARTS = ['scenario list', 'scenario run'];

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('a wrong command line', () => {
  it.each(WRONG)('hlsim %s', async (commandLine, ...words) => {
    const { exitCode, results, notes } = await record(...commandLine.split(' '));
    expect(exitCode).toBe(2);
    expect(results).toBe('');
    expect(notes).toMatch(/^hlsim: [A-Z].* \[HLSIM_USAGE\]$/);
    expect(notes).not.toContain('\n');
    for (const word of words) expect(notes).toContain(word);
  });

  it('hlsim without a command prints the help on stderr and ends with 2', async () => {
    const { exitCode, results, notes } = await record();
    expect(exitCode).toBe(2);
    expect(results).toBe('');
    for (const command of COMMANDS) expect(notes).toContain(`  ${command} `);
  });
});

describe('an environment variable stands for a flag', () => {
  it('its value is read like the flag, and the error names both', async () => {
    vi.stubEnv('HLSIM_HOSTS', 'many');
    const { exitCode, notes } = await record('bench', 'all_reduce');
    expect(exitCode).toBe(2);
    expect(notes).toContain('HLSIM_HOSTS (the default of --hosts)');
    expect(notes).toContain('"many"');
  });

  it('the command line wins over it', async () => {
    vi.stubEnv('HLSIM_HOSTS', '3');
    const { notes } = await record('bench', 'all_reduce', '--hosts', 'x');
    expect(notes).toContain('Expected --hosts to be');
  });

  it('an empty one counts as none', async () => {
    vi.stubEnv('HLSIM_HOSTS', '');
    const { notes } = await record('coordinator');
    expect(notes).toContain('but found none');
  });

  it('one for a switch is 1 or 0', async () => {
    vi.stubEnv('HLSIM_EXIT_WITH_PARENT', 'perhaps');
    const { exitCode, notes } = await record('coordinator', '--hosts', '1');
    expect(exitCode).toBe(2);
    expect(notes).toContain('HLSIM_EXIT_WITH_PARENT');
  });
});

describe('help', () => {
  it.each([...COMMANDS, ...PARTS])(
    'hlsim %s --help describes its flags and shows examples',
    async (command) => {
      const { exitCode, results, notes } = await record(...command.split(' '), '--help');
      expect(exitCode).toBe(0);
      expect(notes).toBe('');
      expect(results).toContain(`Usage: hlsim ${command}`);
      expect(results).toMatch(new RegExp(`Examples:\n  (HLSIM_\\w+=\\w+ )?hlsim ${command}`));
    },
  );

  it('every flag of every command names its environment variable', async () => {
    for (const command of [...COMMANDS, ...PARTS]) {
      const { results } = await record(...command.split(' '), '--help');
      const flags = [...results.matchAll(/^ {2}(?:-\w, )?--([\w-]+)[^[]*\[?([^\]]*)\]/gm)];
      for (const [, flag = '', bracket = ''] of flags) {
        if (flag !== 'help')
          expect(`${command} --${flag}: ${bracket}`).toMatch(/(?:HLSIM_[A-Z_]+|FI_PROVIDER)$/);
      }
    }
  });

  it('hlsim --version prints the version alone', async () => {
    const { exitCode, results } = await record('--version');
    expect(exitCode).toBe(0);
    expect(results).toMatch(/^\d+\.\d+\.\d+$/);
  });
});

describe('a program that cannot be read', () => {
  it('is told before any process starts', async () => {
    const { exitCode, notes } = await record('run', 'no-such-program.js', '--hosts', '2');
    expect(exitCode).toBe(1);
    expect(notes).toMatch(
      /^hlsim: Expected a program at .*no-such-program\.js.*\[HLSIM_PROGRAM_UNREADABLE\]$/,
    );
  });
});

describe('a state directory that cannot be made', () => {
  it('is told by hlsim up', async () => {
    const { exitCode, notes } = await record('up', '--state-dir', '/dev/null/state');
    expect(exitCode).toBe(1);
    expect(notes).toMatch(/^hlsim: .*\/dev\/null\/state.*--state-dir \[HLSIM_CONFIG\]$/);
  });

  it('is told by hlsim up, also where nothing can be made at all', async () => {
    const { exitCode, notes } = await record('up', '--state-dir', '/proc/state');
    expect(exitCode).toBe(1);
    expect(notes).toMatch(/^hlsim: .*\/proc\/state.*--state-dir \[HLSIM_CONFIG\]$/);
  });
});

describe('a state directory without a cluster', () => {
  const commands = ['ps', 'down', 'smi', 'dmabuf', 'evict --host 0 --device 0'];
  it.each(commands)('hlsim %s says so', async (command) => {
    const directory = mkdtempSync(join(tmpdir(), 'hlsim-test-'));
    try {
      const { exitCode, notes } = await record(...command.split(' '), '--state-dir', directory);
      expect(exitCode).toBe(1);
      expect(notes).toContain(directory);
      expect(notes).toContain('[HLSIM_CLUSTER_ABSENT]');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
