import { readlinkSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { UnixChannel, UnixListener } from '../../../node/os/operating-system.ts';
import { PeerProcess, uniqueName } from './peer-process.ts';
import { isMissing, openDescriptors, thisSystem, whyMissing } from './this-system.ts';

const text = (message: string) => new TextEncoder().encode(message);

const open: (UnixListener | UnixChannel)[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

/** Two ends of a channel in this process. */
function pair() {
  const os = thisSystem();
  const name = uniqueName();
  const listener = os.listen(name);
  const near = os.connect(name);
  const far = listener.accept();
  if (near === undefined || far === undefined) throw new Error('expected a connection');
  open.push(listener, near, far);
  return { os, name, listener, near, far };
}

function received(channel: UnixChannel) {
  const got = channel.receive();
  if (typeof got === 'string') throw new Error(`expected a message but found ${got}`);
  return got;
}

describe.skipIf(isMissing)(`a unix channel${whyMissing}`, () => {
  it('keeps order and borders of messages, both ways', () => {
    const { near, far } = pair();
    expect(far.receive()).toBe('empty');
    for (const message of ['one', 'two']) expect(near.send(text(message))).toBe('sent');
    expect(far.send(new Uint8Array(256).fill(7))).toBe('sent');
    expect([received(far), received(far)]).toEqual([
      { message: text('one'), fd: undefined },
      { message: text('two'), fd: undefined },
    ]);
    expect(received(near).message).toEqual(new Uint8Array(256).fill(7));
    expect(far.receive()).toBe('empty');
  });

  it('takes a descriptor along, which is a new one of the receiver', () => {
    const { os, near, far } = pair();
    const fd = os.memoryFile('passed', 4096);
    expect(near.send(text('file'), fd)).toBe('sent');
    os.closeFile(fd);
    expect(near.send(text('none'))).toBe('sent');
    const { message, fd: passed = -1 } = received(far);
    expect(message).toEqual(text('file'));
    expect(readlinkSync(`/proc/self/fd/${passed}`)).toContain('memfd:passed');
    os.closeFile(passed);
    expect(received(far).fd).toBeUndefined();
  });

  it('says that it is full, and later takes messages again', () => {
    const { near, far } = pair();
    let sent = 0;
    while (near.send(text('more')) === 'sent') sent++;
    expect(sent).toBeGreaterThan(0);
    expect(near.send(text('more'))).toBe('full');
    for (let count = 0; count < sent; count++) received(far);
    expect(far.receive()).toBe('empty');
    expect(near.send(text('more'))).toBe('sent');
  });

  it('is closed for both when one end closes, after what was sent has been received', () => {
    const { near, far } = pair();
    near.send(text('last'));
    near.close();
    near.close();
    expect([near.send(text('no')), near.receive()]).toEqual(['closed', 'closed']);
    expect(received(far).message).toEqual(text('last'));
    expect([far.receive(), far.send(text('no'))]).toEqual(['closed', 'closed']);
  });

  it('gives the descriptors back that nobody received', () => {
    const { os, near, far } = pair();
    const before = openDescriptors();
    const fd = os.memoryFile('lost', 4096);
    near.send(text('lost'), fd);
    os.closeFile(fd);
    near.close();
    far.close();
    expect(openDescriptors()).toBe(before - 2);
  });

  it('refuses messages of no bytes and of too many', () => {
    const { near } = pair();
    expect(() => near.send(new Uint8Array(0))).toThrow('1 to 256');
    expect(() => near.send(new Uint8Array(257))).toThrow('1 to 256');
  });

  it('knows who is at the other end', () => {
    const { near, far } = pair();
    const self = { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() };
    expect([near.credentials, far.credentials]).toEqual([self, self]);
  });

  it('knows another process, and ends when it sends what is no message of a channel', async () => {
    const os = thisSystem();
    const peer = await PeerProcess.start(os);
    const { pid, uid, gid } = peer.channel.credentials;
    expect(await peer.call('user')).toEqual([pid, uid, gid]);
    expect(pid).toBe(peer.pid);
    expect(pid).not.toBe(process.pid);
    await peer.call('say', 'hello');
    expect(received(peer.channel).message).toEqual(text('hello'));
    await peer.call('say', 'x'.repeat(257));
    expect([peer.channel.receive(), peer.channel.receive()]).toEqual(['closed', 'closed']);
    await peer.end();
  });
});

describe.skipIf(isMissing)(`an abstract name${whyMissing}`, () => {
  it('reaches nobody unless somebody listens, and is free again after that', () => {
    const { os, name, listener } = pair();
    expect(() => os.listen(name)).toThrow(expect.objectContaining({ code: 'HLSIM_OS' }));
    expect(listener.accept()).toBeUndefined();
    listener.close();
    listener.close();
    expect(() => listener.accept()).toThrow('Expected an open listener');
    expect(os.connect(name)).toBeUndefined();
    expect(os.connect(uniqueName())).toBeUndefined();
    os.listen(name).close();
  });

  it('has a length that fits', () => {
    const os = thisSystem();
    os.listen('n'.repeat(107)).close();
    for (const name of ['', 'n'.repeat(108)]) expect(() => os.listen(name)).toThrow('1 to 107');
  });
});
