/**
 * What the test suites of hl-thunk (HabanaAI/hl-thunk-open, tests/) ask of a driver, one test per behaviour
 * and named after it: command_submission and dma, and what does not apply.
 */
import { describe, expect, it } from 'vitest';
import { KiB, MiB } from '../../common/bytes.ts';
import * as hlthunk from '../../node/device/hlthunk.ts';
import { HLTHUNK_UNSUPPORTED, hlthunkUnsupported } from '../../node/device/hlthunk-unsupported.ts';
import * as work from '../../node/device/hlthunk-work.ts';
import { CS_IN_FLIGHT_MAX, MULTI_CS_MAX } from '../../node/device/job.ts';
import { errnoOf } from '../node/device/device-bench.ts';
import { dma, fill, opened } from './device-world.ts';

const PAGE = 65536;

describe('command_submission', () => {
  it('nop: a submission that moves nothing completes', async () => {
    const { alloc, map, submit, wait } = await opened();
    const address = await map(await alloc(PAGE));
    expect(await wait(await submit(dma(address, address + 64, 0)))).toBe('COMPLETED');
  });

  it('256 submitters at a time: each completes once, however often it had to retry', async () => {
    const { bench, channel, fd, alloc, map, submit } = await opened();
    const address = await map(await alloc(PAGE));
    let retries = 0;
    const one = async (index: number): Promise<string> => {
      for (;;) {
        try {
          const sequence = await submit(fill(address + 256 * index, index, 256));
          return await hlthunk.hlthunk_wait_for_cs(channel, fd, sequence, 1_000_000);
        } catch (reason) {
          expect(reason).toMatchObject({ code: 'EAGAIN' });
          retries++;
          await new Promise<void>((resume) => bench.scheduler.after(1, resume));
        }
      }
    };
    const all = Promise.all(Array.from({ length: 256 }, (_, index) => one(index)));
    expect(new Set(await bench.run(all))).toEqual(new Set(['COMPLETED']));
    expect(retries).toBeGreaterThan(0);
    const { buffer, byteOffset } = bench.device().hbm.view(PAGE, PAGE);
    const floats = new Float32Array(buffer, byteOffset, PAGE / 4);
    expect(floats.every((value, at) => value === Math.floor(at / 64))).toBe(true);
  });

  it('wait for any of several: the mask says which have ended', async () => {
    const { bench, channel, fd, alloc, map, submit } = await opened();
    const address = await map(await alloc(PAGE));
    const sequences = [await submit(fill(address, 1)), await submit(fill(address, 2))];
    const wait = (of: readonly number[], timeoutUs: number) =>
      bench.run(work.hlthunk_wait_for_multi_cs(channel, fd, of, timeoutUs));
    expect(await wait(sequences, 0)).toEqual({ status: 'BUSY', completedMask: 0 });
    expect(await wait([...sequences].reverse(), 1000)).toEqual({
      status: 'COMPLETED',
      completedMask: 0b10,
    });
    await bench.sleep(1);
    expect(await wait(sequences, 0)).toEqual({ status: 'COMPLETED', completedMask: 0b11 });
  });

  it('wait for any of several: TIMEDOUT after the time asked for, ABORTED if one failed', async () => {
    const { bench, channel, fd, alloc, map, submit } = await opened();
    const address = await map(await alloc(PAGE));
    const { soon } = bench.scheduler;
    bench.scheduler.soon = (task) => void bench.scheduler.after(10, task);
    const sequences = Array.from({ length: MULTI_CS_MAX }, () => 1);
    await submit(fill(address, 1));
    const wait = (timeoutUs: number) =>
      bench.run(work.hlthunk_wait_for_multi_cs(channel, fd, sequences, timeoutUs));
    expect(await wait(4000)).toEqual({ status: 'TIMEDOUT', completedMask: 0 });
    expect(bench.scheduler.clock.now()).toBe(4);
    await hlthunk.hlthunk_memory_unmap(channel, fd, address);
    expect(await wait(100_000)).toEqual({ status: 'ABORTED', completedMask: 2 ** 32 - 1 });
    bench.scheduler.soon = soon;
  });

  it('a time limit of its own: 1 to 3600 seconds, else EINVAL', async () => {
    const { bench, channel, fd, alloc, map, wait } = await opened();
    const address = await map(await alloc(PAGE));
    const submit = (seconds: number) =>
      work.hlthunk_command_submission_timeout(channel, fd, [fill(address, 1)], seconds);
    expect(await errnoOf(submit(0))).toBe('EINVAL');
    expect(await errnoOf(submit(3601))).toBe('EINVAL');
    expect(await wait(await submit(3600))).toBe('COMPLETED');
    bench.scheduler.soon = (task) => void bench.scheduler.after(3_600_000, task);
    const stuck = await submit(2);
    const waiting = hlthunk.hlthunk_wait_for_cs(channel, fd, stuck, 600_000_000);
    expect(await bench.run(errnoOf(waiting))).toBe('ETIMEDOUT');
    expect(bench.scheduler.clock.now()).toBe(2000);
  });
});

