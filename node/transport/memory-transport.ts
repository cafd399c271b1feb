/**
 * Provider `memory`: a network inside one process. Same links, frames, codec, bounds and events as
 * provider `ws`, but time and order come from the scheduler alone: with a `VirtualScheduler` and a
 * seeded `Prng`, equal programs see equal runs.
 *
 * Left out: a shared bottleneck (each direction of each link has the full rate), and any loss of
 * data by a host that reads slowly (arrivals are never held back).
 */
import { assert } from '../../common/assert.ts';
import type { Prng } from '../../common/prng.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import { closureOfRefusal, NODE_ID_PATTERN } from './link-handshake.ts';
import type {
  DialIdentity,
  DialledConnection,
  DialledEnd,
  DialRequest,
  LinkDoor,
  LinkMedium,
} from './link-medium.ts';
import { LinkTransport } from './link-transport.ts';
import { MemoryConnection } from './memory-connection.ts';
import { type MemoryWireProperties, runAfter } from './memory-wire.ts';
import type { Transport } from './transport.ts';
import { ViewLedger } from './view-ledger.ts';

export interface MemoryNetworkInit {
  readonly scheduler: Scheduler;
  /** One way, in milliseconds; default 0. */
  readonly latencyMs?: number;
  /** Of each direction of each link; default unlimited. */
  readonly bandwidthBytesPerMs?: number;
  /**
   * Probability that a frame vanishes, or arrives twice, while its link stays up. No real link does
   * this; it is how a queue pair's sequence numbers are put to the test. Both need `prng`; default 0.
   */
  readonly dropRate?: number;
  readonly duplicateRate?: number;
  readonly prng?: Prng;
  /** Default `LINK_HIGH_WATER_BYTES`. */
  readonly highWaterBytes?: number;
}

interface MemoryHost {
  readonly nodeId: string;
  readonly transport: Transport;
  door: LinkDoor | undefined;
}

export class MemoryNetwork {
  readonly #properties: MemoryWireProperties;
  readonly #highWaterBytes: number | undefined;
  /** By port; a host that was killed leaves a gap. */
  readonly #hosts = new Map<number, MemoryHost>();
  readonly #partitions = new Set<string>();
  #connections: MemoryConnection[] = [];
  #nextPort = 1;

  constructor(init: MemoryNetworkInit) {
    const { scheduler, latencyMs = 0, bandwidthBytesPerMs = Number.POSITIVE_INFINITY } = init;
    const { dropRate = 0, duplicateRate = 0, prng } = init;
    assert(latencyMs >= 0, `Expected a latency of at least 0 ms but found ${latencyMs}`);
    assert(bandwidthBytesPerMs > 0, 'Expected a bandwidth above 0');
    assert(
      prng !== undefined || dropRate + duplicateRate === 0,
      'Expected a prng with a drop or duplicate rate',
    );
    this.#properties = { scheduler, latencyMs, bandwidthBytesPerMs, dropRate, duplicateRate, prng };
    this.#highWaterBytes = init.highWaterBytes;
  }

  /** A new host on this network. */
  transport(nodeId: string): Transport {
    assert(NODE_ID_PATTERN.test(nodeId), `Expected a node id like ${NODE_ID_PATTERN}`);
    const port = this.#nextPort++;
    const medium: LinkMedium = {
      provider: 'memory',
      address: { host: 'memory', port },
      listen: (door) => {
        const host = this.#hosts.get(port);
        if (host !== undefined) host.door = door;
      },
      dial: (request, end) => this.#dial(nodeId, request, end),
      close: () => {
        this.#hosts.delete(port);
        return Promise.resolve();
      },
    };
    const transport = new LinkTransport({
      nodeId,
      medium,
      scheduler: this.#properties.scheduler,
      ...(this.#highWaterBytes === undefined ? {} : { highWaterBytes: this.#highWaterBytes }),
    });
    this.#hosts.set(port, { nodeId, transport, door: undefined });
    return transport;
  }

  /** Breaks all links between two hosts and keeps them apart until `heal`. */
  partition(a: string, b: string): void {
    this.#partitions.add(pairOf(a, b));
    for (const connection of this.#connections) {
      if (pairOf(connection.diallerId, connection.acceptorId) === pairOf(a, b)) {
        connection.fail(`The network between ${a} and ${b} is partitioned`);
      }
    }
  }

  /** Lets the next redial between two hosts succeed. */
  heal(a: string, b: string): void {
    this.#partitions.delete(pairOf(a, b));
  }

  /** The host vanishes in mid-run: it hears nothing more, and its peers find out by redialling. */
  kill(nodeId: string): void {
    for (const connection of this.#connections) {
      if (connection.diallerId === nodeId || connection.acceptorId === nodeId) {
        connection.fail(`${nodeId} was killed`);
      }
    }
    for (const [port, host] of this.#hosts) {
      if (host.nodeId !== nodeId) continue;
      this.#hosts.delete(port);
      // Silences its links; in memory there is nothing to wait for.
      void host.transport.close();
    }
  }

  #dial(diallerId: string, request: DialRequest, end: DialledEnd): DialledConnection {
    const dial = new MemoryDial();
    runAfter(this.#properties.scheduler, this.#properties.latencyMs, () => {
      if (!dial.isWanted) return;
      this.#connect({ nodeId: diallerId, incarnation: request.incarnation }, request, end, dial);
    });
    return dial;
  }

  /** What a listener's upgrade does, with the same refusals. */
  #connect(identity: DialIdentity, request: DialRequest, end: DialledEnd, dial: MemoryDial): void {
    const host = this.#hosts.get(request.peer.address.port);
    const isCutOff = this.#partitions.has(pairOf(identity.nodeId, request.peer.nodeId));
    if (host === undefined || isCutOff) {
      end.closed({ kind: 'broken', reason: `${request.peer.nodeId} does not answer` });
      return;
    }
    const refusal =
      host.nodeId === request.peer.nodeId
        ? host.door?.admit(identity)
        : { status: 409, reason: `Expected a dial for ${host.nodeId}` };
    if (refusal !== undefined || host.door === undefined) {
      end.closed(closureOfRefusal(request, refusal?.status ?? 503));
      return;
    }
    const connection = new MemoryConnection(this.#properties, identity, host.nodeId, end);
    this.#connections = [...this.#connections.filter((other) => other.open), connection];
    dial.connection = connection.dialled;
    host.door.accepted(connection.accepted);
    if (dial.isWanted && connection.dialled.open) end.opened();
  }
}

/** A dial under way, and the connection that it becomes. */
class MemoryDial implements DialledConnection {
  readonly filling = new ViewLedger();
  connection: MemoryConnection['dialled'] | undefined;
  isWanted = true;

  get kind(): 'memory' | undefined {
    return this.connection?.kind;
  }

  recall(): void {
    this.connection?.recall();
  }

  abort: DialledConnection['abort'] = (reason) => this.connection?.abort(reason);

  reply: DialledConnection['reply'] = (header) => this.connection?.reply(header) ?? 'down';

  close: DialledConnection['close'] = (code, reason) => {
    this.isWanted = false;
    this.connection?.close(code, reason);
  };
}

function pairOf(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}
