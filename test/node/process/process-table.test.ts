import { describe, expect, it } from 'vitest';
import * as api from '../../../node/process/process-api.ts';
import { ProcessTable } from '../../../node/process/process-table.ts';
import { exitCodeOf, isSignal } from '../../../node/process/signal.ts';
import { ProcessWorld } from './process-world.ts';

const memory = new SharedArrayBuffer(8);

function table() {
  const processes = new ProcessTable();
  const create = (containerId: string, parentPid?: number) =>
    processes.create({ containerId, memory, ...(parentPid !== undefined && { parentPid }) });
  return { processes, create };
}

describe('ProcessTable', () => {
  it('gives each process a pid of its own, also after others have gone', () => {
    const { processes, create } = table();
    const first = create('a');
    first.exit();
    const second = create('a');
    expect(second.pid).toBeGreaterThan(first.pid);
    expect([processes.get(first.pid), processes.get(second.pid)]).toEqual([undefined, second]);
    expect(processes.list()).toEqual([second]);
  });

  it('a process that ended stays, as a zombie, until its parent has waited for it', () => {
    const { processes, create } = table();
    const parent = create('a');
    const child = create('a', parent.pid);
    child.exit({ exitCode: 3 });
    expect(processes.get(child.pid)?.exitStatus).toEqual({ exitCode: 3 });
    expect(processes.describe().map(({ state }) => state)).toEqual(['running', 'zombie']);
    processes.reap(parent.pid);
    expect(processes.get(parent.pid), 'a running process is not reaped').toBe(parent);
    processes.reap(child.pid);
    expect(processes.get(child.pid)).toBeUndefined();
  });

  it('children of a process that ended live on without a parent; its zombies go', () => {
    const { processes, create } = table();
    const parent = create('a');
    const alive = create('a', parent.pid);
    const dead = create('a', parent.pid);
    const grandchild = create('a', alive.pid);
    dead.exit();
    parent.exit();
    expect(processes.list()).toEqual([alive, grandchild]);
    expect([alive.state, alive.parentPid, grandchild.parentPid]).toEqual([
      ...['running', undefined, alive.pid],
    ]);
    alive.exit();
    expect(processes.list(), 'nobody waits for it').toEqual([grandchild]);
  });

  it('SIGKILL ends a process before it returns; ESRCH: there is no such process', () => {
    const { processes, create } = table();
    const one = create('a');
    expect(processes.kill(one.pid, 'SIGKILL')).toBeUndefined();
    expect([one.state, one.exitStatus]).toEqual(['exited', { signal: 'SIGKILL' }]);
    expect(processes.kill(one.pid, 'SIGKILL')).toBe('ESRCH');
    expect(processes.kill(7, 'SIGTERM')).toBe('ESRCH');
  });

  it('a signal to a zombie succeeds and changes nothing', () => {
    const { processes, create } = table();
    const child = create('a', create('a').pid);
    child.exit({ exitCode: 3 });
    expect(processes.kill(child.pid, 'SIGKILL')).toBeUndefined();
    expect(child.exitStatus).toEqual({ exitCode: 3 });
  });

  it('kills a group, and no other', () => {
    const processes = new ProcessTable();
    const leader = processes.create({ containerId: 'a', memory });
    const group = { processGroup: leader.processGroup, memory };
    const member = processes.create({ containerId: 'b', parentPid: leader.pid, ...group });
    const other = processes.create({ containerId: 'a', memory });
    processes.killGroup(leader.processGroup);
    expect([leader.state, member.state, other.state]).toEqual(['exited', 'exited', 'running']);
    expect(processes.list()).toEqual([other]);
  });

  it('a container is there while a process of it runs', () => {
    const { processes, create } = table();
    const parent = create('a');
    const child = create('b', parent.pid);
    expect([processes.hasContainer('a'), processes.hasContainer('b')]).toEqual([true, true]);
    child.exit();
    expect([processes.hasContainer('b'), processes.hasContainer('c')]).toEqual([false, false]);
  });

  it('knows which descriptors of which processes name a file, and all of them by kind', async () => {
    const world = new ProcessWorld();
    const a = world.process({ containerId: 'a', program: '/a.js' });
    const b = world.process({ containerId: 'b', privileged: true });
    const fd = world.install(a.process, 'one', { kind: 'dmabuf' });
    await world.run(a.channel.call('dup', { fd }));
    world.install(b.process, 'two', { kind: 'dmabuf' });
    world.install(b.process, 'three', { kind: 'accel' });
    const file = a.process.fds.lookup(fd);
    if (typeof file === 'string') throw new Error(file);
    const ofA = { pid: a.process.pid, containerId: 'a' };
    const ofB = { pid: b.process.pid, containerId: 'b' };
    expect(world.processes.descriptorsOf(file)).toEqual([
      { ...ofA, fd: 0 },
      { ...ofA, fd: 1 },
    ]);
    expect(world.processes.describe()).toEqual([
      {
        ...{ ...ofA, parentPid: null, program: '/a.js', state: 'running', privileged: false },
        descriptors: { dmabuf: [0, 1] },
      },
      {
        ...{ ...ofB, parentPid: null, program: '', state: 'running', privileged: true },
        descriptors: { dmabuf: [0], accel: [1] },
      },
    ]);
  });
});

