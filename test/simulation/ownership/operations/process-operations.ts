/** Processes that come and go, and the device resets that a privileged one can ask for. */

import type { GaudiDevice } from '../../../../node/device/device.ts';
import * as hlthunk from '../../../../node/device/hlthunk.ts';
import { inlineChannel } from '../../../../node/process/system-call-table.ts';
import { resetDone, resetStarted, userExited } from '../lifetimes.ts';
import type { ShadowDevice } from '../shadow-device.ts';
import type { SimulatedHost } from '../simulated-host.ts';
import { SimulatedUser } from '../simulated-user.ts';
import type { World } from '../world.ts';
import { attempt, type Operation, outcomeOf } from './operation.ts';

/** User processes of a host at a time. */
export const USERS_MAX = 4;
const USER_MEMORY_BYTES = 16 * 1024;
/** Trials of a reset, their waits, and taking dma-bufs back. */
const RESET_MS_MAX = 20_000;
/** How often a device is taken from an owner who is no trouble. */
const PLAIN_EVICTION_RATE = 0.05;
/** Resets of one run: a device that stays busy for too long is disabled for good. */
const RESETS_MAX = 2;

export function spawnUser(world: World, host: SimulatedHost, privileged: boolean): SimulatedUser {
  const process = host.host.processes.create({
    containerId: `c${world.prng.below(2)}`,
    privileged,
    memory: new SharedArrayBuffer(USER_MEMORY_BYTES),
  });
  const user = new SimulatedUser(host, process, inlineChannel(host.table, process), privileged);
  process.onExit(() => userExited(world, user));
  host.users.push(user);
  world.users.push(user);
  return user;
}

/** By the host's kernel or by another process of its. */
function kill(world: World, user: SimulatedUser): string {
  const { processes } = user.host.host;
  const errno = processes.kill(user.process.pid, 'SIGKILL');
  world.findings.check(
    'I10',
    errno === undefined && user.process.fds.openCount === 0,
    () => `Expected the end of ${user.name} to close its descriptors`,
  );
  return `${user.name} ${errno ?? 'ok'}`;
}

/** Nobody has it open, and it is not free. */
function isStuck({ driver }: GaudiDevice): boolean {
  const { use, status } = driver.describe();
  return use === 'releasing' || (status === 'IN_RESET' && use !== 'free');
}

/** As an orchestrator does: ends whoever keeps the device, openers first. */
function evict(host: SimulatedHost, { name, device }: ShadowDevice): string {
  const { processes } = host.host;
  const pids = new Set(device.driver.holders().map(({ pid }) => pid));
  for (const pid of pids) processes.kill(pid, 'SIGKILL');
  return `${name}: ${[...pids].join(' ')}`;
}

async function reset(world: World, user: SimulatedUser): Promise<string> {
  const device = world.pick(user.host.devices);
  const index = device.device.index;
  const opened = await attempt(user, hlthunk.hlthunk_open_control(user.channel, index));
  if (!opened.ok || user.state === 'dead') return outcomeOf(opened);
  user.descriptors.set(opened.value, { kind: 'control', device });
  resetStarted(world, device);
  const startMs = world.scheduler.clock.now();
  const request = { fd: opened.value, request: 'HLSIM_IOCTL_RESET', argument: {} };
  const done = await attempt(user, user.channel.call('ioctl', request));
  if (done.ok) resetDone(world, device);
  const { status } = device.device.driver.describe();
  const tookMs = world.scheduler.clock.now() - startMs;
  world.findings.check(
    'I9',
    tookMs <= RESET_MS_MAX,
    () => `Expected a reset of ${device.name} to end in bounded time but it took ${tookMs} ms`,
  );
  return `${user.name} ${device.name} ${outcomeOf(done)}, now ${status}`;
}

export const PROCESS_OPERATIONS: readonly Operation[] = [
  {
    kind: 'spawn',
    weight: 4,
    prepare(world) {
      const choices = world.hosts.filter(({ users }) => users.length < USERS_MAX);
      if (choices.length === 0) return undefined;
      const host = world.pick(choices);
      const hasPrivileged = host.users.some(({ privileged }) => privileged);
      return async () => spawnUser(world, host, !hasPrivileged).name;
    },
  },
  {
    kind: 'kill',
    weight: 0.7,
    prepare(world) {
      const choices = world.users.filter(({ privileged }) => !privileged);
      if (choices.length === 0) return undefined;
      const user = world.pick(choices);
      return async () => kill(world, user);
    },
  },
  {
    kind: 'evict',
    weight: 1.5,
    prepare(world) {
      const isPlain = world.chance(PLAIN_EVICTION_RATE);
      const stuck = world.hosts.flatMap((host) =>
        host.devices
          .filter(({ device }) => isStuck(device) || (isPlain && device.usage().state === 'open'))
          .map((device) => ({ host, device })),
      );
      if (stuck.length === 0) return undefined;
      const { host, device } = world.pick(stuck);
      return async () => evict(host, device);
    },
  },
  {
    kind: 'reset',
    weight: 1,
    prepare(world) {
      const choices = world.users.filter(({ privileged }) => privileged);
      if (choices.length === 0 || world.resets >= RESETS_MAX || world.progress < 0.4)
        return undefined;
      const user = world.pick(choices);
      return () => {
        world.resets++;
        return reset(world, user);
      };
    },
  },
];
