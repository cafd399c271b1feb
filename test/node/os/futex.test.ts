import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { KiB } from '../../../common/bytes.ts';
import { wallScheduler } from '../../../common/scheduler.ts';
import { PeerProcess } from './peer-process.ts';
import { isMissing, thisSystem, whyMissing } from './this-system.ts';

const PAGE = 64 * KiB;
/** Far longer than any wake takes. */
const LONG_MS = 30_000;

function world() {
  const os = thisSystem();
  const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  return { os, buffer, word: new Int32Array(buffer), address: os.addressOf(buffer) };
}

describe.skipIf(isMissing)(`a wait on a word of memory${whyMissing}`, () => {
  it('returns at once if the word has changed, and after its time if not', () => {
    const { os, word, address } = world();
    word[0] = -7;
    os.futexWait(address, 3, LONG_MS);
    const { clock } = wallScheduler;
    const start = clock.now();
    os.futexWait(address, -7, 20);
    expect(clock.now() - start).toBeGreaterThanOrEqual(19);
    os.futexWait(address, -7, 0);
  });

  it('is ended by another thread, which does no more than wake', async () => {
    const { os, buffer, word, address } = world();
    // With nothing of hlsim: Atomics.notify has waiters of its own, so the system is called here too.
    const program = `
      const { workerData } = require('node:worker_threads');
      const koffi = require('koffi');
      const futex = koffi.load(null).func(
        'int64_t syscall(int64_t n, uintptr_t word, int64_t op, int64_t value, uintptr_t timeout)');
      const word = new Int32Array(workerData.buffer);
      Atomics.store(word, 1, 1);
      while (Number(futex(workerData.call, koffi.address(word), 1, 1, 0)) === 0) ;
    `;
    const call = process.arch === 'x64' ? 202 : 98;
    const worker = new Worker(program, { eval: true, workerData: { buffer, call } });
    const start = wallScheduler.clock.now();
    const exit = new Promise((resolve) => worker.on('exit', resolve));
    await new Promise((resolve) => worker.on('online', resolve));
    os.futexWait(address, 0, LONG_MS);
    expect(wallScheduler.clock.now() - start).toBeLessThan(LONG_MS);
    expect(word[1]).toBe(1);
    expect(await exit).toBe(0);
  });

  it('is ended by another process that has the same file mapped', async () => {
    const { os, word, address } = world();
    const fd = os.memoryFile('word', PAGE);
    os.mapFile(address, PAGE, fd);
    const peer = await PeerProcess.start(os);
    expect(peer.channel.send(new TextEncoder().encode('word'), fd)).toBe('sent');
    os.closeFile(fd);
    await peer.call('map', PAGE);
    const start = wallScheduler.clock.now();
    const woken = peer.call('wake', 42);
    os.futexWait(address, 0, LONG_MS);
    expect(word[0]).toBe(42);
    expect(wallScheduler.clock.now() - start).toBeLessThan(LONG_MS);
    expect(await woken).toBeLessThanOrEqual(1);
    await peer.end();
  });

  it('a wake that nobody waits for is nothing, and a core can be given up', () => {
    const { os, address } = world();
    os.futexWake(address);
    os.yieldCpu();
  });
});
