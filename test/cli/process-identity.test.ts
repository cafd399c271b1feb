import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { describe, expect, it } from 'vitest';
import { identityOf, isAlive, signalProcess } from '../../cli/process-identity.ts';
import { defined } from '../../common/assert.ts';

describe('a process identity', () => {
  it('is alive while its process runs, and dead afterwards', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    await once(child, 'spawn');
    const identity = defined(identityOf(defined(child.pid, 'a pid')), 'the child');
    expect(isAlive(identity)).toBe(true);
    signalProcess(identity, 'SIGKILL');
    await once(child, 'exit');
    expect(isAlive(identity)).toBe(false);
    expect(() => signalProcess(identity, 'SIGKILL')).not.toThrow();
  });

  it('of a number that was given out again is another one', () => {
    const mine = defined(identityOf(process.pid), 'this process');
    const earlier = { pid: process.pid, startTime: '1' };
    expect(isAlive(mine)).toBe(true);
    expect(isAlive(earlier)).toBe(false);
    // If it were delivered, this test would end here.
    signalProcess(earlier, 'SIGKILL');
  });
});
