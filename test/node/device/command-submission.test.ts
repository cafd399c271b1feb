import { describe, expect, it } from 'vitest';
import {
  CommandSubmissions,
  CS_ABORTS_REMEMBERED,
  CS_WAITS_MAX,
} from '../../../node/device/command-submission.ts';
import { Hbm } from '../../../node/device/hbm.ts';
import * as hlthunk from '../../../node/device/hlthunk.ts';
import { CS_IN_FLIGHT_MAX, JOBS_PER_CS_MAX, type Job } from '../../../node/device/job.ts';
import { tensorsOf } from '../../../node/device/kernels/kernel-row.ts';
import { loadKernels } from '../../../node/device/kernels/kernels.ts';
import { KERNELS, type KernelName } from '../../../node/device/kernels/table.ts';
import { Mmu, NO_HINT } from '../../../node/device/mmu.ts';
import { DeviceBench, errnoOf } from './device-bench.ts';

const PAGE = 65536;

async function opened() {
  const bench = new DeviceBench();
  const { process, channel } = bench.start();
  const fd = await hlthunk.hlthunk_open(channel, 0);
  const handle = await hlthunk.hlthunk_device_memory_alloc(channel, fd, 4 * PAGE);
  const address = await hlthunk.hlthunk_device_memory_map(channel, fd, handle);
  const submit = (...jobs: Job[]) => hlthunk.hlthunk_command_submission(channel, fd, jobs);
  const wait = (sequence: number, timeoutUs = 1000) =>
    bench.run(hlthunk.hlthunk_wait_for_cs(channel, fd, sequence, timeoutUs));
  const floats = (count: number) => {
    const { buffer, byteOffset } = bench.device().hbm.view(PAGE, count * 4);
    return new Float32Array(buffer, byteOffset, count);
  };
  return { bench, process, channel, fd, handle, address, submit, wait, floats };
}

function fill(address: number, value: number, bytes = 16): Job {
  return { kind: 'kernel', kernel: 'fill_f32', tensors: [{ address, bytes }], scalars: [value] };
}

function dma(source: number, destination: number, bytes: number): Job {
  return { kind: 'dma', source, destination, bytes };
}

