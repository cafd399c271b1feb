import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { defined } from '../../../common/assert.ts';
import { wallScheduler } from '../../../common/scheduler.ts';
import { POLL_IN, POLL_OUT, STREAM_BROKEN, STREAM_ENDED } from '../../../node/os/stream-socket.ts';
import { uniqueName } from './peer-process.ts';
import { isMissing, thisSystem, whyMissing } from './this-system.ts';

const MEMORY_BYTES = 4 * 65_536;
/** Far longer than anything takes here. */
const LONG_MS = 20_000;
const HLSIM_OS = expect.objectContaining({ code: 'HLSIM_OS' });

const sockets = new Map<number, Socket>();
afterEach(() => {
  for (const socket of sockets.values()) socket.destroy();
  sockets.clear();
});

/** Node.js reads it no more. */
function taken(socket: Socket): number {
  const { _handle: found } = socket as { _handle?: { fd: number; readStop(): void } };
  const handle = defined(found, 'an open socket');
  handle.readStop();
  socket.on('error', () => undefined);
  sockets.set(handle.fd, socket);
  return handle.fd;
}

/** At once: the descriptor is closed when this returns. */
function close(fd: number): void {
  defined(sockets.get(fd), 'a socket').destroy();
  sockets.delete(fd);
}

async function connected(kind: 'tcp' | 'unix'): Promise<{ near: Socket; far: Socket }> {
  const server: Server = createServer({ pauseOnConnect: true });
  const path = `\0${uniqueName()}`;
  await new Promise<void>((resolve) => {
    if (kind === 'unix') server.listen(path, resolve);
    else server.listen(0, '127.0.0.1', resolve);
  });
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const { port } = kind === 'unix' ? { port: 0 } : (server.address() as { port: number });
  const near = kind === 'unix' ? dial(path) : dial(port, '127.0.0.1');
  near.pause();
  await new Promise((resolve) => near.once('connect', resolve));
  const far = await accepted;
  server.close();
  return { near, far };
}

/** Both descriptors of a connection, and memory to send from and receive to. */
async function world(kind: 'tcp' | 'unix' = 'tcp') {
  const os = thisSystem();
  const { near, far } = await connected(kind);
  const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true }).buffer;
  const base = Number(os.addressOf(memory));
  const poll = os.pollSet(2);
  const ends = { near: taken(near), far: taken(far) };
  const settle = (fd: number) => {
    poll.set(0, fd, POLL_IN);
    poll.wait(1, LONG_MS);
  };
  return { os, ...ends, bytes: new Uint8Array(memory), base, poll, settle };
}

type World = Awaited<ReturnType<typeof world>>;

/** All that arrives, as much at a time as there is. */
function receiveAll({ os, settle, base }: World, fd: number, at: number, bytes: number): void {
  for (let count = 0; count < bytes; ) {
    settle(fd);
    const step = os.receive(fd, base + at + count, bytes - count);
    if (step < 0) throw new Error(`expected bytes but found ${step}`);
    count += step;
  }
}

/** Not of a period that divides a power of two. */
function patternAt(offset: number): number {
  return (offset % 251) + 1;
}

