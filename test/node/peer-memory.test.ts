/**
 * Memory files from host to host over real unix sockets. Another user at the other end cannot be had without
 * being root twice; that it is refused rests on SO_PEERCRED, which `unix-channel.test.ts` checks.
 */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { nanoid } from 'nanoid';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MemoryFile } from '../../node/hccl/shared/shared-machine.ts';
import type { OperatingSystem, UnixChannel } from '../../node/os/operating-system.ts';
import { operatingSystem } from '../../node/os/operating-system.ts';
import { HostMemory } from '../../node/peer-memory.ts';

const found = operatingSystem();
const system = found as OperatingSystem;
const TOKEN = 'secret';
const BYTES = 65_536;
/** As many as may wait to be taken. */
const FILES_MAX = 1024;

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

describe.skipIf('unavailable' in found)('memory files between hosts', () => {
  let before: number;
  let own: string;
  let host: HostMemory;
  const others: { close(): void }[] = [];
  const files: MemoryFile[] = [];

  beforeEach(() => {
    before = descriptors();
    own = nanoid();
    host = new HostMemory({ system, nodeId: own, token: TOKEN });
  });

  afterEach(() => {
    for (const one of others.splice(0)) one.close();
    for (const { fd } of files.splice(0)) system.closeFile(fd);
    host.close();
    expect(descriptors(), 'open descriptors').toBe(before);
  });

  function file(): MemoryFile {
    const made = { fd: system.memoryFile('test', BYTES), bytes: BYTES };
    files.push(made);
    return made;
  }

  function peer(token: string | undefined = TOKEN, nodeId = nanoid()) {
    const memory = new HostMemory({ system, nodeId, token });
    others.push(memory);
    return { memory, nodeId };
  }

  /** Somebody who follows no protocol. */
  function stranger(): UnixChannel {
    const channel = system.connect(`hlsim-${own}`);
    if (channel === undefined) throw new Error('Expected a host that listens');
    others.push(channel);
    return channel;
  }

  function say(channel: UnixChannel, text: string, fd?: number): void {
    expect(channel.send(new TextEncoder().encode(text), fd)).toBe('sent');
  }

  function hello(nodeId: string, token = TOKEN): string {
    return `hlsim-memory-1 ${nodeId} ${createHash('sha256').update(token).digest('hex')}`;
  }

  function expectTaken(nodeId: string, id: number): void {
    const taken = host.take(nodeId, id);
    expect(taken?.bytes).toBe(BYTES);
    files.push(taken as MemoryFile);
    expect(system.sizeOf((taken as MemoryFile).fd)).toBe(BYTES);
  }

  it('come under their number, in any order, from whom they are', () => {
    const [first, second] = [peer(), peer()];
    expect(first.memory.offer(own, 1, file())).toBe('offered');
    expect(first.memory.offer(own, 2, file())).toBe('offered');
    expect(second.memory.offer(own, 1, file())).toBe('offered');
    expect(host.take(second.nodeId, 2)).toBeUndefined();
    expectTaken(first.nodeId, 2);
    expectTaken(second.nodeId, 1);
    expectTaken(first.nodeId, 1);
    expect(host.take(first.nodeId, 1)).toBeUndefined();
  });

  it('may come twice under one number: for two devices of this host', () => {
    const { memory, nodeId } = peer();
    const one = file();
    memory.offer(own, 7, one);
    memory.offer(own, 7, one);
    expectTaken(nodeId, 7);
    expectTaken(nodeId, 7);
    expect(host.take(nodeId, 7)).toBeUndefined();
  });

  it('can be handed to itself', () => {
    expect(host.offer(own, 3, file())).toBe('offered');
    expectTaken(own, 3);
  });

  it('are still there when who has handed them over is gone', () => {
    const { memory, nodeId } = peer();
    memory.offer(own, 1, file());
    memory.close();
    expectTaken(nodeId, 1);
  });

  it('are refused by who is not there, and by who has gone', () => {
    expect(host.offer(nanoid(), 1, file())).toBe('refused');
    const { memory, nodeId } = peer();
    expect(host.offer(nodeId, 1, file())).toBe('offered');
    memory.close();
    expect(host.offer(nodeId, 2, file())).toBe('refused');
    expect(host.offer(nodeId, 3, file())).toBe('refused');
  });

  it('are not taken from who has another token, or none', () => {
    for (const token of ['wrong', '']) {
      const { memory, nodeId } = peer(token);
      memory.offer(own, 1, file());
      expect(host.take(nodeId, 1)).toBeUndefined();
    }
  });

  it('are closed with the host that nobody took them from', () => {
    const { memory } = peer();
    for (let id = 1; id <= 20; id++) memory.offer(own, id, file());
    expect(host.take('nobody', 1)).toBeUndefined();
  });

  it.each([
    ['no hello', (channel: UnixChannel) => say(channel, 'hello')],
    ['a file with the hello', (channel: UnixChannel) => say(channel, hello('x'), file().fd)],
    ['nothing', (channel: UnixChannel) => say(channel, 'x')],
    ['another token', (channel: UnixChannel) => say(channel, hello('x', 'other'))],
    ['half a hello', (channel: UnixChannel) => say(channel, 'hlsim-memory-1 x')],
  ])('are not taken from who says %s, who is hung up on', (_, speak) => {
    const channel = stranger();
    speak(channel);
    channel.send(new TextEncoder().encode(`1 ${BYTES}`), file().fd);
    expect(host.take('x', 1)).toBeUndefined();
    expect(channel.receive()).toBe('closed');
  });

  it.each(['one 65536', '-1 65536', '1.5 65536', '1 0', '1', '9007199254740993 1', '0 65536'])(
    'are not taken with the words "%s"',
    (words) => {
      const channel = stranger();
      say(channel, hello('x'));
      channel.send(new TextEncoder().encode(words), file().fd);
      expect(host.take('x', 1)).toBeUndefined();
      expect(host.take('x', 0)).toBeUndefined();
      expect(channel.receive()).toBe('closed');
    },
  );

  it('that are announced and do not come are not there', () => {
    const channel = stranger();
    say(channel, hello('x'));
    say(channel, `1 ${BYTES}`);
    expect(host.take('x', 1)).toBeUndefined();
    expect(channel.receive()).toBe('closed');
  });

  it('are not kept for ever: who hands over too many is hung up on', () => {
    const channel = stranger();
    say(channel, hello('x'));
    const one = file();
    let isOpen = true;
    for (let id = 1; isOpen && id <= FILES_MAX + 10; id++) {
      isOpen = channel.send(new TextEncoder().encode(`${id} ${BYTES}`), one.fd) === 'sent';
      // Nothing of it is asked for.
      expect(host.take('y', 1)).toBeUndefined();
    }
    expect(isOpen).toBe(false);
    expect(descriptors()).toBeLessThan(before + 20);
  });
});
