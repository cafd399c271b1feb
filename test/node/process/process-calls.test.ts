import { describe, expect, it } from 'vitest';
import { deferred } from '../../../common/deferred.ts';
import * as api from '../../../node/process/process-api.ts';
import { PROCESSES_MAX } from '../../../node/process/process-table.ts';
import type { SystemCallValue } from '../../../node/process/system-call.ts';
import { ProcessWorld } from './process-world.ts';

const forever = () => new Promise<number>(() => undefined);

describe('spawn', () => {
  it('runs a program as a child with its arguments, the parent’s variables and its own', async () => {
    const world = new ProcessWorld();
    const seen: object[] = [];
    world.programs.set('/child.js', async ({ process, channel, environment, ...start }) => {
      const { containerId, parentPid } = process;
      seen.push({ containerId, parentPid, environment, arguments: start.arguments });
      return Number(await api.getppid(channel)) === parentPid ? 5 : 6;
    });
    const { process, channel } = world.leader({ containerId: 'c' }, { RANK: '0', MODE: 'a' });
    const options = { arguments: ['x', 'y'], environment: { MODE: 'b' } };
    const pid = await world.run(api.spawnProcess(channel, { program: '/child.js', ...options }));
    expect(await world.run(api.getpid(channel))).toBe(process.pid);
    expect(pid).toBeGreaterThan(process.pid);
    expect(await world.run(api.waitProcess(channel, pid, 1000))).toEqual({ exitCode: 5 });
    const environment = { RANK: '0', MODE: 'b' };
    expect(seen).toEqual([
      { containerId: 'c', parentPid: process.pid, environment, arguments: ['x', 'y'] },
    ]);
  });

  it('a file URL names a program by its path', async () => {
    const world = new ProcessWorld();
    world.programs.set('/child.js', async () => 0);
    const { channel } = world.leader();
    const pid = await world.run(
      api.spawnProcess(channel, { program: new URL('file:///child.js') }),
    );
    expect(world.processes.get(pid)?.program).toBe('/child.js');
  });

  it('the child has the descriptors that are named, from 0, and no others', async () => {
    const world = new ProcessWorld();
    world.programs.set('/child.js', forever);
    const { process, channel } = world.leader();
    const fds = ['a', 'b', 'c'].map((name) => world.install(process, name, { kind: name }));
    const named = [2, 0].map((index) => fds[index] as number);
    const pid = await world.run(api.spawnProcess(channel, { program: '/child.js', fds: named }));
    const child = world.processes.get(pid);
    expect(child?.fds.entries().map(([fd, file]) => [fd, file.operations.kind])).toEqual([
      [0, 'c'],
      [1, 'a'],
    ]);
    process.exit();
    expect(world.log).toEqual(['b closed', 'b released']);
    child?.exit();
    expect(world.log.slice(2)).toEqual(['c closed', 'c released', 'a closed', 'a released']);
  });

  it('a program that crashes is an exit with code 1, and its descriptors close', async () => {
    const world = new ProcessWorld();
    world.programs.set('/child.js', () => Promise.reject(new Error('oh')));
    const { process, channel } = world.leader();
    const fd = world.install(process, 'file');
    const pid = await world.run(api.spawnProcess(channel, { program: '/child.js', fds: [fd] }));
    await world.run(api.closeDescriptor(channel, fd));
    expect(await world.run(api.waitProcess(channel, pid, 1000))).toEqual({ exitCode: 1 });
    expect(world.log).toEqual(['file closed', 'file released']);
  });

  it('EPERM: the container of others; a new one, one’s own, and any for the privileged are fine', async () => {
    const world = new ProcessWorld();
    world.programs.set('/child.js', forever);
    const { channel } = world.leader({ containerId: 'mine' });
    const privileged = world.leader({ containerId: 'admin', privileged: true });
    world.process({ containerId: 'theirs' });
    const into = (containerId: string, by = channel) =>
      world.codeOf(api.spawnProcess(by, { program: '/child.js', containerId }));
    expect(await into('theirs')).toBe('EPERM');
    expect(await into('mine')).toBe('no error');
    expect(await into('new')).toBe('no error');
    expect(await into('new'), 'it is there now, and not the caller’s').toBe('EPERM');
    expect(await into('theirs', privileged.channel)).toBe('no error');
    expect(world.processes.list().at(-1)?.privileged).toBe(true);
  });

  it('EAGAIN: a host full of processes', async () => {
    const world = new ProcessWorld();
    world.programs.set('/child.js', forever);
    const { channel } = world.leader();
    while (world.processes.count < PROCESSES_MAX) world.process();
    expect(await world.codeOf(api.spawnProcess(channel, { program: '/child.js' }))).toBe('EAGAIN');
    expect(world.processes.count).toBe(PROCESSES_MAX);
  });

  it('EBADF, ENOENT, EINVAL: nothing has been started then', async () => {
    const world = new ProcessWorld();
    const { process, channel } = world.leader();
    const fd = world.install(process, 'file');
    const good = { program: '/c', arguments: [], environment: {}, fds: [] };
    const wrong: [string, SystemCallValue][] = [
      ['EBADF', { ...good, fds: [fd, 9] }],
      ['EBADF', { ...good, fds: ['0'] }],
      ['ENOENT', { ...good, program: 'c.js' }],
      ['EINVAL', { ...good, program: 1 }],
      ['EINVAL', { ...good, arguments: [1] }],
      ['EINVAL', { ...good, arguments: Array.from({ length: 1025 }, () => '') }],
      ['EINVAL', { ...good, environment: { A: 1 } }],
      ['EINVAL', { ...good, environment: null }],
      ['EINVAL', { ...good, containerId: '' }],
      ['EINVAL', { ...good, containerId: 'x'.repeat(129) }],
      ['EINVAL', null],
    ];
    for (const [code, argument] of wrong) {
      expect(await world.codeOf(channel.call('spawn', argument))).toBe(code);
    }
    expect(world.processes.count).toBe(1);
    process.exit();
    expect(world.log).toEqual(['file closed', 'file released']);
  });
});

