import { describe, expect, it } from 'vitest';
import { record } from './recording-terminal.ts';

describe('hlsim step', () => {
  it.each(['digits', 'transformer'])('predicts a step of examples/models/%s.yaml', async (name) => {
    const file = `examples/models/${name}.yaml`;
    const line = ['step', file, '--topology', 'hls2', '--boxes', '1,2'];
    const { exitCode, results, notes } = await record(...line, '--bucket-bytes', '1M,25M');
    expect(notes).toBe('');
    expect(exitCode).toBe(0);
    expect(results).toContain('VIRTUAL time');
    expect(results.match(/ %( \*)?$/gm)).toHaveLength(4);
  });

  it('ends with an error for a model that is not there', async () => {
    const { exitCode, notes } = await record('step', 'none.yaml', '--topology', 'hls2');
    expect(exitCode).not.toBe(0);
    expect(notes).toContain('none.yaml');
  });
});
