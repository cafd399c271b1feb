/** Two ranks on hosts of one machine, with memory, and what tests of provider `p2p` ask about them. */
import { expect } from 'vitest';
import { KiB } from '../../../common/bytes.ts';
import { fi_ep_counters } from '../../../node/fabric/endpoint.ts';
import { fi_write } from '../../../node/fabric/rma.ts';
import { part } from '../../conformance/fabric-world.ts';
import { pattern } from '../verbs/world.ts';
import { P2pWorld } from './p2p-world.ts';
import type { Rank, RankInit } from './world.ts';

export const BYTES = 128 * KiB;

let world: P2pWorld | undefined;

/** After each test. */
export async function closeWorld(): Promise<void> {
  for (const { process } of world?.ranks ?? []) process.exit();
  await world?.close();
  world = undefined;
}

export async function pair(
  init: (index: number) => RankInit = () => ({}),
  windows?: 'asked' | 'none',
) {
  const made = new P2pWorld(2, { rank: init }, windows);
  world = made;
  made.introduce();
  await made.wait(10);
  const [a, b] = [made.rank(0), made.rank(1)];
  return { world: made, a, b };
}

/** Both have memory, and `a` a window on that of `b`. */
export async function scene(windows?: 'asked' | 'none') {
  const made = await pair(undefined, windows);
  const [source, target] = [await made.a.register(BYTES), await made.b.register(BYTES)];
  source.memory.bytes.set(pattern(BYTES, 1));
  const { address, key } = target.mr;
  const write = (context: unknown, local = part(source.mr), at = address) =>
    fi_write(made.a.endpoint, local, 1, at, key, context);
  return { ...made, source, target, address, key, write };
}

/** Bytes that have reached a rank by its link. */
export const linkBytes = ({ endpoint }: Rank) => fi_ep_counters(endpoint).rmaBytesReceived;

/** Windows that a rank has of the other. */
export function windows(rank: Rank, peer: number): number {
  return rank.endpoint.connection(peer)?.direct?.windowCount ?? -1;
}

export async function finished(made: P2pWorld, { completions, errors }: Rank, count: number) {
  await made.until(() => completions.length + errors.length >= count);
}

export const same = (one: Uint8Array, other: Uint8Array) =>
  expect(Buffer.compare(one, other)).toBe(0);