describe('command submission', () => {
  it('gives sequence numbers from 1, and runs nothing inside the submitting call', async () => {
    const { bench, address, submit, wait, floats } = await opened();
    expect(await submit(fill(address, 1))).toBe(1);
    expect(await submit(fill(address, 2))).toBe(2);
    expect(floats(1)[0]).toBe(0);
    expect(bench.device().usage().submissions).toBe(2);
    expect(await wait(2)).toBe('COMPLETED');
    expect(floats(1)[0]).toBe(2);
    expect(bench.device().usage().submissions).toBe(0);
  });

  it('runs jobs in submission order, across submissions too', async () => {
    const { address, submit, wait, floats } = await opened();
    const double: Job = {
      kind: 'kernel',
      kernel: 'reduce_sum_f32',
      tensors: Array.from({ length: 3 }, () => ({ address, bytes: 4 })),
      scalars: [],
    };
    const addOne: Job = {
      kind: 'kernel',
      kernel: 'scale_add_f32',
      tensors: [
        { address, bytes: 4 },
        { address: address + 4, bytes: 4 },
      ],
      scalars: [1],
    };
    await submit(fill(address, 1, 4), fill(address + 4, 1, 4), double);
    await submit(addOne, double);
    const last = await submit(double, addOne);
    expect(await wait(last)).toBe('COMPLETED');
    expect(floats(1)[0]).toBe((1 * 2 + 1) * 2 * 2 + 1);
  });

  it('waits: BUSY without waiting, TIMEDOUT at the deadline, COMPLETED for ever after', async () => {
    const { channel, fd, address, submit, wait } = await opened();
    const sequence = await submit(fill(address, 1));
    expect(await hlthunk.hlthunk_wait_for_cs(channel, fd, sequence, 0)).toBe('BUSY');
    expect(await wait(sequence)).toBe('COMPLETED');
    expect(await wait(sequence, 0)).toBe('COMPLETED');
    for (let round = 0; round < 2000; round++) await wait(await submit(fill(address, round)));
    expect(await wait(sequence)).toBe('COMPLETED');
  });

  it('TIMEDOUT after exactly the time asked for, when the device is slower', async () => {
    const bench = new DeviceBench();
    const { soon } = bench.scheduler;
    // A device whose every job takes 10 ms of virtual time.
    bench.scheduler.soon = (task) => {
      bench.scheduler.after(10, task);
    };
    const { channel } = bench.start();
    const fd = await hlthunk.hlthunk_open(channel, 0);
    const handle = await hlthunk.hlthunk_device_memory_alloc(channel, fd, PAGE);
    const address = await hlthunk.hlthunk_device_memory_map(channel, fd, handle);
    const sequence = await hlthunk.hlthunk_command_submission(channel, fd, [fill(address, 1)]);
    const wait = (timeoutUs: number) =>
      bench.run(hlthunk.hlthunk_wait_for_cs(channel, fd, sequence, timeoutUs));
    expect(await wait(2500)).toBe('TIMEDOUT');
    expect(bench.scheduler.clock.now()).toBe(2.5);
    expect(await wait(100_000)).toBe('COMPLETED');
    expect(bench.scheduler.clock.now()).toBe(10);
    bench.scheduler.soon = soon;
  });

  it('EINVAL: waiting for a submission that never was, or without a bound', async () => {
    const { address, submit, wait } = await opened();
    await submit(fill(address, 1));
    expect(await errnoOf(wait(0))).toBe('EINVAL');
    expect(await errnoOf(wait(2))).toBe('EINVAL');
    expect(await errnoOf(wait(1, 600_000_001))).toBe('EINVAL');
  });

  it(`EAGAIN beyond ${CS_IN_FLIGHT_MAX} in flight, with no effect; and room again later`, async () => {
    const { address, submit, wait } = await opened();
    for (let index = 1; index <= CS_IN_FLIGHT_MAX; index++) {
      expect(await submit(fill(address, index))).toBe(index);
    }
    expect(await errnoOf(submit(fill(address, 0)))).toBe('EAGAIN');
    expect(await wait(1)).toBe('COMPLETED');
    expect(await submit(fill(address, 0))).toBe(CS_IN_FLIGHT_MAX + 1);
  });

  it(`takes ${JOBS_PER_CS_MAX} jobs; EINVAL for none and for one more`, async () => {
    const { address, submit, wait, floats } = await opened();
    const jobs = Array.from({ length: JOBS_PER_CS_MAX }, (_, index) => fill(address, index));
    expect(await wait(await submit(...jobs))).toBe('COMPLETED');
    expect(floats(1)[0]).toBe(JOBS_PER_CS_MAX - 1);
    expect(await errnoOf(submit())).toBe('EINVAL');
    expect(await errnoOf(submit(...jobs, fill(address, 0)))).toBe('EINVAL');
  });

  it('one bad job refuses the whole submission', async () => {
    const { address, submit, floats, wait } = await opened();
    expect(await errnoOf(submit(fill(address, 9), fill(0, 1)))).toBe('EFAULT');
    expect(await wait(await submit(fill(address + 64, 1)))).toBe('COMPLETED');
    expect(floats(1)[0]).toBe(0);
  });

  it('memory that was unmapped or reused since submission: ABORTED, untouched; later work runs', async () => {
    const { channel, fd, handle, address, submit, wait, floats } = await opened();
    const lost = await submit(fill(address, 1));
    await hlthunk.hlthunk_memory_unmap(channel, fd, address);
    await hlthunk.hlthunk_device_memory_free(channel, fd, handle);
    const again = await hlthunk.hlthunk_device_memory_alloc(channel, fd, 4 * PAGE);
    expect(await hlthunk.hlthunk_device_memory_map(channel, fd, again)).toBe(address);
    const next = await submit(fill(address + 16, 5));
    expect(await wait(lost)).toBe('ABORTED');
    expect(await wait(next)).toBe('COMPLETED');
    expect(await wait(lost)).toBe('ABORTED');
    expect([...floats(5)]).toEqual([0, 0, 0, 0, 5]);
  });

  it('closing the device with work in flight ends the waits', async () => {
    const { bench, channel, fd, address, submit, wait } = await opened();
    const sequence = await submit(fill(address, 1));
    const waiting = wait(sequence);
    await hlthunk.hlthunk_close(channel, fd);
    expect(await waiting).toBe('ABORTED');
    expect(bench.device().usage().state).toBe('free');
  });
});

