/** The kernels' steps, submitted to a device, against the plain model. */
import { describe, expect, it } from 'vitest';
import { defined } from '../../common/assert.ts';
import { roundUp } from '../../common/math.ts';
import {
  hlthunk_command_submission,
  hlthunk_device_memory_alloc,
  hlthunk_device_memory_map,
  hlthunk_host_memory_map,
  hlthunk_open,
  hlthunk_wait_for_cs,
} from '../../node/device/hlthunk.ts';
import type { Job } from '../../node/device/job.ts';
import { gradientBuckets } from '../../training/buckets.ts';
import { type Digits, PIXELS } from '../../training/digits.ts';
import {
  initialParameters,
  LEARNING_RATE,
  METRIC_COUNT,
  type Model,
  modelOf,
} from '../../training/model.ts';
import { allocateModel } from '../../training/model-memory.ts';
import {
  clearEpochJobs,
  type DeviceRows,
  deviceRows,
  evaluationJobs,
  gradientJobs,
  updateJobs,
} from '../../training/step.ts';
import { submissionsOf } from '../../training/submissions.ts';
import { DeviceBench } from '../node/device/device-bench.ts';
import { plainGradient } from './plain-model.ts';
import { firstDigits } from './samples.ts';

const ROWS = 33;
const MODEL = modelOf([32, 24]);
const { parameterCount: PARAMETER_COUNT, gradientCount: GRADIENT_COUNT } = MODEL;
/** Each layer alone. */
const BUCKETS = gradientBuckets(MODEL, 1);

/** A device with the model's buffers, the parameters of seed 1, and rows of the data set. */
async function modelOnDevice(digits: Digits, model: Model = MODEL) {
  const { gradientCount } = model;
  const bench = new DeviceBench();
  const { channel, process } = bench.start();
  const fd = await bench.run(hlthunk_open(channel, 0));
  const run = async (jobs: readonly Job[]) => {
    const sequence = await bench.run(hlthunk_command_submission(channel, fd, jobs));
    const status = await bench.run(hlthunk_wait_for_cs(channel, fd, sequence, 1_000_000));
    expect(status).toBe('COMPLETED');
  };
  const allocate = async (count: number) => {
    const handle = await bench.run(hlthunk_device_memory_alloc(channel, fd, count * 4));
    return bench.run(hlthunk_device_memory_map(channel, fd, handle));
  };
  const stagingBytes = roundUp(Math.max(gradientCount, digits.rows * PIXELS) * 4, 64);
  const staging = await bench.run(hlthunk_host_memory_map(channel, fd, 64, stagingBytes));
  const write = async (address: number, values: Float32Array) => {
    new Float32Array(process.memory, 64, values.length).set(values);
    await run([{ kind: 'dma', source: staging, destination: address, bytes: values.byteLength }]);
  };
  const read = async (address: number, count: number) => {
    await run([{ kind: 'dma', source: address, destination: staging, bytes: count * 4 }]);
    return new Float32Array(process.memory, 64, count).slice();
  };
  const memory = await allocateModel(
    { allocate: (bytes) => allocate(bytes / 4) },
    model,
    digits.rows,
  );
  const table: DeviceRows = {
    rows: digits.rows,
    pixels: await allocate(digits.rows * PIXELS),
    labels: await allocate(digits.rows),
  };
  await write(memory.parameters, initialParameters(model, 1));
  await write(table.pixels, digits.pixels);
  await write(table.labels, digits.labels);
  return { run, read, write, memory, table };
}

function fillJob(address: number, count: number): Job {
  const tensors = [{ address, bytes: count * 4 }];
  return { kind: 'kernel', kernel: 'fill_f32', tensors, scalars: [0] };
}

/** Largest difference, relative to the largest expected value. */
function error(found: Float32Array, expected: ArrayLike<number>): number {
  let scale = 0;
  let worst = 0;
  for (let index = 0; index < expected.length; index++) {
    const value = expected[index] ?? Number.NaN;
    scale = Math.max(scale, Math.abs(value));
    worst = Math.max(worst, Math.abs((found[index] ?? Number.NaN) - value));
  }
  return worst / scale;
}

