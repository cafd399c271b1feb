/** Registering buffers with the NIC, and taking registrations back. */
import { ibv_alloc_pd, ibv_open_device } from '../../../../node/verbs/context.ts';
import { type IbvAccessFlag, ibv_dereg_mr, ibv_reg_dmabuf_mr } from '../../../../node/verbs/mr.ts';
import { regionClosing, regionDead } from '../lifetimes.ts';
import type { ShadowBuffer, ShadowRegion } from '../shadow-buffer.ts';
import type { SimulatedUser, Verbs } from '../simulated-user.ts';
import type { World } from '../world.ts';
import type { Operation } from './operation.ts';

const REGIONS_MAX = 24;
const RIGHTS: readonly (readonly IbvAccessFlag[])[] = [
  [
    'IBV_ACCESS_LOCAL_WRITE',
    'IBV_ACCESS_REMOTE_WRITE',
    'IBV_ACCESS_REMOTE_READ',
    'IBV_ACCESS_REMOTE_ATOMIC',
  ],
  [
    'IBV_ACCESS_LOCAL_WRITE',
    'IBV_ACCESS_REMOTE_WRITE',
    'IBV_ACCESS_REMOTE_READ',
    'IBV_ACCESS_REMOTE_ATOMIC',
  ],
  ['IBV_ACCESS_LOCAL_WRITE', 'IBV_ACCESS_REMOTE_WRITE'],
  ['IBV_ACCESS_REMOTE_READ'],
  ['IBV_ACCESS_LOCAL_WRITE'],
];
/** First address of a region, as users and peers write it; each region has a range of its own. */
const IOVA_STRIDE = 0x10_0000;

/** The process's open NIC and domain; it has one of each. */
export function verbsOf(user: SimulatedUser): Verbs {
  if (user.verbs === undefined) {
    const context = ibv_open_device(user.host.host.nic, user.process);
    user.verbs = { context, pd: ibv_alloc_pd(context) };
  }
  return user.verbs;
}

type Mode = ShadowRegion['mode'];

async function register(
  world: World,
  user: SimulatedUser,
  fd: number,
  buffer: ShadowBuffer,
  mode: Mode,
): Promise<string> {
  const { pd } = verbsOf(user);
  const access = world.pick(RIGHTS);
  const isWhole = world.chance(0.6);
  const length = isWhole ? buffer.size : buffer.size / 2;
  const skip = isWhole ? 0 : world.pick([0, buffer.size / 2]);
  const iova = IOVA_STRIDE * world.number();
  const stateBefore = buffer.state;
  user.calls++;
  const mr = await ibv_reg_dmabuf_mr(pd, skip, length, iova, fd, access, mode);
  user.calls--;
  buffer.watch?.watchImporters();
  const { ownership } = world.options;
  if (typeof mr === 'string') {
    const reasons = ['ENODEV', 'EOPNOTSUPP', 'EBADF', 'EINVAL', 'EBUSY'];
    const explained = stateBefore !== 'live' || buffer.state !== 'live' || user.state === 'dead';
    const refused = mode === 'pinned' && ownership === 'revoke' && mr === 'EOPNOTSUPP';
    world.findings.check(
      'I22',
      reasons.includes(mr) && (explained || refused),
      () => `Expected ${user.name} to register live buffer ${buffer.id} as ${mode} but found ${mr}`,
    );
    return `${user.name} buffer ${buffer.id} ${mode} ${mr}`;
  }
  world.findings.check(
    'I22',
    !(mode === 'pinned' && ownership === 'revoke'),
    () => `Expected buffer ${buffer.id} to refuse an importer that cannot be revoked`,
  );
  world.findings.check(
    'I20',
    stateBefore === 'live' || buffer.state === 'live' || stateBefore === 'revoking',
    () => `Expected buffer ${buffer.id}, which is ${stateBefore}, to refuse ${user.name}`,
  );
  const region: ShadowRegion = {
    mr,
    key: mr.rkey,
    host: user.host.index,
    pid: user.process.pid,
    buffer,
    start: buffer.offset + skip,
    length,
    iova,
    access: new Set(access),
    mode,
    pd,
    state: mr.state === 'VALID' ? 'live' : 'revoking',
    wasInterrupted: mr.state !== 'VALID',
  };
  world.model.addRegion(region);
  if (user.state === 'dead') regionClosing(region);
  else user.regions.add(region);
  return `${user.name} buffer ${buffer.id} ${mode} key ${mr.rkey} ${skip}+${length}`;
}

function registration(mode: Mode, weight: number): Operation {
  return {
    kind: `register ${mode}`,
    weight,
    prepare(world) {
      const choices = world.users
        .filter(({ regions }) => regions.size < REGIONS_MAX)
        .flatMap((user) => user.buffers().map((one) => ({ user, ...one })));
      if (choices.length === 0) return undefined;
      const { user, fd, buffer } = world.pick(choices);
      return () => register(world, user, fd, buffer, mode);
    },
  };
}

export const REGISTRATION_OPERATIONS: readonly Operation[] = [
  registration('revocable', 8),
  registration('pinned', 1.5),
  registration('dynamic', 3),
  {
    kind: 'deregister',
    weight: 3,
    prepare(world) {
      const choices = world.users.flatMap((user) =>
        [...user.regions].map((region) => ({ user, region })),
      );
      if (choices.length === 0) return undefined;
      const { user, region } = world.pick(choices);
      return async () => {
        user.regions.delete(region);
        const done = ibv_dereg_mr(region.mr);
        regionClosing(region);
        await done;
        regionDead(region);
        return `${user.name} key ${region.key}`;
      };
    },
  },
];
