import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OPEN_FILES_MAX, OpenFile } from '../../../node/process/file.ts';
import * as api from '../../../node/process/process-api.ts';
import { FILES_IN_FLIGHT_MAX } from '../../../node/process/socket-registry.ts';
import {
  MESSAGE_BYTES_MAX,
  MESSAGE_FILES_MAX,
  MESSAGES_WAITING_MAX,
} from '../../../node/process/unix-socket.ts';
import { ProcessWorld } from './process-world.ts';

/** Two processes, each with one end of a pair as descriptor 0, and nothing else open. */
async function pair(world = new ProcessWorld()) {
  const a = world.process({ containerId: 'a' });
  const b = world.process({ containerId: 'b' });
  const [, other] = await world.run(api.socketPair(a.channel));
  const file = a.process.fds.lookup(other);
  if (typeof file === 'string') throw new Error(file);
  b.process.fds.install(b.process.fds.reserve() as number, file.get());
  await world.run(api.closeDescriptor(a.channel, other));
  return { world, a, b };
}

function text(message: { readonly data: Uint8Array } | null): string | null {
  return message === null ? null : new TextDecoder().decode(message.data);
}

describe('messages', () => {
  it('arrive in order, with their borders, both ways', async () => {
    const { world, a, b } = await pair();
    await api.sendMessage(a.channel, 0, 'one');
    await api.sendMessage(a.channel, 0, new Uint8Array([116, 119, 111]));
    await api.sendMessage(b.channel, 0, '');
    const got = [];
    for (let count = 0; count < 2; count++) {
      got.push(text(await world.run(api.receiveMessage(b.channel, 0, 10))));
    }
    expect(got).toEqual(['one', 'two']);
    expect(text(await world.run(api.receiveMessage(a.channel, 0, 10)))).toBe('');
  });

  it('are copies: what the sender changes afterwards is not sent', async () => {
    const { world, a, b } = await pair();
    const data = new Uint8Array(new SharedArrayBuffer(1));
    await api.sendMessage(a.channel, 0, data);
    data[0] = 9;
    const message = await world.run(api.receiveMessage(b.channel, 0, 0));
    expect(message?.data).toEqual(new Uint8Array(1));
    expect(message?.data.buffer).toBeInstanceOf(ArrayBuffer);
  });

  it('a receiver waits for one, at most its timeout: EAGAIN', async () => {
    const { world, a, b } = await pair();
    const waiting = api.receiveMessage(b.channel, 0, 1000);
    world.scheduler.after(500, () => void api.sendMessage(a.channel, 0, 'late'));
    expect(text(await world.run(waiting))).toBe('late');
    expect(world.scheduler.clock.now()).toBe(500);
    expect(await world.codeOf(api.receiveMessage(b.channel, 0, 1000))).toBe('EAGAIN');
    expect(world.scheduler.clock.now()).toBe(1500);
    expect(await world.codeOf(api.receiveMessage(b.channel, 0, 0))).toBe('EAGAIN');
  });

  it('two receivers get one each', async () => {
    const { world, a, b } = await pair();
    const waiting = [1, 2].map(() => api.receiveMessage(b.channel, 0, 1000));
    await api.sendMessage(a.channel, 0, 'x');
    await api.sendMessage(a.channel, 0, 'y');
    expect((await world.run(Promise.all(waiting))).map(text)).toEqual(['x', 'y']);
  });

  it('what was sent is received after the sender has ended, then comes the end', async () => {
    const { world, a, b } = await pair();
    await api.sendMessage(a.channel, 0, 'last words');
    a.process.exit();
    expect(text(await world.run(api.receiveMessage(b.channel, 0, 0)))).toBe('last words');
    expect(await world.run(api.receiveMessage(b.channel, 0, 1000))).toBeNull();
    expect(await world.codeOf(api.sendMessage(b.channel, 0, 'x'))).toBe('EPIPE');
  });

  it('a receiver that waits hears of the end', async () => {
    const { world, a, b } = await pair();
    const waiting = api.receiveMessage(b.channel, 0, 1000);
    a.process.signal('SIGKILL');
    expect(await world.run(waiting)).toBeNull();
    expect(world.scheduler.clock.now()).toBe(0);
  });

  it('ECONNRESET once for an end that left messages unread, then the end', async () => {
    const { world, a, b } = await pair();
    await api.sendMessage(a.channel, 0, 'unread');
    b.process.exit();
    expect(await world.codeOf(api.receiveMessage(a.channel, 0, 0))).toBe('ECONNRESET');
    expect(await world.run(api.receiveMessage(a.channel, 0, 0))).toBeNull();
  });

  it(`EAGAIN: ${MESSAGES_WAITING_MAX} messages wait; EMSGSIZE: more than ${MESSAGE_BYTES_MAX} bytes`, async () => {
    const { world, a, b } = await pair();
    const big = new Uint8Array(MESSAGE_BYTES_MAX + 1);
    expect(await world.codeOf(api.sendMessage(a.channel, 0, big))).toBe('EMSGSIZE');
    await api.sendMessage(a.channel, 0, big.subarray(1));
    for (let count = 1; count < MESSAGES_WAITING_MAX; count++) {
      await api.sendMessage(a.channel, 0, 'x');
    }
    expect(await world.codeOf(api.sendMessage(a.channel, 0, 'x'))).toBe('EAGAIN');
    await world.run(api.receiveMessage(b.channel, 0, 0));
    expect(await world.codeOf(api.sendMessage(a.channel, 0, 'x'))).toBe('no error');
  });

  it('EBADF, ENOTSOCK and EINVAL: what names no file, no socket, or is no message', async () => {
    const { world, a } = await pair();
    const other = world.install(a.process, 'file');
    const call = (name: string, argument: object) =>
      world.codeOf(a.channel.call(name, argument as never));
    expect(await call('sendmsg', { fd: 9, data: 'x', fds: [] })).toBe('EBADF');
    expect(await call('sendmsg', { fd: other, data: 'x', fds: [] })).toBe('ENOTSOCK');
    expect(await call('recvmsg', { fd: other, timeoutMs: 0 })).toBe('ENOTSOCK');
    expect(await call('recvmsg', { fd: 0, timeoutMs: 2 ** 31 })).toBe('EINVAL');
    expect(await call('sendmsg', { fd: 0, data: 5, fds: [] })).toBe('EINVAL');
    expect(await call('sendmsg', { fd: 0, data: 'x', fds: [9] })).toBe('EBADF');
    expect(await call('sendmsg', { fd: 0, data: 'x', fds: ['0'] })).toBe('EBADF');
    const fds = Array.from({ length: MESSAGE_FILES_MAX + 1 }, () => 0);
    expect(await call('sendmsg', { fd: 0, data: 'x', fds })).toBe('EINVAL');
  });
});

