import { afterEach, describe, expect, it } from 'vitest';
import { defined } from '../../common/assert.ts';
import { wallScheduler } from '../../common/scheduler.ts';
import type { WireMachine } from '../../node/hccl/wire/wire-machine.ts';
import { POLL_IN, STREAM_BROKEN, STREAM_ENDED } from '../../node/os/stream-socket.ts';
import { MemoryNetwork } from '../../node/transport/memory-transport.ts';
import type { Transport } from '../../node/transport/transport.ts';
import { createWebSocketTransport } from '../../node/transport/websocket-transport.ts';
import { wireMachine } from '../../node/wire-sockets.ts';
import { RecordingSink, until } from '../conformance/recording-sink.ts';
import { isMissing, openDescriptors, thisSystem, whyMissing } from './os/this-system.ts';
import { settleOnWallClock } from './transport/wall-clock.ts';

const LONG_MS = 20_000;

const open: Transport[] = [];
const fds = new Map<number, WireMachine>();

async function closeAll(): Promise<void> {
  for (const [fd, machine] of fds) machine.close(fd);
  fds.clear();
  await settleOnWallClock(Promise.all(open.splice(0).map((transport) => transport.close())));
}
afterEach(closeAll);

async function host(nodeId: string, links: 'tcp' | 'unix') {
  const transport = await createWebSocketTransport({
    nodeId,
    bind: { host: '127.0.0.1', port: 0 },
    scheduler: wallScheduler,
    links,
  });
  open.push(transport);
  transport.attach(new RecordingSink());
  const machine = defined(wireMachine({ transport, system: thisSystem() }), 'a machine');
  return { transport, machine };
}

/** Hosts `a` and `b`; `b` is connected to `a`. */
async function pair(links: 'tcp' | 'unix' = 'tcp') {
  const [a, b] = [await host('a', links), await host('b', links)];
  b.transport.connect({ nodeId: 'a', address: a.transport.address });
  const os = thisSystem();
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer;
  const base = Number(os.addressOf(memory));
  const poll = os.pollSet(1);
  const receive = (fd: number, at: number, bytes: number) => {
    poll.set(0, fd, POLL_IN);
    poll.wait(1, LONG_MS);
    return os.receive(fd, base + at, bytes);
  };
  return { a, b, os, base, bytes: new Uint8Array(memory), receive };
}

/** Sending and receiving end. */
async function wire({ a, b }: Pick<Awaited<ReturnType<typeof pair>>, 'a' | 'b'>) {
  const { ticket, accepted } = a.machine.offer();
  const both = await settleOnWallClock(Promise.all([accepted, b.machine.dial('a', ticket)]));
  fds.set(both[0], a.machine).set(both[1], b.machine);
  return both;
}

