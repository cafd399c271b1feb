/**
 * The host's side of wires for ranks that are devices of one simulated host, without sockets: a descriptor is a
 * number, and the test says when a message is delivered and when a dial or an offer comes to its end.
 */

import type { Rank } from '../../../../collectives/schedule.ts';
import { assert, defined } from '../../../../common/assert.ts';
import { KiB } from '../../../../common/bytes.ts';
import { deferred } from '../../../../common/deferred.ts';
import { ranksOf } from '../../../../common/math.ts';
import type { Prng } from '../../../../common/prng.ts';
import { delay, type Scheduler } from '../../../../common/scheduler.ts';
import type { GaudiDevice } from '../../../../node/device/device.ts';
import { hlthunk_open } from '../../../../node/device/hlthunk.ts';
import type { WireMessage } from '../../../../node/hccl/control-message.ts';
import { DeviceSession } from '../../../../node/hccl/device-session.ts';
import type { HcclFailure } from '../../../../node/hccl/failure.ts';
import type { ProgressMode } from '../../../../node/hccl/settings.ts';
import type { SharedMachine } from '../../../../node/hccl/shared/shared-machine.ts';
import type { WireMachine } from '../../../../node/hccl/wire/wire-machine.ts';
import { WirePath } from '../../../../node/hccl/wire/wire-path.ts';
import { allocate, SimulatedCluster } from '../../../simulation/simulated-cluster.ts';

/** What a rank's program has allocated. */
export const BUFFER_BYTES = 64 * KiB;

/** Something that may happen next. */
interface Event {
  readonly what: 'deliver' | 'dial' | 'accept';
  readonly rank: Rank;
  happen(): void;
}

/** One rank: its path, and the descriptors that are its to close. */
export class PathRank {
  readonly path: WirePath;
  readonly session: DeviceSession;
  readonly device: GaudiDevice;
  /** Device memory of its program. */
  readonly buffer: number;
  readonly open = new Set<number>();
  readonly shut = new Set<number>();
  readonly failures: HcclFailure[] = [];
  /** Offers that nobody has dialled and nobody has cancelled. */
  readonly offers = new Set<string>();

  constructor(path: WirePath, { session, device, buffer }: SessionPlace) {
    this.path = path;
    this.session = session;
    this.device = device;
    this.buffer = buffer;
  }
}

interface SessionPlace {
  readonly session: DeviceSession;
  readonly device: GaudiDevice;
  readonly buffer: number;
}

export interface PathOptions {
  /** By rank; `manual` unless given. */
  readonly progress?: readonly ProgressMode[];
  /** Ranks without wires. */
  readonly without?: readonly Rank[];
  /** A rank whose dial to another fails, or whose offer nobody dials in time. */
  readonly refused?: { readonly rank: Rank; readonly what: 'dial' | 'accept' };
}

export class PathWorld {
  readonly ranks: readonly PathRank[];
  readonly scheduler: Scheduler;
  readonly #options: PathOptions;
  /** Of each queue the first may happen: messages of one rank to another stay in order. */
  readonly #queues = new Map<string, Event[]>();
  readonly #tickets = new Map<string, { readonly rank: Rank; accept(): void; fail(): void }>();
  #fds = 100;

  constructor(places: readonly SessionPlace[], scheduler: Scheduler, options: PathOptions) {
    this.scheduler = scheduler;
    this.#options = options;
    this.ranks = places.map((place, rank) => {
      const isAble = !options.without?.includes(rank);
      const path = new WirePath({
        ...{ rank, nranks: places.length, session: place.session, scheduler },
        key: { uniqueId: 'unique' },
        observe: undefined,
        machine: this.#machine(rank, isAble ? this.#wires(rank) : undefined),
        progress: options.progress?.[rank] ?? 'manual',
        nodeIdOf: (peer) => `node-${peer}`,
        send: (peer, message) => this.#send(rank, peer, message),
        fail: (failure) => this.rank(rank).failures.push(failure),
      });
      return new PathRank(path, place);
    });
  }

  rank(rank: Rank): PathRank {
    return defined(this.ranks[rank], 'a rank');
  }

  /** Every rank hears what every other can do. */
  greet(): void {
    for (const { path } of this.ranks) {
      for (const [peer, other] of this.ranks.entries())
        if (other.path !== path && other.path.isPossible) path.able(peer);
    }
  }