describe('open files that travel (SCM_RIGHTS)', () => {
  it('the receiver gets descriptors of its own of the same open file', async () => {
    const { world, a, b } = await pair();
    const fd = world.install(a.process, 'file', { ioctl: (caller) => caller.pid });
    await api.sendMessage(a.channel, 0, 'here', [fd, fd]);
    const message = await world.run(api.receiveMessage(b.channel, 0, 0));
    expect([message?.fds, message?.controlTruncated]).toEqual([[1, 2], false]);
    expect(b.process.fds.lookup(1)).toBe(a.process.fds.lookup(fd));
    const request = { fd: 2, request: 'WHO', argument: null };
    expect(await world.run(b.channel.call('ioctl', request))).toBe(b.process.pid);
    a.process.exit();
    await world.run(api.closeDescriptor(b.channel, 1));
    expect(world.log).toEqual([]);
    await world.run(api.closeDescriptor(b.channel, 2));
    expect(world.log).toEqual(['file closed', 'file released']);
  });

  it('lives in flight while nobody has it open', async () => {
    const { world, a, b } = await pair();
    const fd = world.install(a.process, 'file');
    await api.sendMessage(a.channel, 0, '', [fd]);
    a.process.exit();
    expect(world.log).toEqual([]);
    const message = await world.run(api.receiveMessage(b.channel, 0, 0));
    expect([message?.fds, world.log]).toEqual([[1], []]);
    b.process.exit();
    expect(world.log).toEqual(['file closed', 'file released']);
  });

  it('a queue that is dropped with its socket drops the files in it', async () => {
    const { world, a, b } = await pair();
    for (const name of ['x', 'y']) {
      const fd = world.install(a.process, name);
      await api.sendMessage(a.channel, 0, name, [fd]);
      await world.run(api.closeDescriptor(a.channel, fd));
    }
    expect(world.log).toEqual([]);
    await world.run(api.closeDescriptor(b.channel, 0));
    expect(world.log).toEqual(['x closed', 'x released', 'y closed', 'y released']);
    expect(world.sockets.count).toBe(1);
  });

  it('a refused message takes no reference', async () => {
    const { world, a, b } = await pair();
    const fd = world.install(a.process, 'file');
    b.process.exit();
    expect(await world.codeOf(api.sendMessage(a.channel, 0, '', [fd]))).toBe('EPIPE');
    await world.run(api.closeDescriptor(a.channel, fd));
    expect(world.log).toEqual(['file closed', 'file released']);
  });

  it('MSG_CTRUNC: files that the receiver’s table has no room for are dropped, and nothing leaks', async () => {
    const { world, a, b } = await pair();
    const fds = ['x', 'y', 'z'].map((name) => world.install(a.process, name));
    await api.sendMessage(a.channel, 0, 'three', fds);
    for (const fd of fds) await world.run(api.closeDescriptor(a.channel, fd));
    const filler = world.install(b.process, 'filler');
    while (b.process.fds.openCount < OPEN_FILES_MAX - 1) b.process.fds.dup(filler);
    const message = await world.run(api.receiveMessage(b.channel, 0, 0));
    expect([text(message), message?.fds, message?.controlTruncated]).toEqual([
      ...['three', [OPEN_FILES_MAX - 1], true],
    ]);
    expect(world.log).toEqual(['y closed', 'y released', 'z closed', 'z released']);
    expect(await world.codeOf(api.socketPair(b.channel))).toBe('EMFILE');
    b.process.exit();
    expect(world.log.filter((line) => line.startsWith('x'))).toEqual(['x closed', 'x released']);
    expect(world.sockets.count).toBe(1);
  });

  it('socketpair with room for one descriptor only: EMFILE, and the number is free again', async () => {
    const { world, b } = await pair();
    const filler = world.install(b.process, 'filler');
    while (b.process.fds.openCount < OPEN_FILES_MAX - 1) b.process.fds.dup(filler);
    expect(await world.codeOf(api.socketPair(b.channel))).toBe('EMFILE');
    expect(b.process.fds.dup(filler)).toBe(OPEN_FILES_MAX - 1);
    expect(world.sockets.count).toBe(2);
  });

  it(`ETOOMANYREFS: ${FILES_IN_FLIGHT_MAX} files of a container in flight; another container may go on`, async () => {
    const { world, a, b } = await pair();
    const fd = world.install(a.process, 'file');
    const fds = Array.from({ length: 128 }, () => fd);
    for (let sent = 0; sent < FILES_IN_FLIGHT_MAX; sent += 128) {
      await api.sendMessage(a.channel, 0, '', fds);
    }
    expect(await world.codeOf(api.sendMessage(a.channel, 0, '', [fd]))).toBe('ETOOMANYREFS');
    const own = world.install(b.process, 'own');
    expect(await world.codeOf(api.sendMessage(b.channel, 0, '', [own]))).toBe('no error');
    await world.run(api.receiveMessage(b.channel, 0, 0));
    expect(await world.codeOf(api.sendMessage(a.channel, 0, '', [fd]))).toBe('no error');
    b.process.exit();
    await world.run(api.closeDescriptor(a.channel, fd));
    expect(world.log).toEqual(['file closed', 'file released']);
  });

  it('a receiver that ends while it waits takes nothing: its socket’s queue is dropped', async () => {
    const { world, a, b } = await pair();
    const waiting = world.codeOf(api.receiveMessage(b.channel, 0, 1000));
    b.process.exit();
    expect(await waiting).toBe('EINTR');
    expect(world.sockets.count).toBe(1);
    expect(await world.codeOf(api.sendMessage(a.channel, 0, ''))).toBe('EPIPE');
  });
});

