/** What becomes of a command whose results nobody takes to the end. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { HLSIM } from './command.ts';

/** Runs a line of sh with `hlsim` as `$0`. */
function shell(line: string): { readonly status: number | null; readonly stderr: string } {
  const { status, stderr } = spawnSync('sh', ['-c', line, HLSIM], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, stderr };
}

describe('a command that starts no process', () => {
  it('ends as SIGPIPE would have it, and says nothing, when the reader of its results goes', () => {
    // More than a pipe holds.
    const show = '"$0" show all_gather --algorithm ring --ranks 64 --format msccl';
    const { status, stderr } = shell(
      `{ ${show}; echo "code $?" >&2; } | { read -r line; exec <&-; wait; }`,
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: 'code 141\n' });
  });

  it('says so when its results cannot be written', () => {
    const { status, stderr } = shell('"$0" show all_reduce --algorithm ring > /dev/full');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^hlsim: Expected stdout to .*ENOSPC.* \[HLSIM_CONFIG\]\n$/);
  });
});
