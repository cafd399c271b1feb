/** Allocating and mapping device memory. */
import * as hlthunk from '../../../../node/device/hlthunk.ts';
import { slotsOf } from '../shadow-buffer.ts';
import { type Opening, PAGE_BYTES } from '../shadow-device.ts';
import type { Memory } from '../simulated-user.ts';
import type { World } from '../world.ts';
import { owners } from './device-operations.ts';
import { attempt, type Operation, outcomeOf } from './operation.ts';

/** Allocations of one open, so that a device never fills up with the random program's. */
const MEMORIES_MAX = 4;

function memoriesOf(world: World, opening: Opening): Memory[] {
  return [...world.memories].filter((memory) => memory.opening === opening);
}

/** A memory of an owner that satisfies the condition. */
export function pickMemory(world: World, condition: (memory: Memory) => boolean) {
  const choices = owners(world).flatMap(({ user, fd, opening }) =>
    memoriesOf(world, opening)
      .filter((memory) => !memory.busy && condition(memory))
      .map((memory) => ({ user, fd, memory })),
  );
  return choices.length === 0 ? undefined : world.pick(choices);
}

/** Bytes that name their owner and their place. */
function tag(world: World, memory: Memory): void {
  const { offset, bytes, opening } = memory.allocation;
  const device = memory.opening.device;
  const words = new Uint32Array(device.bytes.buffer, offset, bytes / 4);
  const base = (memory.opening.number << 20) ^ (memory.opening.pid << 8);
  for (let at = 16; at < words.length; at += 16) words[at] = (base + at) >>> 0;
  words[0] = 0;
  words[1] = 0;
  device.wrote(offset, bytes, world.number(), opening?.number ?? 0);
}

export const MEMORY_OPERATIONS: readonly Operation[] = [
  {
    kind: 'alloc',
    weight: 12,
    prepare(world) {
      const choices = owners(world).filter(
        ({ opening }) => memoriesOf(world, opening).length < MEMORIES_MAX,
      );
      if (choices.length === 0) return undefined;
      const { user, fd, opening } = world.pick(choices);
      const bytes = PAGE_BYTES * (1 + world.prng.below(2));
      return async () => {
        const call = hlthunk.hlthunk_device_memory_alloc(user.channel, fd, bytes);
        const allocated = await attempt(user, call);
        const allocation = opening.device.lastAllocation;
        if (!allocated.ok || allocation === undefined || opening.state !== 'open') {
          return `${user.name} ${outcomeOf(allocated)}`;
        }
        const memory: Memory = {
          opening,
          handle: allocated.value,
          allocation,
          address: undefined,
          busy: false,
          buffers: new Set(),
          slots: slotsOf(allocation.offset, allocation.bytes),
          counter: { added: 0, uncertain: 0, outstanding: 0, fetched: new Set() },
        };
        tag(world, memory);
        world.memories.add(memory);
        return `${user.name} ${opening.device.name} handle ${memory.handle} at ${allocation.offset}`;
      };
    },
  },
  {
    kind: 'map',
    weight: 14,
    prepare(world) {
      const choice = pickMemory(world, ({ address }) => address === undefined);
      if (choice === undefined) return undefined;
      const { user, fd, memory } = choice;
      return async () => {
        memory.busy = true;
        const call = hlthunk.hlthunk_device_memory_map(user.channel, fd, memory.handle);
        const mapped = await attempt(user, call);
        memory.busy = false;
        if (mapped.ok) memory.address = mapped.value;
        return `${user.name} ${outcomeOf(mapped)}`;
      };
    },
  },
  {
    kind: 'unmap',
    weight: 2,
    prepare(world) {
      const choice = pickMemory(world, ({ address }) => address !== undefined);
      if (choice === undefined) return undefined;
      const { user, fd, memory } = choice;
      return async () => {
        memory.busy = true;
        const exported = [...memory.buffers].filter(({ dmaBuf }) => dmaBuf.file.references > 0);
        const call = hlthunk.hlthunk_memory_unmap(user.channel, fd, memory.address ?? 0);
        const unmapped = await attempt(user, call);
        memory.busy = false;
        world.findings.check(
          'I13',
          !unmapped.ok || exported.every(({ dmaBuf }) => dmaBuf.file.references === 0),
          () =>
            `Expected memory ${memory.handle} of ${user.name} to stay mapped while it is exported`,
        );
        if (unmapped.ok) memory.address = undefined;
        return `${user.name} ${outcomeOf(unmapped)}`;
      };
    },
  },
  {
    kind: 'free',
    weight: 2,
    prepare(world) {
      const choice = pickMemory(world, () => true);
      if (choice === undefined) return undefined;
      const { user, fd, memory } = choice;
      return async () => {
        memory.busy = true;
        const wasMapped = memory.address !== undefined;
        const call = hlthunk.hlthunk_device_memory_free(user.channel, fd, memory.handle);
        const freed = await attempt(user, call);
        memory.busy = false;
        world.findings.check(
          'I13',
          !(freed.ok && wasMapped),
          () =>
            `Expected memory ${memory.handle} of ${user.name} not to be freed while it is mapped`,
        );
        if (freed.ok) world.memories.delete(memory);
        return `${user.name} ${outcomeOf(freed)}`;
      };
    },
  },
];