describe('gradientJobs()', () => {
  it.each([1, 4, ROWS])('on %i rows give the plain gradient, loss and count', async (rows) => {
    const digits = firstDigits(rows);
    const { run, read, memory, table } = await modelOnDevice(digits);
    await run(gradientJobs(memory, table, 64, BUCKETS).flat());
    const found = await read(memory.gradients, GRADIENT_COUNT);
    const { gradient, loss, correct } = plainGradient(
      MODEL,
      initialParameters(MODEL, 1),
      digits,
      64,
    );
    expect(error(found.subarray(0, PARAMETER_COUNT), gradient)).toBeLessThan(1e-5);
    expect(Math.abs((found[PARAMETER_COUNT] ?? 0) / loss - 1)).toBeLessThan(1e-5);
    expect(found[PARAMETER_COUNT + 1]).toBe(correct);
  });

  it('of one bucket after the other complete its range of the buffer, and no other', async () => {
    const { run, read, memory, table } = await modelOnDevice(firstDigits(ROWS));
    await run(gradientJobs(memory, table, 64, BUCKETS).flat());
    const whole = await read(memory.gradients, GRADIENT_COUNT);
    const expected = new Float32Array(GRADIENT_COUNT);
    await run([fillJob(memory.gradients, GRADIENT_COUNT)]);
    for (const [index, jobs] of gradientJobs(memory, table, 64, BUCKETS).entries()) {
      await run(jobs);
      const { offset, count } = defined(BUCKETS[index], `bucket ${index}`);
      expected.set(whole.subarray(offset, offset + count), offset);
      expect(await read(memory.gradients, GRADIENT_COUNT), `bucket ${index}`).toEqual(expected);
    }
    expect(expected).toEqual(whole);
  });

  it('of a wide model come in parts of rows, and give the plain gradient all the same', async () => {
    const model = modelOf([512, 256]);
    const digits = firstDigits(50);
    const { run, read, memory, table } = await modelOnDevice(digits, model);
    const [jobs = []] = gradientJobs(memory, table, 50, gradientBuckets(model, 2 ** 30));
    const submissions = submissionsOf(jobs);
    expect(submissions.length).toBeGreaterThan(5);
    for (const part of submissions) await run(part);
    const found = await read(memory.gradients, model.parameterCount);
    const { gradient } = plainGradient(model, initialParameters(model, 1), digits, 50);
    expect(error(found, gradient)).toBeLessThan(1e-5);
  });

  it('on no rows give zeros, over what an earlier batch left', async () => {
    const { run, read, memory, table } = await modelOnDevice(firstDigits(4));
    await run(gradientJobs(memory, table, 4, BUCKETS).flat());
    await run(gradientJobs(memory, deviceRows(table, 4, 0), 4, BUCKETS).flat());
    expect([...(await read(memory.gradients, GRADIENT_COUNT))].every((value) => value === 0)).toBe(
      true,
    );
  });

  it('on the parts of a batch add up to those on the batch', async () => {
    const digits = firstDigits(9);
    const { run, read, memory, table } = await modelOnDevice(digits);
    const sum = new Float32Array(GRADIENT_COUNT);
    for (const [first, rows] of [
      [0, 4],
      [4, 0],
      [4, 5],
    ] as const) {
      await run(gradientJobs(memory, deviceRows(table, first, rows), 9, BUCKETS).flat());
      const part = await read(memory.gradients, GRADIENT_COUNT);
      for (const [index, value] of part.entries()) sum[index] = (sum[index] ?? 0) + value;
    }
    await run(gradientJobs(memory, table, 9, BUCKETS).flat());
    const whole = await read(memory.gradients, GRADIENT_COUNT);
    expect(
      error(sum.subarray(0, PARAMETER_COUNT), whole.subarray(0, PARAMETER_COUNT)),
    ).toBeLessThan(1e-5);
    expect(sum[PARAMETER_COUNT + 1]).toBe(whole[PARAMETER_COUNT + 1]);
  });
});

describe('updateJobs()', () => {
  it('move the parameters against the gradient and add the metrics to the epoch', async () => {
    const digits = firstDigits(ROWS);
    const { run, read, memory, table } = await modelOnDevice(digits);
    await run(clearEpochJobs(memory));
    await run(gradientJobs(memory, table, ROWS, BUCKETS).flat());
    await run([...updateJobs(memory), ...updateJobs(memory)]);
    const { gradient, loss, correct } = plainGradient(
      MODEL,
      initialParameters(MODEL, 1),
      digits,
      ROWS,
    );
    const expected = initialParameters(MODEL, 1).map(
      (value, index) => value - 2 * LEARNING_RATE * (gradient[index] ?? 0),
    );
    expect(error(await read(memory.parameters, PARAMETER_COUNT), expected)).toBeLessThan(1e-6);
    const [lossSum = 0, correctSum] = await read(memory.epochMetrics, METRIC_COUNT);
    expect(Math.abs(lossSum / (2 * loss) - 1)).toBeLessThan(1e-5);
    expect(correctSum).toBe(2 * correct);
  });
});

describe('evaluationJobs()', () => {
  it('give loss and count, and change neither parameters nor gradients', async () => {
    const digits = firstDigits(ROWS);
    const { run, read, memory, table } = await modelOnDevice(digits);
    await run(gradientJobs(memory, table, ROWS, BUCKETS).flat());
    const before = await read(memory.gradients, GRADIENT_COUNT);
    await run(evaluationJobs(memory, table));
    const { loss, correct } = plainGradient(MODEL, initialParameters(MODEL, 1), digits, ROWS);
    const [found = 0, count] = await read(memory.heldOutMetrics, METRIC_COUNT);
    expect(Math.abs(found / loss - 1)).toBeLessThan(1e-5);
    expect(count).toBe(correct);
    expect(await read(memory.gradients, GRADIENT_COUNT)).toEqual(before);
    expect(await read(memory.parameters, PARAMETER_COUNT)).toEqual(initialParameters(MODEL, 1));
  });

  it('on no rows give zeros', async () => {
    const { run, read, memory, table } = await modelOnDevice(firstDigits(1));
    await run(evaluationJobs(memory, table));
    await run(evaluationJobs(memory, deviceRows(table, 1, 0)));
    expect([...(await read(memory.heldOutMetrics, METRIC_COUNT))]).toEqual([0, 0]);
  });
});
