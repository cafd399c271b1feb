/** What a network does to its users. */
import { frameHeader } from '../../../../node/verbs/frame-header.ts';
import type { Connection } from '../connection.ts';
import type { World } from '../world.ts';
import type { Operation } from './operation.ts';

const FRAMES_MAX = 3;
const DUPLICATES_MAX = 8;
const DELAY_MAX_MS = 20;

/** From now on requests of the connection may fail though their memory is in order. */
function disturb(connections: readonly Connection[], why: string): void {
  for (const connection of connections) connection.disturbed ??= why;
}

function apart(world: World, a: number, b: number): Connection[] {
  return world.connections.filter(({ ends: [first, second] }) => {
    const hosts = [first.user.host.index, second.user.host.index];
    return hosts.includes(a) && hosts.includes(b) && a !== b;
  });
}

/** Length of a write that no queue pair of the program has sent. */
export const FORGED_BYTES = 24;
/** Far outside of any window of sequence numbers. */
const PSN_LIE = 1_000_000;

/** A write to a real key of a real queue pair, from somebody who is not its peer. */
function forge(world: World, connection: Connection): string {
  const [from, to] = connection.ends;
  const region = world.pick([...to.user.regions]);
  const { attributes, epoch, qp_num: destQpn } = to.qp;
  const lie = world.pick(['source', 'epoch', 'destination', 'order'] as const);
  const header = frameHeader('WRITE', {
    first: true,
    last: true,
    destQpn: lie === 'destination' ? 1 : destQpn,
    sourceQpn: lie === 'source' ? from.qp.qp_num + 1_000 : from.qp.qp_num,
    qpEpoch: lie === 'epoch' ? epoch + 1 : epoch,
    psn: attributes.rq_psn + (lie === 'order' ? PSN_LIE : 0),
    remoteAddress: region.iova,
    rkey: region.mr.rkey,
    messageLength: FORGED_BYTES,
    payloadLength: FORGED_BYTES,
  });
  const { transport } = from.user.host.host.nic;
  const { nodeId } = to.user.host.host.nic.transport;
  const outcome = transport.send(nodeId, header, [new Uint8Array(FORGED_BYTES).fill(0xee)]);
  return `${lie} ${nodeId} ${outcome}`;
}

export const FAULT_OPERATIONS: readonly Operation[] = [
  {
    kind: 'drop',
    weight: 1.5,
    prepare: (world) => () => {
      const frames = 1 + world.prng.below(FRAMES_MAX);
      world.faults.armDrop(frames);
      disturb(world.connections, 'frames were dropped');
      return Promise.resolve(`${frames} frames`);
    },
  },
  {
    kind: 'duplicate',
    weight: 2.5,
    prepare: (world) => () => {
      const frames = 1 + world.prng.below(DUPLICATES_MAX);
      world.faults.armDuplicate(frames);
      return Promise.resolve(`${frames} frames`);
    },
  },
  {
    kind: 'delay',
    weight: 2.5,
    prepare: (world) => () => {
      const extraMs = Array.from({ length: 1 + world.prng.below(6) }, () =>
        world.prng.below(DELAY_MAX_MS),
      );
      world.delays.armDelay(extraMs);
      return Promise.resolve(`${extraMs.join(' ')} ms`);
    },
  },
  {
    kind: 'forge',
    weight: 2,
    prepare(world) {
      const choices = world.connections.filter(
        ({ ends: [a, b] }) => a.state === 'open' && b.state === 'open' && b.user.regions.size > 0,
      );
      if (choices.length === 0) return undefined;
      // Nobody has sent anything there yet: the place in the order is known.
      const fresh = choices.filter(({ works }) => works.length === 0);
      const connection = world.pick(fresh.length > 0 ? fresh : choices);
      return async () => forge(world, connection);
    },
  },
  {
    kind: 'partition',
    weight: 0.7,
    prepare(world) {
      if (world.partitions.size > 0) return undefined;
      const a = world.prng.below(world.hosts.length);
      const b = (a + 1 + world.prng.below(world.hosts.length - 1)) % world.hosts.length;
      return () => {
        world.partitions.add(`${a} ${b}`);
        disturb(apart(world, a, b), 'their hosts were apart');
        world.network.partition(`host-${a}`, `host-${b}`);
        return Promise.resolve(`host-${a} host-${b}`);
      };
    },
  },
  {
    kind: 'heal',
    weight: 6,
    prepare(world) {
      const [pair] = world.partitions;
      if (pair === undefined) return undefined;
      return () => {
        heal(world);
        return Promise.resolve(pair);
      };
    },
  },
];

/** Ends every partition. */
export function heal(world: World): void {
  for (const pair of world.partitions) {
    const [a = '', b = ''] = pair.split(' ');
    world.network.heal(`host-${a}`, `host-${b}`);
    world.healedAtMs.set(pair, world.scheduler.clock.now());
  }
  world.partitions.clear();
}