describe('bounds of command submission', () => {
  it(`EAGAIN beyond ${CS_WAITS_MAX} pending waits`, async () => {
    const { bench, channel, fd, address, submit } = await opened();
    const sequence = await submit(fill(address, 1));
    const wait = () => hlthunk.hlthunk_wait_for_cs(channel, fd, sequence, 1000);
    const waits = Array.from({ length: CS_WAITS_MAX }, wait);
    expect(await errnoOf(wait())).toBe('EAGAIN');
    const statuses = await bench.run(Promise.all(waits));
    expect(new Set(statuses)).toEqual(new Set(['COMPLETED']));
  });

  it('of an aborted submission nothing is claimed once it is forgotten', async () => {
    const { channel, fd, submit, wait } = await opened();
    for (let round = 1; round <= CS_ABORTS_REMEMBERED + 1; round++) {
      const host = await hlthunk.hlthunk_host_memory_map(channel, fd, 64, 8);
      await submit(dma(host, host + 4, 4));
      await hlthunk.hlthunk_memory_unmap(channel, fd, host);
      expect(await wait(round)).toBe('ABORTED');
    }
    expect(await errnoOf(wait(1))).toBe('EINVAL');
    expect(await wait(2)).toBe('ABORTED');
  });

  it('a busy device gives the thread away after every slice of time', async () => {
    let nowMs = 0;
    const turns: string[] = [];
    const tasks: (() => void)[] = [];
    // A clock on which every job takes 2 ms.
    const push = (turn: string) => (task: () => void) => {
      turns.push(turn);
      tasks.push(() => {
        nowMs += 2;
        task();
      });
    };
    const clock = { kind: 'virtual', now: () => nowMs, unixMs: () => nowMs } as const;
    const after = (delayMs: number, task: () => void) => {
      // The limit of a submission's time, which this test does not reach.
      if (delayMs === 0) push('after 0')(task);
      return () => undefined;
    };
    const scheduler = { clock, soon: push('soon'), after };
    const hbm = new Hbm(PAGE);
    const mmu = new Mmu();
    const offset = hbm.allocate(PAGE, PAGE) as number;
    const mapping = mmu.mapDram({ handle: 1, offset, bytes: PAGE }, NO_HINT);
    if (typeof mapping === 'string') throw new Error(mapping);
    const kernels = loadKernels(hbm.memory);
    const commands = new CommandSubmissions({ hbm, mmu, kernels }, scheduler);
    commands.submit(Array.from({ length: 8 }, () => fill(mapping.virtualAddress, 1)));
    for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) task();
    expect(turns).toEqual('soon,soon,soon,after 0,soon,soon,soon,after 0'.split(','));
    expect(commands.inFlightCount).toBe(0);
  });
});