  /** What may happen, happens in random order until nothing is left, or until `enough` says so. */
  async settle(prng: Prng, enough: () => boolean = () => false): Promise<void> {
    for (let idle = 0; idle < 100; ) {
      if (enough()) return;
      const ready = [...this.#queues].filter(([, events]) => events.length > 0);
      if (ready.length === 0) {
        idle++;
        await delay(this.scheduler, 1);
        continue;
      }
      idle = 0;
      const [, events] = ready[prng.below(ready.length)] as (typeof ready)[number];
      events.shift()?.happen();
      if (prng.below(3) === 0) await delay(this.scheduler, 1);
    }
  }

  /** Lets no more messages, dials or offers come to an end. */
  get isQuiet(): boolean {
    return [...this.#queues.values()].every((events) => events.length === 0);
  }

  #send(rank: Rank, peer: Rank, message: WireMessage): void {
    this.#later(`message ${rank} ${peer}`, {
      ...{ what: 'deliver', rank: peer },
      happen: () => this.rank(peer).path.heard(rank, message),
    });
  }

  #later(queue: string, event: Event): void {
    const events = this.#queues.get(queue) ?? [];
    this.#queues.set(queue, events);
    events.push(event);
  }

  #machine(rank: Rank, wires: WireMachine | undefined): SharedMachine {
    const never = () => {
      throw new Error('Expected wires to share no memory');
    };
    return {
      wires,
      peers: { offer: never, take: never },
      deviceOf: () => ({ index: rank, importShared: never, dropImport: never }),
      nextWindow: never,
      wake: never,
    };
  }

  #fd(rank: Rank): number {
    const fd = this.#fds++;
    this.rank(rank).open.add(fd);
    return fd;
  }

  #wires(rank: Rank): WireMachine {
    const { refused } = this.#options;
    const fails = (what: 'dial' | 'accept') => refused?.rank === rank && refused.what === what;
    return {
      offer: () => {
        const accepted = deferred<number>();
        accepted.promise.catch(() => undefined);
        const ticket = `${rank}`.padStart(16, '0') + `${this.#tickets.size}`.padStart(16, '0');
        const { offers } = this.rank(rank);
        offers.add(ticket);
        const end = (settle: () => void) => {
          if (offers.delete(ticket)) settle();
        };
        const fail = () => end(() => accepted.reject(new Error('nobody came')));
        this.#tickets.set(ticket, {
          rank,
          accept: () =>
            end(() =>
              fails('accept') ? accepted.reject(new Error('no')) : accepted.resolve(this.#fd(rank)),
            ),
          fail,
        });
        return { ticket, accepted: accepted.promise, cancel: fail };
      },
      dial: (nodeId, ticket) => {
        const dialled = deferred<number>();
        const offer = defined(this.#tickets.get(ticket), 'the offer of a ticket');
        assert(nodeId === `node-${offer.rank}`, 'Expected the host that has offered the ticket');
        const queue = `${ticket} dial`;
        this.#later(queue, {
          ...{ what: 'dial', rank },
          happen: () => {
            const isOpen = this.rank(offer.rank).offers.has(ticket);
            if (fails('dial') || !isOpen) {
              offer.fail();
              return dialled.reject(new Error('refused'));
            }
            // The two ends hear of it in any order.
            this.#later(`${ticket} accept`, {
              what: 'accept',
              rank: offer.rank,
              happen: offer.accept,
            });
            this.#later(queue, {
              what: 'dial',
              rank,
              happen: () => dialled.resolve(this.#fd(rank)),
            });
          },
        });
        return dialled.promise;
      },
      shut: (fd) => {
        assert(this.rank(rank).open.has(fd), `Expected an open descriptor but found ${fd}`);
        this.rank(rank).shut.add(fd);
      },
      close: (fd) => {
        assert(this.rank(rank).open.delete(fd), `Expected an open descriptor but found ${fd}`);
      },
    };
  }
}

/** Runs `work` with ranks that have real device memory. */
export async function withPaths(
  nranks: number,
  options: PathOptions,
  work: (world: PathWorld) => Promise<void>,
): Promise<void> {
  const cluster = new SimulatedCluster({ hosts: 1, devices: nranks, ownership: 'revoke' });
  const { scheduler } = cluster;
  const places: SessionPlace[] = [];
  const [ready, over] = [deferred<void>(), deferred<void>()];
  const job = await cluster.run(async ({ process, channel, rank, localRank }) => {
    const host = defined(cluster.hosts[0], 'a host');
    const fd = await hlthunk_open(channel, localRank);
    const session = new DeviceSession({ process, channel, nic: host.nic, scheduler, fd });
    const device = defined(host.devices[localRank], 'a device');
    places[rank] = { session, device, buffer: await allocate(channel, fd, BUFFER_BYTES) };
    if (ranksOf(nranks).every((one) => places[one] !== undefined)) ready.resolve();
    if (rank === 0)
      await ready.promise
        .then(() => work(new PathWorld(places, scheduler, options)))
        .finally(() => over.resolve());
    await over.promise;
  });
  const [failure] = job.errors.values();
  if (failure !== undefined) throw failure;
}
