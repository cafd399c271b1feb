/**
 * A host's transport as its NIC sees it, with the shadow model in between: what the NIC hands over to be
 * sent, and where it lets payloads be stored.
 */
import type { FrameHeader } from '../../../node/transport/frame.ts';
import type { FrameSink, Transport } from '../../../node/transport/transport.ts';
import type { Arriving } from './shadow-model.ts';

export interface TransportObserver {
  /** Domain of a queue pair of this host. */
  domainOf(host: number, qpn: number): object | undefined;
  sending(host: number, header: FrameHeader, payload: readonly Uint8Array[]): void;
  /** From here on payload bytes are this frame's; `undefined`: no more. */
  arriving(frame: Arriving | undefined): void;
  /** A frame has been accepted or refused. */
  frame(host: number, event: 'placed' | 'refused' | 'landed', header: FrameHeader): void;
}

export function observedTransport(
  transport: Transport,
  host: number,
  observer: TransportObserver,
): Transport {
  const overrides: Partial<Transport> = {
    attach: (sink) => transport.attach(observedSink(sink, host, observer)),
    send(nodeId, header, payload) {
      const outcome = transport.send(nodeId, header, payload);
      if (outcome === 'queued') observer.sending(host, header, payload);
      return outcome;
    },
  };
  return new Proxy(transport, {
    get(target, name) {
      const override: unknown = Reflect.get(overrides, name);
      if (override !== undefined) return override;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function observedSink(sink: FrameSink, host: number, observer: TransportObserver): FrameSink {
  return {
    place(nodeId, header) {
      const views = sink.place(nodeId, header);
      observer.frame(host, views === null ? 'refused' : 'placed', header);
      const pd = observer.domainOf(host, header.destQpn);
      observer.arriving(views === null ? undefined : { host, header, pd });
      return views;
    },
    landed(nodeId, header) {
      observer.arriving(undefined);
      observer.frame(host, 'landed', header);
      sink.landed(nodeId, header);
    },
    linkUp: (nodeId) => sink.linkUp(nodeId),
    linkDown: (nodeId) => sink.linkDown(nodeId),
    linkLost: (nodeId, reason) => sink.linkLost(nodeId, reason),
    writable: (nodeId) => sink.writable(nodeId),
    protocolError: (nodeId, reason) => sink.protocolError(nodeId, reason),
  };
}
