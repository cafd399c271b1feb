/** How `--progress` reaches the ranks of a job. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { progressEnvironment } from '../../cli/progress.ts';
import { trainEnvironment } from '../../cli/train-run.ts';
import { callSettings } from '../../node/hccl/settings.ts';
import { record } from './recording-terminal.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

const COMMANDS = [
  ['bench', 'all_reduce'],
  ['run', import.meta.filename],
  ['train', 'digits'],
] as const;

describe('--progress', () => {
  it.each(COMMANDS)('of hlsim %s says what the values mean', async (command) => {
    const { results } = await record(command, '--help');
    const words = results.replace(/\s+/g, ' ');
    expect(words).toContain('--progress <manual|auto> who moves the bytes of collectives over ws');
    expect(words).toContain('[HLSIM_PROGRESS]');
  });

  it.each(COMMANDS)('of hlsim %s refuses other values', async (...line) => {
    const { exitCode, notes } = await record(...line, '--hosts', '1', '--progress', 'perhaps');
    expect(exitCode).toBe(2);
    expect(notes).toContain('Expected --progress to be one of manual, auto but found "perhaps"');
  });

  it.each(COMMANDS)('of hlsim %s may be set by HLSIM_PROGRESS', async (...line) => {
    vi.stubEnv('HLSIM_PROGRESS', 'perhaps');
    const { exitCode, notes } = await record(...line, '--hosts', '1');
    expect(exitCode).toBe(2);
    expect(notes).toContain('Expected HLSIM_PROGRESS (the default of --progress) to be one of');
  });

  it('is what HCCL reads on every rank, which takes manual where nobody says', () => {
    expect(callSettings(progressEnvironment({ progress: 'auto' })).progress).toBe('auto');
    expect(callSettings(progressEnvironment({ progress: undefined })).progress).toBe('manual');
  });
});

describe('a training', () => {
  const provider = undefined;

  it('with overlap has its host move the bytes, unless the user says otherwise', () => {
    const overlap = 'on';
    expect(trainEnvironment({ provider, progress: undefined, overlap })).toEqual({
      HLSIM_PROGRESS: 'auto',
    });
    expect(trainEnvironment({ provider: 'ws', progress: 'manual', overlap })).toEqual({
      FI_PROVIDER: 'ws',
      HLSIM_PROGRESS: 'manual',
    });
  });

  it('without overlap leaves it to HCCL', () => {
    expect(trainEnvironment({ provider, progress: undefined, overlap: 'off' })).toEqual({});
  });
});
