/** The worlds that the verbs suite runs in: two hosts over each of the providers. */
import { afterEach } from 'vitest';
import { wallScheduler } from '../../common/scheduler.ts';
import type { Transport } from '../../node/transport/transport.ts';
import { createWebSocketTransport } from '../../node/transport/websocket-transport.ts';
import { BreakableCable } from '../node/transport/breakable-cable.ts';
import { settleOnWallClock } from '../node/transport/wall-clock.ts';
import { Host, type HostInit, VerbsWorld, World } from '../node/verbs/world.ts';

/** Over sockets, on the wall clock. */
class WebSocketWorld extends VerbsWorld {
  readonly scheduler = wallScheduler;
  readonly a: Host;
  readonly b: Host;
  readonly #cables: readonly BreakableCable[];

  constructor(hosts: readonly [Host, Host], cables: readonly BreakableCable[]) {
    super();
    [this.a, this.b] = hosts;
    this.#cables = cables;
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return settleOnWallClock(promise);
  }

  interrupt(): void {
    for (const cable of this.#cables) cable.cut();
  }

  async close(): Promise<void> {
    for (const { nic } of [this.a, this.b]) nic.close();
    for (const { transport } of [this.a, this.b]) await this.settle(transport.close());
    for (const cable of this.#cables) await cable.close();
  }
}

async function webSocketWorld(nic: HostInit): Promise<VerbsWorld> {
  const cables: BreakableCable[] = [];
  const host = async (nodeId: string) => {
    const transport: Transport = await createWebSocketTransport({
      nodeId,
      bind: { host: '127.0.0.1', port: 0 },
      scheduler: wallScheduler,
    });
    const cable = new BreakableCable(transport.address);
    cables.push(cable);
    return new Host(transport, wallScheduler, nic, await cable.plugIn());
  };
  return new WebSocketWorld([await host('host-a'), await host('host-b')], cables);
}

export interface VerbsProvider {
  readonly name: string;
  make(nic: HostInit): Promise<VerbsWorld>;
}

/** Every provider that the suite applies to. */
export const VERBS_PROVIDERS: readonly VerbsProvider[] = [
  { name: 'memory', make: (nic) => Promise.resolve(new World({}, nic)) },
  { name: 'ws', make: webSocketWorld },
];

/** Makes worlds for the tests of one suite, and closes each after its test. */
export function verbsWorlds({ make }: VerbsProvider): (nic?: HostInit) => Promise<VerbsWorld> {
  const open: VerbsWorld[] = [];
  afterEach(async () => {
    for (const world of open.splice(0)) await world.close();
  });
  return async (nic = {}) => {
    const world = await make(nic);
    open.push(world);
    return world;
  };
}
