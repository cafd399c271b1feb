/** Exporting memory and passing descriptors on. */
import * as hlthunk from '../../../../node/device/hlthunk.ts';
import { dma_buf_get, dma_buf_put } from '../../../../node/dmabuf/export.ts';
import { BufferWatch } from '../buffer-watch.ts';
import { ShadowBuffer } from '../shadow-buffer.ts';
import type { Opening } from '../shadow-device.ts';
import type { Memory, SimulatedUser } from '../simulated-user.ts';
import type { World } from '../world.ts';
import { closeDevice, owners } from './device-operations.ts';
import { attempt, type Operation, outcomeOf } from './operation.ts';

async function exportMemory(
  world: World,
  user: SimulatedUser,
  fd: number,
  opening: Opening,
  memory: Memory,
): Promise<string> {
  memory.busy = true;
  const { bytes, offset } = memory.allocation;
  const call = hlthunk.hlthunk_device_mapped_memory_export_dmabuf_fd(
    user.channel,
    fd,
    memory.address ?? 0,
    bytes,
  );
  const exported = await attempt(user, call);
  memory.busy = false;
  if (!exported.ok || user.state === 'dead' || opening.state !== 'open') {
    return `${user.name} ${outcomeOf(exported)}`;
  }
  const dmaBuf = dma_buf_get(user.process, exported.value);
  if (typeof dmaBuf === 'string') return `${user.name} ${dmaBuf}`;
  dma_buf_put(dmaBuf);
  const id = world.number();
  const host = user.host.index;
  const { slots, counter } = memory;
  if (memory.buffers.size === 0) opening.device.bytes.fill(0, offset, offset + 8);
  const size = bytes;
  const buffer = new ShadowBuffer({ id, opening, host, offset, size, dmaBuf, slots, counter });
  buffer.descriptors = 1;
  buffer.watch = new BufferWatch(`dma-buf ${id}`, dmaBuf, world.findings);
  memory.buffers.add(buffer);
  world.model.buffers.add(buffer);
  user.descriptors.set(exported.value, { kind: 'buffer', buffer });
  return `${user.name} fd ${exported.value} buffer ${id}`;
}

/** Closes a descriptor that is not a device's last hold. */
async function closeDescriptor(world: World, user: SimulatedUser, fd: number): Promise<string> {
  const descriptor = user.descriptors.get(fd);
  if (descriptor === undefined) return 'gone';
  if (descriptor.kind === 'device') return closeDevice(world, user, fd, descriptor.opening);
  user.descriptors.delete(fd);
  if (descriptor.kind === 'buffer') descriptor.buffer.descriptors--;
  const closed = await attempt(user, hlthunk.hlthunk_close(user.channel, fd));
  return `${user.name} fd ${fd} ${descriptor.kind} ${outcomeOf(closed)}`;
}

function dup(from: SimulatedUser, to: SimulatedUser, fd: number): string {
  const descriptor = from.descriptors.get(fd);
  const file = from.process.fds.lookup(fd);
  if (descriptor === undefined || typeof file === 'string') return 'gone';
  const copy = to.process.fds.reserve();
  if (typeof copy !== 'number') return copy;
  to.process.fds.install(copy, file.get());
  if (descriptor.kind === 'device') descriptor.opening.descriptors++;
  if (descriptor.kind === 'buffer') descriptor.buffer.descriptors++;
  to.descriptors.set(copy, descriptor);
  return `${from.name} fd ${fd} -> ${to.name} fd ${copy}`;
}

/** Over a socket pair, whose other end the receiver has inherited (SCM_RIGHTS, unix(7)). */
async function sendFd(from: SimulatedUser, to: SimulatedUser, fd: number): Promise<string> {
  const descriptor = from.descriptors.get(fd);
  if (descriptor?.kind !== 'buffer') return 'gone';
  const pair = await attempt(from, from.channel.call('socketpair', {}));
  if (!pair.ok) return pair.errno;
  const [near = -1, far = -1] = pair.value as number[];
  const socket = from.process.fds.lookup(far);
  const inherited = to.process.fds.reserve();
  if (typeof socket === 'string' || typeof inherited === 'string') return 'no room';
  to.process.fds.install(inherited, socket.get());
  const message = { fd: near, data: 'buffer', fds: [fd] };
  const sent = await attempt(from, from.channel.call('sendmsg', message));
  const receive = to.channel.call('recvmsg', { fd: inherited, timeoutMs: 10 });
  const received = await attempt(to, receive);
  await Promise.all([
    ...[near, far].map((one) => attempt(from, hlthunk.hlthunk_close(from.channel, one))),
    attempt(to, hlthunk.hlthunk_close(to.channel, inherited)),
  ]);
  const what = `${from.name} fd ${fd} -> ${to.name}`;
  if (!received.ok || to.state === 'dead') return `${what} ${outcomeOf(sent)}`;
  const { fds } = received.value as unknown as { readonly fds: readonly number[] };
  for (const copy of fds) {
    descriptor.buffer.descriptors++;
    to.descriptors.set(copy, descriptor);
  }
  return `${what} fd ${fds.join(' ')}`;
}

export const BUFFER_OPERATIONS: readonly Operation[] = [
  {
    kind: 'export',
    weight: 12,
    prepare(world) {
      const choices = owners(world).flatMap(({ user, fd, opening }) =>
        [...world.memories]
          .filter(
            (memory) => memory.opening === opening && memory.address !== undefined && !memory.busy,
          )
          .filter(({ buffers }) => ![...buffers].some(({ state }) => state === 'live'))
          .map((memory) => ({ user, fd, opening, memory })),
      );
      if (choices.length === 0) return undefined;
      const { user, fd, opening, memory } = world.pick(choices);
      return () => exportMemory(world, user, fd, opening, memory);
    },
  },
  {
    kind: 'dup',
    weight: 2,
    prepare(world) {
      const choices = world.users.filter(({ descriptors }) => descriptors.size > 0);
      if (choices.length === 0) return undefined;
      const user = world.pick(choices);
      const fd = world.pick([...user.descriptors.keys()]);
      return async () => dup(user, user, fd);
    },
  },
  {
    kind: 'passFd',
    weight: 4,
    prepare(world) {
      const choices = world.users.flatMap((from) =>
        world.users
          .filter((to) => to !== from && to.host === from.host)
          .flatMap((to) => from.buffers().map(({ fd }) => ({ from, to, fd }))),
      );
      if (choices.length === 0) return undefined;
      const { from, to, fd } = world.pick(choices);
      return world.chance(0.5) ? async () => dup(from, to, fd) : () => sendFd(from, to, fd);
    },
  },
  {
    kind: 'closeFd',
    weight: 3,
    prepare(world) {
      const choices = world.users.flatMap((user) =>
        [...user.descriptors]
          .filter(([, { kind }]) => kind !== 'device')
          .map(([fd]) => ({ user, fd })),
      );
      if (choices.length === 0) return undefined;
      const { user, fd } = world.pick(choices);
      return () => closeDescriptor(world, user, fd);
    },
  },
];