describe.skipIf(isMissing)(`a stream over a socket${whyMissing}`, () => {
  it.each(['tcp', 'unix'] as const)(
    'goes from memory to memory, both ways, by %s',
    async (kind) => {
      const here = await world(kind);
      const { os, near, far, bytes, base } = here;
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        bytes.fill(0);
        bytes.set([1, 2, 3, 4, 5, 6, 7, 8, 9]);
        expect(os.receive(to, base + 100, 50)).toBe(0);
        // Head and body, head alone, body alone.
        expect(os.transmit(from, base + 7, 2, base, 4)).toBe(6);
        expect(os.transmit(from, base + 4, 3, 0, 0)).toBe(3);
        expect(os.transmit(from, 0, 0, base, 1)).toBe(1);
        receiveAll(here, to, 100, 10);
        expect([...bytes.subarray(100, 112)]).toEqual([8, 9, 1, 2, 3, 4, 5, 6, 7, 1, 0, 0]);
        expect(os.receive(to, base + 100, 50)).toBe(0);
      }
    },
  );

  it('stores no more than there is room for', async () => {
    const here = await world();
    const { os, near, far, bytes, base } = here;
    bytes.fill(7, 0, 20);
    os.transmit(near, base, 20, 0, 0);
    here.settle(far);
    expect(os.receive(far, base + 100, 5)).toBe(5);
    expect([...bytes.subarray(100, 106)]).toEqual([7, 7, 7, 7, 7, 0]);
    receiveAll(here, far, 105, 15);
  });

  it('takes what there is room for, in order, and the rest later', async () => {
    const here = await world();
    const { os, near, far, bytes, base } = here;
    const half = MEMORY_BYTES / 2;
    // More than the kernel keeps of a connection.
    const total = 100 * half;
    for (let at = 0; at < half; at++) bytes[at] = patternAt(at);
    let [sent, received, wasFull] = [0, 0, false];
    while (received < total) {
      const from = sent % half;
      const head = Math.min(3, half - from);
      const step =
        sent < total
          ? os.transmit(near, base + from, head, base + from + head, half - from - head)
          : 0;
      sent += step;
      if (step > 0) continue;
      wasFull ||= sent < total;
      here.settle(far);
      const at = received % half;
      const count = os.receive(far, base + half + at, half - at);
      for (let index = at; index < at + count; index += 97) {
        if (bytes[half + index] !== patternAt(index)) throw new Error(`wrong byte at ${index}`);
      }
      received += count;
    }
    expect([wasFull, sent, received]).toEqual([true, total, total]);
  });

  it('ends when the peer has closed, once all bytes are there', async () => {
    const here = await world();
    const { os, near, far, base } = here;
    os.transmit(near, base, 8, 0, 0);
    close(near);
    here.settle(far);
    expect(os.receive(far, base, 100)).toBe(8);
    here.settle(far);
    expect(os.receive(far, base, 100)).toBe(STREAM_ENDED);
    expect(os.receive(far, base, 100)).toBe(STREAM_ENDED);
  });

  it.each(['tcp', 'unix'] as const)(
    'is broken, by %s, when the peer closes with bytes unread',
    async (kind) => {
      const here = await world(kind);
      const { os, near, far, base } = here;
      os.transmit(far, base, 100, 0, 0);
      here.settle(near);
      close(near);
      here.settle(far);
      expect(os.receive(far, base, 100)).toBe(STREAM_BROKEN);
      expect(os.transmit(far, base, 4, base, 4)).toBe(STREAM_BROKEN);
      expect(os.transmit(far, base, 4, 0, 0)).toBe(STREAM_BROKEN);
    },
  );

  it('lets nobody send after a shutdown, from either end, and loses nothing under way', async () => {
    const here = await world();
    const { os, near, far, base } = here;
    os.transmit(near, base, 8, 0, 0);
    os.shutDown(near);
    os.shutDown(near);
    expect(os.transmit(near, base, 1, 0, 0)).toBe(STREAM_BROKEN);
    expect(os.transmit(near, base, 1, base, 1)).toBe(STREAM_BROKEN);
    here.settle(far);
    expect(os.receive(far, base, 100)).toBe(8);
    here.settle(far);
    expect(os.receive(far, base, 100)).toBe(STREAM_ENDED);
    here.settle(near);
    expect(os.receive(near, base, 100)).toBe(STREAM_ENDED);
  });

  it('may be shut down when its peer is gone', async () => {
    const { os, near, far, base } = await world();
    os.transmit(far, base, 100, 0, 0);
    close(near);
    const before = wallScheduler.clock.now();
    while (os.receive(far, base, 1) === 0 && wallScheduler.clock.now() - before < LONG_MS);
    os.shutDown(far);
    os.shutDown(far);
  });

  it('says of a wrong call that it is one', async () => {
    const { os, near, base } = await world();
    expect(() => os.receive(-1, base, 1)).toThrow(HLSIM_OS);
    expect(() => os.transmit(-1, base, 1, 0, 0)).toThrow(HLSIM_OS);
    expect(() => os.transmit(-1, base, 1, base, 1)).toThrow(HLSIM_OS);
    expect(() => os.transmit(near, 8, 1, base, 1)).toThrow(HLSIM_OS);
    expect(() => os.shutDown(-1)).toThrow(HLSIM_OS);
    expect(() => os.receive(near, base, 0)).toThrow('Expected room');
    expect(() => os.transmit(near, base, 0, base, 0)).toThrow('Expected bytes');
  });
});

describe.skipIf(isMissing)(`a poll set${whyMissing}`, () => {
  it('waits no longer than it is told to, and not at all for what is ready', async () => {
    const { os, near, far, base, poll } = await world();
    const { clock } = wallScheduler;
    const start = clock.now();
    poll.set(0, far, POLL_IN);
    poll.wait(1, 30);
    expect(clock.now() - start).toBeGreaterThanOrEqual(29);
    poll.set(1, far, POLL_OUT);
    poll.wait(2, LONG_MS);
    poll.set(1, far, POLL_IN | POLL_OUT);
    poll.wait(2, LONG_MS);
    os.transmit(near, base, 1, 0, 0);
    poll.wait(1, LONG_MS);
    poll.wait(0, 0);
    expect(clock.now() - start).toBeLessThan(LONG_MS);
  });

  it('wakes when another thread shuts the connection down', async () => {
    const { os, near, far, base, poll } = await world();
    const program = `
      const { workerData } = require('node:worker_threads');
      const shutdown = require('koffi').load(null).func('int shutdown(int fd, int how)');
      Atomics.store(new Int32Array(workerData.flag), 0, 1);
      setTimeout(() => shutdown(workerData.fd, 2), 20);
    `;
    const flag = new SharedArrayBuffer(4);
    const worker = new Worker(program, { eval: true, workerData: { fd: far, flag } });
    const exit = new Promise((resolve) => worker.on('exit', resolve));
    await new Promise((resolve) => worker.on('online', resolve));
    const start = wallScheduler.clock.now();
    poll.set(0, near, POLL_IN);
    poll.wait(1, LONG_MS);
    expect(wallScheduler.clock.now() - start).toBeLessThan(LONG_MS);
    expect(os.receive(near, base, 1)).toBe(STREAM_ENDED);
    expect(await exit).toBe(0);
  });

  it('holds no more than it was made for', async () => {
    const { poll, near } = await world();
    expect(() => poll.set(2, near, POLL_IN)).toThrow('Expected a place');
    expect(() => poll.wait(3, 0)).toThrow('Expected no more');
  });
});
