/** Opening and closing devices. */
import * as hlthunk from '../../../../node/device/hlthunk.ts';
import { deviceClosed, handOver, revoked } from '../lifetimes.ts';
import { type Opening, PAGE_BYTES, type ShadowDevice } from '../shadow-device.ts';
import type { SimulatedUser } from '../simulated-user.ts';
import type { World } from '../world.ts';
import { attempt, type Operation, outcomeOf } from './operation.ts';

/** A descriptor that no process has: each has far fewer. */
const NO_DESCRIPTOR = 900;
/** Virtual time that a close under policy `revoke` may take: the driver's own deadline, and some. */
const CLOSE_MS_MAX = 6_000;

/** The user, with descriptors of devices that it may use. */
export function owners(world: World): { user: SimulatedUser; fd: number; opening: Opening }[] {
  return world.users.flatMap((user) =>
    user
      .devices()
      .filter(({ opening }) => opening.state === 'open')
      .map((one) => ({ user, ...one })),
  );
}

async function openDevice(world: World, user: SimulatedUser, device: ShadowDevice) {
  const before = device.current;
  const openedBefore = device.openings;
  const opened = await attempt(user, hlthunk.hlthunk_open(user.channel, device.device.index));
  if (opened.ok) {
    const opening = handOver(world, device, user.process.pid, false);
    if (user.state === 'dead') {
      deviceClosed(world, opening);
      return 'ok, and its process is gone';
    }
    user.descriptors.set(opened.value, { kind: 'device', opening });
    return `ok fd ${opened.value}, open ${opening.number}`;
  }
  const { errno } = opened;
  const changed = device.openings !== openedBefore || device.current !== before;
  const known = ['EBUSY', 'EAGAIN', 'EPERM', 'EINTR', 'EMFILE'].includes(errno);
  const busy = before?.state === 'open';
  world.findings.check(
    'I8',
    known && (changed || errno !== 'EBUSY' || before !== undefined),
    () => `Expected open of ${device.name} to say why it fails but found ${errno}`,
  );
  if (busy && !changed && device.current?.state === 'open') {
    const { status } = device.device.driver.describe();
    world.findings.check(
      'I8',
      errno === 'EBUSY' || errno === 'EINTR' || (status !== 'OPERATIONAL' && errno !== 'EMFILE'),
      () => `Expected EBUSY from ${device.name}, which pid ${before.pid} has, but found ${errno}`,
    );
  }
  return errno;
}

/** Each process with each device of its host that `condition` holds for; one of them, opened. */
function opening(
  kind: string,
  weight: number,
  isWanted: (device: ShadowDevice) => boolean,
): Operation {
  return {
    kind,
    weight,
    prepare(world) {
      const choices = world.users.flatMap((user) =>
        user.host.devices.filter(isWanted).map((device) => ({ user, device })),
      );
      if (choices.length === 0) return undefined;
      const { user, device } = world.pick(choices);
      return async () => `${user.name} ${device.name} ${await openDevice(world, user, device)}`;
    },
  };
}

export const DEVICE_OPERATIONS: readonly Operation[] = [
  opening('open', 10, ({ current }) => current?.state !== 'open'),
  opening('openBusy', 1.5, ({ current }) => current?.state === 'open'),
  {
    kind: 'openControl',
    weight: 2,
    prepare(world) {
      if (world.users.length === 0) return undefined;
      const user = world.pick(world.users);
      const device = world.pick(user.host.devices);
      return async () => {
        const index = device.device.index;
        const opened = await attempt(user, hlthunk.hlthunk_open_control(user.channel, index));
        world.findings.check(
          'I8',
          opened.ok || opened.errno === 'EINTR',
          () =>
            `Expected the control node of ${device.name} to open at any time but found ${outcomeOf(opened)}`,
        );
        if (opened.ok && user.state === 'running') {
          user.descriptors.set(opened.value, { kind: 'control', device });
          const status = await attempt(
            user,
            hlthunk.hlthunk_get_device_status_info(user.channel, opened.value),
          );
          return `${user.name} ${device.name} ${status.ok ? status.value.status : status.errno}`;
        }
        return `${user.name} ${device.name} ${outcomeOf(opened)}`;
      };
    },
  },
  {
    kind: 'badCall',
    weight: 1,
    prepare(world) {
      const choices = world.users.flatMap((user) =>
        [...user.descriptors]
          .filter(([, { kind }]) => kind !== 'device')
          .map(([fd]) => ({ user, fd })),
      );
      if (choices.length === 0) return undefined;
      const { user, fd } = world.pick(choices);
      const target = world.chance(0.5) ? fd : NO_DESCRIPTOR;
      return async () => {
        const call = hlthunk.hlthunk_device_memory_alloc(user.channel, target, PAGE_BYTES);
        const allocated = await attempt(user, call);
        world.findings.check(
          'I7',
          !allocated.ok,
          () => `Expected fd ${target} of ${user.name}, which is no device, not to allocate`,
        );
        return `${user.name} ${outcomeOf(allocated)}`;
      };
    },
  },
  {
    kind: 'closeDevice',
    weight: 2.5,
    prepare(world) {
      const choices = owners(world);
      if (choices.length === 0) return undefined;
      const { user, fd, opening } = world.pick(choices);
      return () => closeDevice(world, user, fd, opening);
    },
  },
];

/** The device's last descriptor ends everything; under `revoke`, `close` returns when that is done. */
export async function closeDevice(
  world: World,
  user: SimulatedUser,
  fd: number,
  opening: Opening,
): Promise<string> {
  user.descriptors.delete(fd);
  deviceClosed(world, opening);
  const startMs = world.scheduler.clock.now();
  const closed = await attempt(user, hlthunk.hlthunk_close(user.channel, fd));
  const isOver = opening.descriptors === 0;
  if (closed.ok && isOver && world.options.ownership === 'revoke') {
    for (const buffer of world.model.buffers) {
      if (buffer.opening !== opening) continue;
      revoked(buffer, 'permanentlyRevoked');
      world.findings.check(
        'I1',
        buffer.dmaBuf.state === 'permanentlyRevoked' || buffer.dmaBuf.state === 'released',
        () =>
          `Expected close to have revoked dma-buf ${buffer.id} but it is ${buffer.dmaBuf.state}`,
      );
    }
    const tookMs = world.scheduler.clock.now() - startMs;
    world.findings.check(
      'I9',
      tookMs <= CLOSE_MS_MAX,
      () => `Expected close of ${opening.device.name} in bounded time but it took ${tookMs} ms`,
    );
  }
  return `${user.name} ${opening.device.name} ${outcomeOf(closed)}${isOver ? ', last' : ''}`;
}