describe('DMA', () => {
  it('moves bytes host to device, within the device, and back, at any alignment', async () => {
    const { process, channel, fd, address, submit, wait } = await opened();
    const from = process.userBytes(101, 1000) ?? new Uint8Array();
    const to = process.userBytes(5003, 1000) ?? new Uint8Array();
    from.forEach((_, index) => {
      from[index] = index * 13;
    });
    const source = await hlthunk.hlthunk_host_memory_map(channel, fd, 101, 1000);
    const destination = await hlthunk.hlthunk_host_memory_map(channel, fd, 5003, 1000);
    const sequence = await submit(
      dma(source, address + 3, 1000),
      dma(address + 3, address + 2 * PAGE + 1, 1000),
      dma(address + 2 * PAGE + 1, destination, 999),
    );
    expect(await wait(sequence)).toBe('COMPLETED');
    expect([...to]).toEqual([...from.subarray(0, 999), 0]);
  });

  it('EFAULT: a range that is not all in one mapping; EINVAL: ranges that overlap', async () => {
    const { channel, fd, address, submit } = await opened();
    const host = await hlthunk.hlthunk_host_memory_map(channel, fd, 64, 100);
    expect(await errnoOf(submit(dma(host, address, 101)))).toBe('EFAULT');
    expect(await errnoOf(submit(dma(host - 1, address, 4)))).toBe('EFAULT');
    expect(await errnoOf(submit(dma(address, host, 101)))).toBe('EFAULT');
    expect(await errnoOf(submit(dma(host, address + 4 * PAGE - 4, 8)))).toBe('EFAULT');
    expect(await errnoOf(submit(dma(address, address + 8, 9)))).toBe('EINVAL');
    expect(await errnoOf(submit(dma(address, address, Number.MAX_SAFE_INTEGER)))).toBe('EINVAL');
  });
});