describe('waitpid', () => {
  it('waits for the end; ETIMEDOUT while the child runs', async () => {
    const world = new ProcessWorld();
    const gate = deferred<number>();
    world.programs.set('/child.js', () => gate.promise);
    const { channel } = world.leader();
    const pid = await world.run(api.spawnProcess(channel, { program: '/child.js' }));
    expect(await world.codeOf(api.waitProcess(channel, pid, 0))).toBe('ETIMEDOUT');
    expect(await world.codeOf(api.waitProcess(channel, pid, 500))).toBe('ETIMEDOUT');
    expect(world.scheduler.clock.now()).toBe(500);
    world.scheduler.after(100, () => gate.resolve(300));
    expect(await world.run(api.waitProcess(channel, pid, 1000))).toEqual({ exitCode: 300 & 0xff });
    expect([world.scheduler.clock.now(), world.processes.get(pid)]).toEqual([600, undefined]);
  });

  it('a child that was killed has its signal as its status', async () => {
    const world = new ProcessWorld();
    world.programs.set('/child.js', forever);
    const { channel } = world.leader();
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const pid = await world.run(api.spawnProcess(channel, { program: '/child.js' }));
      await world.run(api.killProcess(channel, pid, signal));
      expect(await world.run(api.waitProcess(channel, pid, 1000))).toEqual({ signal });
    }
  });

  it('ECHILD: no child of the caller, or one that was waited for; of two waits one gets it', async () => {
    const world = new ProcessWorld();
    world.programs.set('/child.js', forever);
    const { channel } = world.leader();
    const stranger = world.process();
    const pid = await world.run(api.spawnProcess(channel, { program: '/child.js' }));
    const wait = (by = channel) => world.codeOf(api.waitProcess(by, pid, 1000));
    expect(await wait(stranger.channel)).toBe('ECHILD');
    expect(await world.codeOf(api.waitProcess(channel, 1, 1000))).toBe('ECHILD');
    const both = [wait(), wait()];
    world.processes.kill(pid, 'SIGKILL');
    expect((await Promise.all(both)).sort()).toEqual(['ECHILD', 'no error']);
    expect(await wait()).toBe('ECHILD');
  });

  it('EINTR: the caller ends first', async () => {
    const world = new ProcessWorld();
    world.programs.set('/child.js', forever);
    const { process, channel } = world.leader();
    const pid = await world.run(api.spawnProcess(channel, { program: '/child.js' }));
    const waiting = world.codeOf(api.waitProcess(channel, pid, 1000));
    process.exit();
    expect(await waiting).toBe('EINTR');
    expect(world.processes.get(pid)?.state, 'its child lives on').toBe('running');
  });

  it('returns when what the closing of the child’s descriptors brought about is done', async () => {
    const world = new ProcessWorld();
    world.programs.set('/child.js', forever);
    const { process, channel } = world.leader();
    const gate = deferred<void>();
    const fd = world.install(process, 'file', { settled: () => gate.promise });
    const pid = await world.run(api.spawnProcess(channel, { program: '/child.js', fds: [fd] }));
    process.fds.close(fd);
    const waiting = api.waitProcess(channel, pid, 1000);
    world.processes.kill(pid, 'SIGKILL');
    const order: string[] = [];
    world.scheduler.after(2000, () => {
      order.push('settled');
      gate.resolve();
    });
    await world.run(waiting.then(() => order.push('waited')));
    expect(order).toEqual(['settled', 'waited']);
  });
});

