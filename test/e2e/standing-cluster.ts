/** `hlsim up` under a state directory of the test's own, and what belongs to it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Command, type Ended, TestProcesses } from './command.ts';

export class StandingCluster {
  readonly processes = new TestProcesses();
  /** The state directory; it does not exist before `up`. */
  readonly state = join(mkdtempSync(join(tmpdir(), 'hlsim-test-')), 'state');

  /** Runs a command that knows the state directory. */
  here(command: string, ...args: string[]): Promise<Command & Ended> {
    return this.processes.run([command, ...args, '--state-dir', this.state]);
  }

  /** Starts a cluster; resolves to the variables that `hlsim up` says to export. */
  async up(...args: string[]): Promise<Record<string, string>> {
    const { code, stdout, stderr } = await this.here('up', ...args);
    expect(code, stderr).toBe(0);
    const exported = /export (HLSIM_COORDINATOR)=(\S+) (HLSIM_TOKEN)=(\S+)/.exec(stdout) ?? [];
    const [, url = '', address = '', token = '', secret = ''] = exported;
    return { [url]: address, [token]: secret };
  }

  /** After the test: no process may be left. */
  async end(): Promise<void> {
    await this.processes.expectNone();
    rmSync(join(this.state, '..'), { recursive: true });
  }
}
