/** Choosing what a work request moves, from where to where. */
import type { IbvAccessFlag } from '../../../../node/verbs/mr.ts';
import { type End, peerOf, type WorkKind } from '../connection.ts';
import { covers, type ShadowRegion, SLOT_BYTES, type Slot } from '../shadow-buffer.ts';
import type { World } from '../world.ts';

export const TRANSFERS: readonly { readonly kind: WorkKind; readonly weight: number }[] = [
  { kind: 'write', weight: 40 },
  { kind: 'read', weight: 34 },
  { kind: 'send', weight: 24 },
  { kind: 'compareSwap', weight: 8 },
  { kind: 'fetchAdd', weight: 14 },
];

/** What the peer's region must allow. */
export const RIGHT_OF = {
  write: 'IBV_ACCESS_REMOTE_WRITE',
  read: 'IBV_ACCESS_REMOTE_READ',
  send: 'IBV_ACCESS_LOCAL_WRITE',
  compareSwap: 'IBV_ACCESS_REMOTE_ATOMIC',
  fetchAdd: 'IBV_ACCESS_REMOTE_ATOMIC',
} as const satisfies Record<WorkKind, IbvAccessFlag>;

/** How often a region is taken whatever its state and rights are. */
const ODD_REGION_RATE = 0.08;
/** How often it is taken from another process of the host, that is, from another domain. */
const FOREIGN_REGION_RATE = 0.02;
/** Requests that wait at one end, at most. */
const SENDS_MAX = 12;
const COMPLETIONS_MAX = 32;

/**
 * `outOfRange`: beyond the end of the peer's region. `zeroLength`: no bytes, and a key of nobody.
 * `shortReceive`: the peer's receive is too short.
 */
export type Variant = 'plain' | 'inline' | 'outOfRange' | 'zeroLength' | 'shortReceive';

const VARIANTS: Readonly<Record<WorkKind, readonly (readonly [Variant, number])[]>> = {
  write: [
    ['inline', 0.1],
    ['outOfRange', 0.02],
    ['zeroLength', 0.03],
  ],
  read: [
    ['outOfRange', 0.02],
    ['zeroLength', 0.03],
  ],
  send: [
    ['inline', 0.1],
    ['shortReceive', 0.03],
  ],
  compareSwap: [],
  fetchAdd: [],
};

export interface Place {
  readonly region: ShadowRegion;
  readonly slot: Slot;
}

export interface Transfer {
  readonly kind: WorkKind;
  readonly variant: Variant;
  readonly from: End;
  readonly local: Place;
  /** For a send, where the peer's receive puts it. */
  readonly remote: Place;
}

/** `undefined`: no connection has what it takes. */
export function chooseTransfer(world: World, kind: WorkKind): Transfer | undefined {
  const ends: End[] = [];
  for (const connection of world.connections) {
    const [first, second] = connection.ends;
    const isWhole = first.state === 'open' && second.state === 'open';
    if (!isWhole || (connection.failed && !world.chance(0.1))) continue;
    for (const end of connection.ends) {
      if (end.sends.length < SENDS_MAX && end.cq.length < COMPLETIONS_MAX) ends.push(end);
    }
  }
  if (ends.length === 0) return undefined;
  const from = world.pick(ends);
  const isAtomic = kind === 'compareSwap' || kind === 'fetchAdd';
  const local =
    kind === 'read' || isAtomic
      ? place(world, from, 'write', 'IBV_ACCESS_LOCAL_WRITE')
      : place(world, from, 'read', undefined);
  if (local === undefined) return undefined;
  const use = kind === 'read' ? 'read' : 'write';
  const peer = peerOf(from);
  const remote = isAtomic ? counterPlace(world, peer) : place(world, peer, use, RIGHT_OF[kind]);
  if (remote === undefined || remote.slot === local.slot) return undefined;
  return { kind, variant: variantOf(world, kind), from, local, remote };
}

function variantOf(world: World, kind: WorkKind): Variant {
  let left = world.prng.float();
  for (const [variant, rate] of VARIANTS[kind]) {
    left -= rate;
    if (left < 0) return variant;
  }
  return 'plain';
}

/** As a rule a region of the end's process, and a slot in it. The first slot of an allocation is for atomics. */
function place(
  world: World,
  end: End,
  use: 'read' | 'write',
  right: IbvAccessFlag | undefined,
): Place | undefined {
  const wantsOdd = world.chance(ODD_REGION_RATE);
  const owner = world.chance(FOREIGN_REGION_RATE) ? world.pick(end.user.host.users) : end.user;
  const regions: ShadowRegion[] = [];
  for (const region of owner.regions) {
    const fits = right === undefined || region.access.has(right);
    if ((fits && region.state === 'live') || wantsOdd) regions.push(region);
  }
  if (regions.length === 0) return undefined;
  const region = world.pick(regions);
  const slots = region.buffer.slots.filter(
    ({ offset, writer, readers }, index) =>
      index > 0 &&
      writer === 0 &&
      (use === 'read' || readers === 0) &&
      covers(region, offset, SLOT_BYTES),
  );
  return slots.length === 0 ? undefined : { region, slot: world.pick(slots) };
}

/** The counter at the start of an allocation. */
function counterPlace(world: World, end: End): Place | undefined {
  const regions = [...end.user.regions].filter(
    (region) => region.start === region.buffer.offset && region.state === 'live',
  );
  if (regions.length === 0) return undefined;
  // One that has been used before shows what went wrong with it since.
  const used = regions.filter(({ buffer }) => buffer.counter.added > 0);
  const region = world.pick(used.length > 0 ? used : regions);
  const [slot] = region.buffer.slots;
  return slot === undefined ? undefined : { region, slot };
}
