/** The world that the transport suite runs in: two hosts on one network whose cable can be pulled. */
import { afterEach } from 'vitest';
import { delay, type Scheduler } from '../../common/scheduler.ts';
import type { Transport } from '../../node/transport/transport.ts';
import { RecordingSink, until } from './recording-sink.ts';

export interface TransportWorld {
  readonly scheduler: Scheduler;
  readonly a: Transport;
  readonly b: Transport;
  /** Has `from` want its links to `to`, by an address that the pulled cable lies behind. */
  connect(from: Transport, to: Transport): void;
  /** Lets the world run until the promise settles; fails after a generous deadline. */
  settle<T>(promise: Promise<T>): Promise<T>;
  /** Breaks every connection between `a` and `b` once; a redial succeeds. */
  interrupt(): void;
  /** Breaks every connection between `a` and `b` for good. */
  separate(): void;
  /** Closes both hosts and what the world has opened; then fails if anything is left. */
  close(): Promise<void>;
}

export interface TransportWorldInit {
  readonly highWaterBytes?: number;
}

export interface Side {
  readonly transport: Transport;
  readonly sink: RecordingSink;
}

/** Makes hosts `a` and `b`; neither is attached. */
export type TransportSetup = (init: TransportWorldInit) => Promise<TransportWorld>;

/** Worlds for the tests of one suite; each is closed, and checked for leftovers, after its test. */
export function transportWorlds(setup: TransportSetup) {
  let world: TransportWorld | undefined;

  afterEach(async () => {
    const done = world;
    world = undefined;
    await done?.close();
  });

  async function hosts(init: TransportWorldInit = {}) {
    const made = await setup(init);
    world = made;
    const side = (transport: Transport): Side => {
      const sink = new RecordingSink();
      transport.attach(sink);
      return { transport, sink };
    };
    const wait = (condition: () => boolean) => made.settle(until(made.scheduler, condition));
    const pass = (ms: number) => made.settle(delay(made.scheduler, ms));
    return { world: made, a: side(made.a), b: side(made.b), wait, pass };
  }

  async function linked(init: TransportWorldInit = {}) {
    const made = await hosts(init);
    made.world.connect(made.a.transport, made.b.transport);
    made.world.connect(made.b.transport, made.a.transport);
    await made.wait(
      () => made.a.sink.count('linkUp b') === 1 && made.b.sink.count('linkUp a') === 1,
    );
    return made;
  }

  return { hosts, linked };
}

/** What a test gets of `transportWorlds`. */
export type TransportWorlds = ReturnType<typeof transportWorlds>;
