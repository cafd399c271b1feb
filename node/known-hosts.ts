/**
 * A transport that dials the hosts of the cluster and nobody else, each where the coordinator says it is.
 * Addresses reach the NIC from user programs too, in address handles and endpoint names, and a dial
 * carries the cluster's token.
 */
import type { Scheduler } from '../common/scheduler.ts';
import type { FrameHeader } from './transport/frame.ts';
import type {
  FrameSink,
  LinkAddress,
  LinkCounters,
  LinkKind,
  Peer,
  SendOutcome,
  Transport,
  Wires,
} from './transport/transport.ts';

export class KnownHostsTransport implements Transport {
  readonly provider: Transport['provider'];
  readonly nodeId: string;
  readonly address: LinkAddress;
  readonly wires?: Wires;
  readonly #transport: Transport;
  readonly #scheduler: Scheduler;
  readonly #addressOf: (nodeId: string) => LinkAddress | undefined;
  #sink: FrameSink | undefined;

  constructor(
    transport: Transport,
    scheduler: Scheduler,
    addressOf: (nodeId: string) => LinkAddress | undefined,
  ) {
    this.provider = transport.provider;
    this.nodeId = transport.nodeId;
    this.address = transport.address;
    if (transport.wires !== undefined) this.wires = transport.wires;
    this.#transport = transport;
    this.#scheduler = scheduler;
    this.#addressOf = addressOf;
  }

  attach(sink: FrameSink): void {
    this.#sink = sink;
    this.#transport.attach(sink);
  }

  /** A host that the cluster does not have is lost at once. */
  connect({ nodeId }: Peer): void {
    const address = nodeId === this.nodeId ? this.address : this.#addressOf(nodeId);
    if (address !== undefined) {
      this.#transport.connect({ nodeId, address });
      return;
    }
    const reason = `Expected a host of this cluster but found ${nodeId}`;
    this.#scheduler.soon(() => this.#sink?.linkLost(nodeId, reason));
  }

  disconnect(nodeId: string): void {
    this.#transport.disconnect(nodeId);
  }

  /** The cluster has lost a host: whoever waits for it need not wait for its links to say so. */
  lose(nodeId: string, reason: string): void {
    this.disconnect(nodeId);
    this.#scheduler.soon(() => this.#sink?.linkLost(nodeId, reason));
  }

  send(nodeId: string, header: FrameHeader, payload: readonly Uint8Array[]): SendOutcome {
    return this.#transport.send(nodeId, header, payload);
  }

  reply(nodeId: string, header: FrameHeader): SendOutcome {
    return this.#transport.reply(nodeId, header);
  }

  linkKind(nodeId: string): LinkKind | undefined {
    return this.#transport.linkKind(nodeId);
  }

  isQuiet(nodeId: string): boolean {
    return this.#transport.isQuiet(nodeId);
  }

  quiesce(nodeId: string, deadlineMs: number): Promise<void> {
    return this.#transport.quiesce(nodeId, deadlineMs);
  }

  counters(nodeId: string): LinkCounters {
    return this.#transport.counters(nodeId);
  }

  close(): Promise<void> {
    return this.#transport.close();
  }
}