describe('kill', () => {
  it('EPERM: a process of another container, unless the caller is privileged; its own are fine', async () => {
    const world = new ProcessWorld();
    const a = world.process({ containerId: 'a' });
    const b = world.process({ containerId: 'b' });
    const admin = world.process({ containerId: 'admin', privileged: true });
    const neighbour = world.process({ containerId: 'a' });
    expect(await world.codeOf(api.killProcess(a.channel, b.process.pid))).toBe('EPERM');
    expect(b.process.state).toBe('running');
    await world.run(api.killProcess(a.channel, neighbour.process.pid, 'SIGKILL'));
    await world.run(api.killProcess(admin.channel, b.process.pid));
    expect([neighbour.process.exitStatus, b.process.exitStatus]).toEqual([
      { signal: 'SIGKILL' },
      { signal: 'SIGTERM' },
    ]);
  });

  it('ESRCH: no such process; EINVAL: no such signal', async () => {
    const world = new ProcessWorld();
    const { process, channel } = world.process();
    expect(await world.codeOf(api.killProcess(channel, 1))).toBe('ESRCH');
    for (const signal of ['SIGHUP', 'toString', 9]) {
      const argument = { pid: process.pid, signal };
      expect(await world.codeOf(channel.call('kill', argument))).toBe('EINVAL');
    }
    expect(process.state).toBe('running');
  });

  it('a process that kills itself gets no answer: its descriptors are closed', async () => {
    const world = new ProcessWorld();
    const { process, channel } = world.process();
    world.install(process, 'file');
    expect(await world.codeOf(api.killProcess(channel, process.pid))).toBe('EINTR');
    expect(world.log).toEqual(['file closed', 'file released']);
  });

  it('onTermination(): the handler runs instead; SIGKILL is not handled', async () => {
    const world = new ProcessWorld();
    const { process, channel } = world.process();
    let handled = 0;
    await world.run(api.onTermination(channel, () => handled++));
    world.processes.kill(process.pid, 'SIGTERM');
    expect([handled, process.state]).toEqual([1, 'running']);
    const wrong = { signal: 'SIGKILL', action: 'handle' };
    expect(await world.codeOf(channel.call('sigaction', wrong))).toBe('EINVAL');
    const unknown = { signal: 'SIGTERM', action: 'ignore' };
    expect(await world.codeOf(channel.call('sigaction', unknown))).toBe('EINVAL');
    await world.run(channel.call('sigaction', { signal: 'SIGTERM', action: 'default' }));
    world.processes.kill(process.pid, 'SIGTERM');
    expect([handled, process.exitStatus]).toEqual([1, { signal: 'SIGTERM' }]);
    const none = { call: channel.call };
    expect(await world.codeOf(api.onTermination(none, () => undefined))).toBe('ENOSYS');
  });
});

describe('what is left of a program whose process has ended', () => {
  it('can neither spawn nor kill', async () => {
    const world = new ProcessWorld();
    const { process, channel } = world.leader();
    const other = world.process();
    process.exit();
    expect(await world.codeOf(api.spawnProcess(channel, { program: '/child.js' }))).toBe('EINTR');
    expect(await world.codeOf(api.killProcess(channel, other.process.pid))).toBe('EINTR');
    expect(world.processes.list()).toEqual([other.process]);
  });
});

describe('exit', () => {
  it('ends the process at once with eight bits of code', async () => {
    const world = new ProcessWorld();
    const { process, channel } = world.process();
    world.install(process, 'file');
    expect(await world.codeOf(api.exitProcess(channel, 258))).toBe('EINTR');
    expect([process.exitStatus, world.log]).toEqual([
      { exitCode: 2 },
      ['file closed', 'file released'],
    ]);
  });
});

describe('a process group', () => {
  it('is a leader with all that it and its children have spawned, and ends as a whole', async () => {
    const world = new ProcessWorld();
    const pids: number[] = [];
    world.programs.set('/grandchild.js', forever);
    world.programs.set('/child.js', async ({ channel, output }) => {
      await output('stdout', 'child\n');
      pids.push(await api.spawnProcess(channel, { program: '/grandchild.js' }));
      return forever();
    });
    const { process, channel, printed } = world.leader();
    const other = world.leader();
    pids.push(
      await world.run(api.spawnProcess(channel, { program: '/child.js', containerId: 'inner' })),
    );
    expect([printed, other.printed]).toEqual([['child\n'], []]);
    expect(pids.map((pid) => world.processes.get(pid)?.state)).toEqual(['running', 'running']);
    process.exit();
    expect(pids.map((pid) => world.processes.get(pid)?.state)).toEqual(['running', 'running']);
    await world.run(world.runner.endGroup(process.processGroup));
    expect(world.processes.list()).toEqual([other.process]);
  });

  it('a child’s end leaves the group alone', async () => {
    const world = new ProcessWorld();
    world.programs.set('/child.js', async () => 0);
    const { process, channel } = world.leader();
    const pid = await world.run(api.spawnProcess(channel, { program: '/child.js' }));
    await world.run(api.waitProcess(channel, pid, 1000));
    expect(process.state).toBe('running');
  });
});