describe('descriptorsOf()', () => {
  it('knows who keeps a file that is in flight, also in a socket that is in flight itself', async () => {
    const world = new ProcessWorld();
    const giver = world.process({ containerId: 'a' });
    const taker = world.process({ containerId: 'b' });
    const [near, far] = await world.run(api.socketPair(giver.channel));
    const [inner, outer] = await world.run(api.socketPair(giver.channel));
    const socket = giver.process.fds.lookup(far);
    const fd = world.install(giver.process, 'file');
    const file = giver.process.fds.lookup(fd);
    if (typeof socket === 'string' || typeof file === 'string') throw new Error('no file');
    taker.process.fds.install(taker.process.fds.reserve() as number, socket.get());
    await api.sendMessage(giver.channel, inner, '', [fd]);
    await api.sendMessage(giver.channel, near, '', [outer]);
    const ofTaker = { pid: taker.process.pid, containerId: 'b', fd: 0 };
    const ofGiver = { pid: giver.process.pid, containerId: 'a' };
    expect(world.processes.descriptorsOf(file)).toEqual([
      { ...ofGiver, fd: far },
      { ...ofGiver, fd: outer },
      { ...ofGiver, fd },
      ofTaker,
    ]);
    giver.process.exit();
    expect([world.processes.descriptorsOf(file), world.log]).toEqual([[ofTaker], []]);
    taker.process.signal('SIGKILL');
    expect([world.processes.descriptorsOf(file), world.log]).toEqual([
      [],
      ['file closed', 'file released'],
    ]);
  });
});

describe('signals', () => {
  it('SIGTERM ends a process without a handler, and is handed to one that has it', () => {
    const { create } = table();
    const plain = create('a');
    plain.signal('SIGTERM');
    expect(plain.exitStatus).toEqual({ signal: 'SIGTERM' });
    const handling = create('a');
    const heard: string[] = [];
    handling.onSignal((signal) => heard.push(signal));
    handling.terminationAction = 'handle';
    handling.signal('SIGTERM');
    handling.signal('SIGTERM');
    expect([handling.state, heard]).toEqual(['running', ['SIGTERM', 'SIGTERM']]);
    handling.signal('SIGKILL');
    expect([handling.exitStatus, heard.length]).toEqual([{ signal: 'SIGKILL' }, 2]);
  });

  it('the first end of a process is its end', () => {
    const { create } = table();
    const one = create('a');
    one.exit({ exitCode: 4 });
    one.exit({ exitCode: 5 });
    one.signal('SIGKILL');
    expect(one.exitStatus).toEqual({ exitCode: 4 });
  });

  it('a status shows as the exit code that a shell gives', () => {
    expect(exitCodeOf({ exitCode: 3 })).toBe(3);
    expect([exitCodeOf({ signal: 'SIGKILL' }), exitCodeOf({ signal: 'SIGTERM' })]).toEqual([
      137, 143,
    ]);
    expect(['SIGKILL', 'SIGTERM', 'SIGHUP', 'toString', 9].map(isSignal)).toEqual([
      ...[true, true, false, false, false],
    ]);
  });
});