describe('kernel jobs are checked against the table at submission', () => {
  const scalarsOf = (name: KernelName) => Object.values(KERNELS[name].scalars).map(() => 1);
  const names = Object.keys(KERNELS) as KernelName[];

  it.each(names)('%s: EINVAL for a missing or extra tensor or scalar', async (kernel) => {
    const { address, submit } = await opened();
    const tensors = tensorsOf(KERNELS[kernel]).map(({ elementBytes }, index) => ({
      address: address + index * 4096,
      bytes: elementBytes,
    }));
    const scalars = scalarsOf(kernel);
    const job = { kind: 'kernel', kernel, tensors, scalars } as const;
    expect(await submit(job)).toBe(1);
    expect(await errnoOf(submit({ ...job, tensors: tensors.slice(1) }))).toBe('EINVAL');
    const extra = [...tensors, { address, bytes: 4 }];
    expect(await errnoOf(submit({ ...job, tensors: extra }))).toBe('EINVAL');
    expect(await errnoOf(submit({ ...job, scalars: [...scalars, 1] }))).toBe('EINVAL');
    if (scalars.length === 0) return;
    expect(await errnoOf(submit({ ...job, scalars: scalars.slice(1) }))).toBe('EINVAL');
  });

  const sum = (address: number, a: number, b: number, bytes = 64): Job => ({
    kind: 'kernel',
    kernel: 'reduce_sum_f32',
    tensors: [address, a, b].map((at) => ({ address: at, bytes })),
    scalars: [],
  });

  it('EINVAL: sizes that differ, are no multiple of 4, or an address that is none', async () => {
    const { address, submit } = await opened();
    const job = sum(address, address + 256, address + 512);
    if (job.kind !== 'kernel') return;
    const [, ...others] = job.tensors;
    const first = (bytes: number) => ({ ...job, tensors: [{ address, bytes }, ...others] });
    expect(await errnoOf(submit(first(60)))).toBe('EINVAL');
    expect(await errnoOf(submit(sum(address, address + 256, address + 512, 62)))).toBe('EINVAL');
    expect(await errnoOf(submit(sum(address + 2, address + 256, address + 512)))).toBe('EINVAL');
  });

  it('tensors are whole elements at multiples of their size, whatever that is', async () => {
    const { address, submit } = await opened();
    const multiply = (kernel: KernelName, at: number, bytes: number, scalars: number[]): Job => ({
      kind: 'kernel',
      kernel,
      tensors: [
        { address: at, bytes },
        { address: address + 4096, bytes },
      ],
      scalars,
    });
    expect(await submit(multiply('multiply_i8', address + 1, 3, [-1]))).toBe(1);
    expect(await submit(multiply('multiply_bf16', address + 2, 6, [0.5]))).toBe(2);
    expect(await submit(multiply('multiply_f64', address + 8, 24, [0.1]))).toBe(3);
    expect(await submit(multiply('multiply_u64', address + 8, 24, [1, 2]))).toBe(4);
    for (const wrong of [
      multiply('multiply_bf16', address + 1, 6, [0.5]),
      multiply('multiply_bf16', address + 2, 7, [0.5]),
      multiply('multiply_f64', address + 4, 24, [0.1]),
      multiply('multiply_f64', address + 8, 20, [0.1]),
      multiply('multiply_u64', address + 8, 24, [1, 2 ** 32]),
      multiply('multiply_i8', address, 3, [2 ** 31]),
      multiply('multiply_i8', address, 3, [0.5]),
      multiply('divide_i8', address, 3, [0]),
    ]) {
      expect(await errnoOf(submit(wrong)), JSON.stringify(wrong)).toBe('EINVAL');
    }
  });

  it('in place is allowed, partial overlap is EINVAL', async () => {
    const { address, submit } = await opened();
    const b = address + 4096;
    expect(await submit(sum(address, address, b))).toBe(1);
    expect(await submit(sum(address, b, address))).toBe(2);
    expect(await submit(sum(address, b, b + 4))).toBe(3);
    expect(await errnoOf(submit(sum(address, address + 4, b)))).toBe('EINVAL');
    expect(await errnoOf(submit(sum(address + 60, b, address)))).toBe('EINVAL');
  });

  it('matrix shapes must fit their tensors, and c must be apart from a and b', async () => {
    const { address, submit } = await opened();
    const matmul = (c: number, cBytes: number, m: number, transposeA = 0): Job => ({
      kind: 'kernel',
      kernel: 'matmul_f32',
      tensors: [
        { address: c, bytes: cBytes },
        { address: address + 4096, bytes: 2 * 3 * 4 },
        { address: address + 8192, bytes: 3 * 5 * 4 },
      ],
      scalars: [m, 3, 5, transposeA, 0, 0],
    });
    expect(await submit(matmul(address, 40, 2))).toBe(1);
    expect(await errnoOf(submit(matmul(address, 44, 2)))).toBe('EINVAL');
    expect(await errnoOf(submit(matmul(address, 60, 3)))).toBe('EINVAL');
    expect(await errnoOf(submit(matmul(address, 40, 2, 2)))).toBe('EINVAL');
    expect(await errnoOf(submit(matmul(address, 40, 2 ** 32 + 2)))).toBe('EINVAL');
    expect(await errnoOf(submit(matmul(address + 4096, 40, 2)))).toBe('EINVAL');
  });

  it('EFAULT: host memory, and memory beyond the mapping', async () => {
    const { channel, fd, address, submit } = await opened();
    const host = await hlthunk.hlthunk_host_memory_map(channel, fd, 64, 100);
    expect(await errnoOf(submit(fill(host, 1)))).toBe('EFAULT');
    expect(await errnoOf(submit(fill(address + 4 * PAGE - 12, 1)))).toBe('EFAULT');
  });

  it.each([
    ['jobs that are no array', { jobs: 3 }],
    ['a job that is no object', { jobs: [null] }],
    ['an unknown kind', { jobs: [{ kind: 'sync' }] }],
    ['an unknown kernel', { jobs: [{ kind: 'kernel', kernel: 'constructor' }] }],
    [
      'a tensor that is none',
      { jobs: [{ kind: 'kernel', kernel: 'fill_f32', tensors: [1], scalars: [1] }] },
    ],
    [
      'a scalar that is none',
      { jobs: [{ kind: 'kernel', kernel: 'fill_f32', tensors: [], scalars: ['1'] }] },
    ],
    ['a negative length', { jobs: [{ kind: 'dma', source: 1, destination: 2, bytes: -1 }] }],
  ])('EINVAL: %s', async (_, argument) => {
    const { channel, fd } = await opened();
    const call = channel.call('ioctl', { fd, request: 'HL_IOCTL_CS', argument });
    expect(await errnoOf(call)).toBe('EINVAL');
  });
});
