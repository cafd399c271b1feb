/** A bare link: frames of the largest size, placed at once, without queue pairs. */
import { assert } from '../../common/assert.ts';
import { type Deferred, deferred } from '../../common/deferred.ts';
import { type FrameHeader, LINK_MTU_BYTES } from '../../node/transport/frame.ts';
import type { FrameSink, Transport } from '../../node/transport/transport.ts';
import { createWebSocketTransport } from '../../node/transport/websocket-transport.ts';
import { type End, type EndInit, filledMemory, type Introduction } from './end.ts';

const HEADER: FrameHeader = {
  type: 'WRITE',
  first: true,
  last: true,
  ackLater: false,
  destQpn: 1,
  sourceQpn: 1,
  qpEpoch: 1,
  psn: 0,
  remoteAddress: 0,
  rkey: 1,
  messageLength: 0,
  messageOffset: 0,
  payloadLength: 0,
  immediate: 0,
  syndrome: 'NONE',
  credits: 0,
};

export function linkTransport({ kind, scheduler, name }: EndInit): Promise<Transport> {
  return createWebSocketTransport({
    nodeId: `rate-${process.pid}-${name}`,
    bind: { host: '127.0.0.1', port: 0 },
    scheduler,
    links: kind,
  });
}

export function introductionOf(transport: Transport): Introduction {
  return { nodeId: transport.nodeId, ...transport.address };
}

export function peerOf({ nodeId, host, port }: Introduction) {
  return { nodeId: String(nodeId), address: { host: String(host), port: Number(port) } };
}

export class LinkEnd implements End, FrameSink {
  readonly introduction: Introduction;
  readonly #init: EndInit;
  readonly #transport: Transport;
  readonly #source: Uint8Array;
  readonly #target: Uint8Array;
  readonly #up = deferred<void>();
  #peer = '';
  #answered: Deferred<void> | undefined;
  #free: Deferred<void> | undefined;

  constructor(init: EndInit, transport: Transport) {
    this.#init = init;
    this.#transport = transport;
    this.introduction = introductionOf(transport);
    this.#source = filledMemory(init.runBytes);
    this.#target = filledMemory(init.runBytes);
    transport.attach(this);
  }

  static async create(init: EndInit): Promise<End> {
    return new LinkEnd(init, await linkTransport(init));
  }

  async meet(other: Introduction): Promise<void> {
    const peer = peerOf(other);
    this.#peer = peer.nodeId;
    this.#transport.connect(peer);
    await this.#up.promise;
    const kind = this.#transport.linkKind(this.#peer);
    assert(kind === this.#init.kind, `Expected a link over ${this.#init.kind} but found ${kind}`);
  }

  async send(): Promise<void> {
    this.#answered = deferred<void>();
    const messageLength = this.#source.byteLength;
    for (let messageOffset = 0; messageOffset < messageLength; ) {
      const payloadLength = Math.min(LINK_MTU_BYTES, messageLength - messageOffset);
      const end = messageOffset + payloadLength;
      const header = {
        ...HEADER,
        first: messageOffset === 0,
        last: end === messageLength,
        messageLength,
        messageOffset,
        payloadLength,
      };
      const views = [this.#source.subarray(messageOffset, end)];
      this.#free = deferred<void>();
      const outcome = this.#transport.send(this.#peer, header, views);
      assert(outcome !== 'down', 'Expected the link to stay up');
      if (outcome === 'queued') messageOffset = end;
      else await this.#free.promise;
    }
    await this.#answered.promise;
  }

  place(_nodeId: string, { messageOffset, payloadLength }: FrameHeader): readonly Uint8Array[] {
    return [this.#target.subarray(messageOffset, messageOffset + payloadLength)];
  }

  landed(nodeId: string, header: FrameHeader): void {
    if (header.type === 'ACK') this.#answered?.resolve();
    else if (header.last) this.#transport.reply(nodeId, { ...HEADER, type: 'ACK' });
  }

  linkUp(): void {
    this.#up.resolve();
  }

  writable(): void {
    this.#free?.resolve();
  }

  linkDown(): void {
    this.#fail('The link went down');
  }

  linkLost(_nodeId: string, reason: string): void {
    this.#fail(reason);
  }

  protocolError(_nodeId: string | undefined, reason: string): void {
    this.#fail(reason);
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  #fail(reason: string): void {
    this.#up.reject(new Error(reason));
    this.#answered?.reject(new Error(reason));
    this.#free?.reject(new Error(reason));
  }
}