describe('sockets that travel', () => {
  it('both ends in each other’s queue, and no other descriptor: they are found and dropped', async () => {
    const world = new ProcessWorld();
    const { process, channel } = world.process();
    const [one, other] = await world.run(api.socketPair(channel));
    const fd = world.install(process, 'file');
    await api.sendMessage(channel, one, '', [one, fd]);
    await api.sendMessage(channel, other, '', [other]);
    for (const open of [fd, one]) await world.run(api.closeDescriptor(channel, open));
    expect([world.log, world.sockets.count]).toEqual([[], 2]);
    await world.run(api.closeDescriptor(channel, other));
    expect([world.log, world.sockets.count]).toEqual([['file closed', 'file released'], 0]);
  });

  it('a socket in flight to somebody who can be reached stays, with what is in its queue', async () => {
    const { world, a, b } = await pair();
    const [one, other] = await world.run(api.socketPair(a.channel));
    const fd = world.install(a.process, 'file');
    await api.sendMessage(a.channel, one, 'inner', [fd]);
    await api.sendMessage(a.channel, 0, 'outer', [other]);
    a.process.exit();
    expect([world.log, world.sockets.count]).toEqual([[], 2]);
    const outer = await world.run(api.receiveMessage(b.channel, 0, 0));
    const inner = await world.run(api.receiveMessage(b.channel, outer?.fds[0] ?? -1, 0));
    expect([text(inner), inner?.fds, world.log]).toEqual(['inner', [2], []]);
  });

  it('whatever is sent, received, closed and killed, files live exactly as long as somebody can reach them', () => {
    const step = fc.record({
      who: fc.nat(2),
      what: fc.constantFrom('open', 'pair', 'send', 'receive', 'close', 'dup', 'exit'),
      first: fc.nat(5),
      second: fc.nat(5),
    });
    fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const world = new ProcessWorld();
        const files: OpenFile[] = [];
        let released = 0;
        const all = [0, 1, 2].map(() => world.process());
        // One pair for all: everybody has both ends, as after a fork.
        const parent = world.process();
        const ends = await world.run(api.socketPair(parent.channel));
        for (const { process } of all) {
          for (const end of ends) {
            const file = parent.process.fds.lookup(end) as OpenFile;
            process.fds.install(process.fds.reserve() as number, file.get());
          }
        }
        parent.process.exit();
        for (const { who, what, first, second } of steps) {
          const { process, channel } = all[who] as (typeof all)[number];
          if (process.state === 'exited') continue;
          if (what === 'open') {
            const file = new OpenFile({ kind: 'counted', release: () => released++ });
            files.push(file);
            process.fds.install(process.fds.reserve() as number, file);
          } else if (what === 'exit') process.exit();
          else if (what === 'pair') await world.codeOf(api.socketPair(channel));
          else if (what === 'close') await world.codeOf(api.closeDescriptor(channel, first));
          else if (what === 'dup') await world.codeOf(api.dup(channel, first));
          else if (what === 'send') {
            await world.codeOf(api.sendMessage(channel, first, '', [second]));
          } else await world.codeOf(api.receiveMessage(channel, first, 0));
          for (const file of files) {
            const kept = world.processes.descriptorsOf(file).length > 0;
            expect([file.references > 0, file.references]).toEqual([kept, file.descriptors]);
          }
        }
        for (const { process } of all) process.exit();
        expect([released, world.sockets.count]).toEqual([files.length, 0]);
      }),
      { numRuns: 60 },
    );
  });
});
