/** What of the shell's environment `hlsim run` hands to HCCL on every rank. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { jobEnvironment } from '../../cli/job-environment.ts';
import { record } from './recording-terminal.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('jobEnvironment()', () => {
  it('hands on what HCCL reads, and nothing else of the shell', async () => {
    const meant = {
      HLSIM_ALGORITHM: 'hierarchical(ring,ring)',
      HLSIM_CHANNELS: '2',
      HLSIM_SLICE_BYTES: '4096',
      HCCL_STRICT: '1',
      HCL_FABRIC_FLUSH: '1',
      FI_PROVIDER: 'ws',
      HLSIM_PROGRESS: 'auto',
    };
    for (const [name, value] of Object.entries({ ...meant, HLSIM_TUNING: '', OTHER: '1' })) {
      vi.stubEnv(name, value);
    }
    expect(await jobEnvironment()).toEqual(meant);
  });

  it('reads the table of HLSIM_TUNING_FILE', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'hlsim-test-'));
    try {
      const path = join(directory, 'tuning.yaml');
      writeFileSync(
        path,
        'rules:\n  - collective: all_reduce\n    algorithm: ring\n    channels: 3\n',
      );
      vi.stubEnv('HLSIM_TUNING_FILE', path);
      const { HLSIM_TUNING = '' } = await jobEnvironment();
      expect(JSON.parse(HLSIM_TUNING)).toMatchObject({
        rules: [{ collective: 'allReduce', algorithm: 'ring', channels: 3 }],
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it.each([
    ['HLSIM_ALGORITHM', 'magic', 'HLSIM_USAGE', 2],
    ['HLSIM_CHANNELS', '99', 'HLSIM_CONFIG', 1],
    ['HLSIM_SLICE_BYTES', '4K', 'HLSIM_CONFIG', 1],
    ['HLSIM_TUNING', 'tuning.yaml', 'HLSIM_CONFIG', 1],
    ['HLSIM_TUNING_FILE', '/nowhere/at/all.yaml', 'HLSIM_PROGRAM_UNREADABLE', 1],
    ['HCCL_STRICT', 'perhaps', 'HLSIM_CONFIG', 1],
    ['FI_PROVIDER', 'efa', 'HLSIM_USAGE', 2],
    ['HLSIM_PROGRESS', 'perhaps', 'HLSIM_USAGE', 2],
  ])('hlsim run tells a wrong %s before any process starts', async (name, value, code, exit) => {
    vi.stubEnv(name, value);
    const { exitCode, notes } = await record('run', import.meta.filename, '--hosts', '1');
    expect([exitCode, notes]).toEqual([exit, expect.stringContaining(`[${code}]`)]);
    expect(notes.split('\n')).toHaveLength(1);
  });
});