/** Sockets of Node.js are closed a turn later than they are destroyed. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe.skipIf(isMissing)(`the descriptors of a wire${whyMissing}`, () => {
  it.each(['tcp', 'unix'] as const)(
    'are read and written by nobody else, both ways, over %s',
    async (links) => {
      const here = await pair(links);
      const [sender, receiver] = await wire(here);
      await turn();
      await turn();
      const { os, base, bytes, receive } = here;
      bytes.set([1, 2, 3, 4]);
      expect(os.transmit(sender, base, 2, base + 2, 2)).toBe(4);
      expect(receive(receiver, 10, 8)).toBe(4);
      expect(os.transmit(receiver, base + 10, 4, 0, 0)).toBe(4);
      expect(receive(sender, 20, 8)).toBe(4);
      expect([...bytes.subarray(20, 25)]).toEqual([1, 2, 3, 4, 0]);
    },
  );

  it('end with the transport that made them, and may be given back after that', async () => {
    const before = openDescriptors();
    const here = await pair();
    const [sender] = await wire(here);
    await settleOnWallClock(Promise.all(open.splice(0).map((transport) => transport.close())));
    await settleOnWallClock(until(wallScheduler, () => openDescriptors() <= before));
    here.a.machine.shut(sender);
  });

  it('carry what was sent before the dialler knew', async () => {
    const here = await pair();
    for (let round = 0; round < 20; round++) {
      const { ticket, accepted } = here.a.machine.offer();
      const sent = accepted.then((fd) => {
        fds.set(fd, here.a.machine);
        here.bytes[0] = round + 1;
        return here.os.transmit(fd, here.base, 1, 0, 0);
      });
      const receiver = await settleOnWallClock(here.b.machine.dial('a', ticket));
      fds.set(receiver, here.b.machine);
      expect(await settleOnWallClock(sent)).toBe(1);
      expect(here.receive(receiver, 10, 8)).toBe(1);
      expect(here.bytes[10]).toBe(round + 1);
    }
  });

  it('join a host to itself', async () => {
    const here = await pair();
    const [sender, receiver] = await wire({ a: here.a, b: here.a });
    expect(here.os.transmit(sender, here.base, 3, 0, 0)).toBe(3);
    expect(here.receive(receiver, 10, 8)).toBe(3);
  });

  it('say that the peer has ended, or that the connection is broken', async () => {
    const here = await pair();
    const [sender, receiver] = await wire(here);
    const { os, base, receive } = here;
    here.a.machine.shut(sender);
    expect(receive(receiver, 0, 8)).toBe(STREAM_ENDED);
    expect(os.transmit(sender, base, 1, 0, 0)).toBe(STREAM_BROKEN);
    const [other, another] = await wire(here);
    expect(os.transmit(other, base, 5, 0, 0)).toBe(5);
    expect(receive(another, 0, 1)).toBe(1);
    here.b.machine.close(another);
    fds.delete(another);
    expect(receive(other, 0, 8)).toBe(STREAM_BROKEN);
    expect(os.transmit(other, base, 1, base, 1)).toBe(STREAM_BROKEN);
  });

  it('are the only ones, and none is left in the end', async () => {
    const before = openDescriptors();
    const here = await pair();
    // What the links of the hosts take is there before the first wire.
    await wire(here);
    await settleOnWallClock(until(wallScheduler, () => here.b.transport.linkKind('a') === 'tcp'));
    const withOne = openDescriptors();
    for (let count = 1; count <= 10; count++) {
      await wire(here);
      await settleOnWallClock(
        until(wallScheduler, () => openDescriptors() === withOne + 2 * count),
      );
    }
    await closeAll();
    await settleOnWallClock(until(wallScheduler, () => openDescriptors() <= before));
  });
});

describe.skipIf(isMissing)(`a wire that comes to nothing${whyMissing}`, () => {
  it('leaves no descriptor', async () => {
    const here = await pair();
    await wire(here);
    await settleOnWallClock(until(wallScheduler, () => here.b.transport.linkKind('a') === 'tcp'));
    const before = openDescriptors();
    const offer = here.a.machine.offer();
    offer.cancel();
    await expect(settleOnWallClock(offer.accepted)).rejects.toThrow('cancelled');
    const dial = here.b.machine.dial('a', offer.ticket);
    await expect(settleOnWallClock(dial)).rejects.toThrow('HTTP 404');
    await expect(here.b.machine.dial('nobody', offer.ticket)).rejects.toThrow('Expected links');
    await settleOnWallClock(until(wallScheduler, () => openDescriptors() <= before));
  });

  it('cannot be taken if its peer has closed it, or has spoken first', async () => {
    const { a, b } = await pair();
    const wires = defined(a.transport.wires, 'wires');
    const taken = async (spoil: 'close' | 'speak') => {
      const { ticket, accepted, cancel } = wires.offer();
      const dialled = defined(b.transport.wires, 'wires').dial('a', ticket);
      const [socket, other] = await settleOnWallClock(Promise.all([accepted, dialled]));
      if (spoil === 'close') {
        socket.destroy();
      } else {
        other.write('early');
        await settleOnWallClock(until(wallScheduler, () => socket.readableLength > 0));
      }
      const offered = { ticket, accepted: Promise.resolve(socket), cancel };
      const transport = { wires: { ...wires, offer: () => offered } };
      const machine = defined(wireMachine({ transport, system: thisSystem() }), 'a machine');
      try {
        await machine.offer().accepted;
      } finally {
        expect(socket.destroyed).toBe(true);
        other.destroy();
      }
    };
    await expect(taken('close')).rejects.toMatchObject({ code: 'HLSIM_HOST_LOST' });
    await expect(taken('speak')).rejects.toMatchObject({ code: 'HLSIM_PROTOCOL_ERROR' });
  });
});

describe('wires for HCCL', () => {
  it('are not there if the transport has no sockets', () => {
    const transport = new MemoryNetwork({ scheduler: wallScheduler }).transport('a');
    const system = {
      limitSendBuffer: () => undefined,
      shutDown: () => undefined,
    };
    expect(wireMachine({ transport, system })).toBeUndefined();
  });
});