describe('dma', () => {
  it.each([8, 64, 512])('%i at a time, each to its own place and back', async (count) => {
    const { bench, process, channel, fd, alloc, map, submit } = await opened();
    const device = await map(await alloc(1 * MiB));
    const bytes = 512;
    const host = await hlthunk.hlthunk_host_memory_map(channel, fd, 4096, 2 * count * bytes);
    const memory = process.userBytes(4096, 2 * count * bytes) ?? new Uint8Array();
    memory.subarray(0, count * bytes).forEach((_, index) => {
      memory[index] = index * 7 + (index >> 8);
    });
    const one = async (index: number) => {
      const at = index * bytes;
      const jobs = [
        dma(host + at, device + at, bytes),
        dma(device + at, host + count * bytes + at, bytes),
      ];
      for (;;) {
        const errno = await errnoOf(submit(...jobs));
        if (errno === 'no error') return;
        expect(errno).toBe('EAGAIN');
        await new Promise<void>((resume) => bench.scheduler.after(1, resume));
      }
    };
    await bench.run(Promise.all(Array.from({ length: count }, (_, index) => one(index))));
    await bench.sleep(10);
    const half = count * bytes;
    expect(Buffer.compare(memory.subarray(0, half), memory.subarray(half, 2 * half))).toBe(0);
    expect(bench.device().usage().submissions).toBe(0);
    expect(count <= CS_IN_FLIGHT_MAX || bench.scheduler.clock.now() > 0).toBe(true);
  });

  it.each([1 * KiB, 4 * KiB, 64 * KiB, 1 * MiB, 16 * MiB, 256 * MiB])(
    'device memory to device memory, %i bytes',
    async (bytes) => {
      const { bench, alloc, map, submit, wait } = await opened(2 * Math.max(PAGE, bytes));
      const [from, to] = [await map(await alloc(bytes)), await map(await alloc(bytes))];
      const edges = [fill(from, 1, 64), fill(from + bytes - 64, 2, 64), dma(from, to, bytes)];
      expect(await wait(await submit(...edges))).toBe('COMPLETED');
      const second = PAGE + Math.max(PAGE, bytes);
      const view = bench.device().hbm.view(second, bytes);
      const floats = new Float32Array(view.buffer, view.byteOffset, bytes / 4);
      expect([floats[0], floats[15], floats.at(-16), floats.at(-1)]).toEqual([1, 1, 2, 2]);
    },
  );
});

describe('what has nothing behind it here fails, and says why', () => {
  it.each(Object.keys(HLTHUNK_UNSUPPORTED) as (keyof typeof HLTHUNK_UNSUPPORTED)[])(
    '%s',
    (name) => {
      const { errno, reason } = HLTHUNK_UNSUPPORTED[name];
      expect(() => hlthunkUnsupported(name)).toThrow(
        expect.objectContaining({ code: errno, message: expect.stringContaining(reason) }),
      );
    },
  );

  /** Tests of hl-thunk that are not here. */
  const NOT_APPLICABLE: readonly (readonly [string, string])[] = [
    ['command_buffer: all', HLTHUNK_UNSUPPORTED.hlthunk_request_command_buffer.reason],
    ['sync_manager: all', HLTHUNK_UNSUPPORTED.hlthunk_signal_submission.reason],
    ['command_submission: staged', 'a submission of up to 512 jobs is one message'],
    ['memory: pmmu hints', 'host mappings take no hint: the driver picks the address'],
    ['dma: SRAM sweeps', 'kernels work on HBM directly: there is no SRAM to move through'],
    ['dma_perf', 'a bandwidth of this machine says nothing about the hardware'],
    ['error_injection: heartbeat, thermal', 'there is no firmware and no temperature'],
    ['control_device: clock rate, PCI counters, firmware events', 'there is no hardware to count'],
    ['gaudi: all2all', 'collectives are HCCL’s, and are tested with it'],
  ];
  it.each(NOT_APPLICABLE)('%s: %s', (what, reason) => {
    expect([what, reason].every((text) => text.length > 0)).toBe(true);
  });
});
