import { describe, expect, it } from 'vitest';
import { VirtualScheduler } from '../../common/scheduler.ts';
import { KnownHostsTransport } from '../../node/known-hosts.ts';
import { MemoryNetwork } from '../../node/transport/memory-transport.ts';
import type { FrameSink, LinkAddress, Wires } from '../../node/transport/transport.ts';

function world() {
  const scheduler = new VirtualScheduler();
  const network = new MemoryNetwork({ scheduler, latencyMs: 1 });
  const events: string[] = [];
  const sink: FrameSink = {
    place: () => null,
    landed: () => undefined,
    linkUp: (nodeId) => events.push(`up ${nodeId}`),
    linkDown: () => undefined,
    linkLost: (nodeId, reason) => events.push(`lost ${nodeId}: ${reason}`),
    writable: () => undefined,
    protocolError: () => undefined,
  };
  const there = network.transport('there');
  there.attach({ ...sink, linkUp: () => undefined, linkLost: () => undefined });
  const directory = new Map<string, LinkAddress>([['there', there.address]]);
  const here = new KnownHostsTransport(network.transport('here'), scheduler, (nodeId) =>
    directory.get(nodeId),
  );
  here.attach(sink);
  there.connect({ nodeId: 'here', address: here.address });
  const settle = () => scheduler.run(new Promise<void>((done) => scheduler.after(20, done)));
  return { here, events, settle };
}

function neverOffered(): never {
  throw new Error('Expected no wire');
}

describe('the transport of a host', () => {
  const lie = { host: 'elsewhere', port: 1 };

  it('dials a host where the cluster has it, whatever address a program names', async () => {
    const { here, events, settle } = world();
    here.connect({ nodeId: 'there', address: lie });
    await settle();
    expect(events).toEqual(['up there']);
  });

  it('has the wires of the sockets, if there are sockets', () => {
    const { here } = world();
    expect(here.wires).toBeUndefined();
    const scheduler = new VirtualScheduler();
    const wires: Wires = { offer: () => neverOffered(), dial: () => neverOffered() };
    const sockets = Object.assign(new MemoryNetwork({ scheduler }).transport('a'), { wires });
    expect(new KnownHostsTransport(sockets, scheduler, () => undefined).wires).toBe(wires);
  });

  it('never dials a host that the cluster does not have: it is lost at once', async () => {
    const { here, events, settle } = world();
    here.connect({ nodeId: 'stranger', address: lie });
    await settle();
    expect(events).toEqual(['lost stranger: Expected a host of this cluster but found stranger']);
  });

  it('says of a host that the cluster has lost that it is, once', async () => {
    const { here, events, settle } = world();
    here.connect({ nodeId: 'there', address: lie });
    await settle();
    here.lose('there', 'its heartbeats are missed');
    expect(events).toEqual(['up there']);
    await settle();
    expect(events).toEqual(['up there', 'lost there: its heartbeats are missed']);
    expect(here.linkKind('there')).toBeUndefined();
  });
});
