/** Work for a device's own engines: the DMA engine and kernels. */
import * as hlthunk from '../../../../node/device/hlthunk.ts';
import { copyUnseen } from '../memory-probe.ts';
import type { Memory, SimulatedUser } from '../simulated-user.ts';
import type { World } from '../world.ts';
import { pickMemory } from './memory-operations.ts';
import { attempt, type Operation } from './operation.ts';

const DMA_BYTES = 4096;
const WAIT_US = 1_000_000;

/** User memory to the device and back, and the bytes must be the same. */
async function dmaRoundTrip(
  world: World,
  user: SimulatedUser,
  fd: number,
  memory: Memory,
): Promise<string> {
  memory.busy = true;
  user.staging = true;
  const bytes = new Uint8Array(user.process.memory, 0, 2 * DMA_BYTES);
  const sent = bytes.subarray(0, DMA_BYTES).fill(world.number() & 0xff);
  bytes.subarray(DMA_BYTES).fill(0);
  const address = memory.address ?? 0;
  const result = await attempt(user, dmaJobs(user, fd, address));
  memory.busy = false;
  user.staging = false;
  if (result.ok && result.value === 'COMPLETED') {
    const back = bytes.subarray(DMA_BYTES);
    world.findings.check(
      'I6',
      Buffer.compare(sent, back) === 0,
      () => `Expected DMA of ${user.name} to bring back what it sent`,
    );
  }
  return `${user.name} ${result.ok ? result.value : result.errno}`;
}

async function dmaJobs(user: SimulatedUser, fd: number, address: number) {
  const { channel } = user;
  const host = await hlthunk.hlthunk_host_memory_map(channel, fd, 0, 2 * DMA_BYTES);
  const sequence = await hlthunk.hlthunk_command_submission(channel, fd, [
    { kind: 'dma', source: host, destination: address, bytes: DMA_BYTES },
    { kind: 'dma', source: address, destination: host + DMA_BYTES, bytes: DMA_BYTES },
  ]);
  const status = await hlthunk.hlthunk_wait_for_cs(channel, fd, sequence, WAIT_US);
  await hlthunk.hlthunk_memory_unmap(channel, fd, host);
  return status;
}

async function runKernel(
  world: World,
  user: SimulatedUser,
  fd: number,
  memory: Memory,
): Promise<string> {
  memory.busy = true;
  const { channel } = user;
  const { offset } = memory.allocation;
  const { device, number } = memory.opening;
  const value = world.number();
  const tensor = { address: memory.address ?? 0, bytes: DMA_BYTES };
  const work = async () => {
    const job = {
      kind: 'kernel',
      kernel: 'fill_f32',
      tensors: [tensor],
      scalars: [value],
    } as const;
    device.wrote(offset, DMA_BYTES, value, number);
    const sequence = await hlthunk.hlthunk_command_submission(channel, fd, [job]);
    return hlthunk.hlthunk_wait_for_cs(channel, fd, sequence, WAIT_US);
  };
  const result = await attempt(user, work());
  memory.busy = false;
  if (result.ok && result.value === 'COMPLETED' && memory.opening.state === 'open') {
    const words = new Float32Array(device.bytes.buffer, offset, DMA_BYTES / 4);
    world.findings.check(
      'I6',
      words.every((word) => word === value),
      () => `Expected the kernel of ${user.name} to fill its tensor`,
    );
    copyUnseen(device.bytes.subarray(offset, offset + 4), new Uint8Array([1, 2, 3, 4]));
  }
  return `${user.name} ${result.ok ? result.value : result.errno}`;
}

export const ENGINE_OPERATIONS: readonly Operation[] = [
  {
    kind: 'dma',
    weight: 4,
    prepare(world) {
      const choice = pickMemory(
        world,
        ({ address, buffers }) => address !== undefined && buffers.size === 0,
      );
      if (choice === undefined || choice.user.staging) return undefined;
      return () => dmaRoundTrip(world, choice.user, choice.fd, choice.memory);
    },
  },
  {
    kind: 'kernel',
    weight: 2,
    prepare(world) {
      const choice = pickMemory(
        world,
        ({ address, buffers }) => address !== undefined && buffers.size === 0,
      );
      if (choice === undefined) return undefined;
      return () => runKernel(world, choice.user, choice.fd, choice.memory);
    },
  },
];
