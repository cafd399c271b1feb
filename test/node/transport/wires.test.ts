import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, createServer, type Server, Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { defined } from '../../../common/assert.ts';
import { type Scheduler, wallScheduler } from '../../../common/scheduler.ts';
import { MemoryNetwork } from '../../../node/transport/memory-transport.ts';
import {
  type LinkAddress,
  type Transport,
  WIRE_TIMEOUT_MS,
  type WireOffer,
  type Wires,
} from '../../../node/transport/transport.ts';
import {
  createWebSocketTransport,
  type WebSocketTransportInit,
} from '../../../node/transport/websocket-transport.ts';
import { WIRE_OFFERS_MAX, WireDoor } from '../../../node/transport/wire-door.ts';
import { RecordingSink, until } from '../../conformance/recording-sink.ts';
import { handshakeHeaders, refusalOf } from './raw-dialler.ts';
import { settleOnWallClock } from './wall-clock.ts';

const STRANGE_TICKET = '0123456789abcdef'.repeat(2);

const open: Transport[] = [];
const sockets: Socket[] = [];
const servers: Server[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await settleOnWallClock(Promise.all(open.splice(0).map((transport) => transport.close())));
  for (const server of servers.splice(0)) server.close();
});

async function host(nodeId: string, init: Partial<WebSocketTransportInit> = {}) {
  const transport = await createWebSocketTransport({
    nodeId,
    bind: { host: '127.0.0.1', port: 0 },
    scheduler: wallScheduler,
    token: 'secret',
    ...init,
  });
  open.push(transport);
  const sink = new RecordingSink();
  transport.attach(sink);
  return { transport, sink, wires: defined(transport.wires, 'wires') };
}

/** Hosts `a` and `b`; `b` is connected to `a`. */
async function pair(init: Partial<WebSocketTransportInit> = {}, initOfB = init) {
  const [a, b] = [await host('a', init), await host('b', initOfB)];
  b.transport.connect({ nodeId: 'a', address: a.transport.address });
  return { a, b };
}

/** What the accepter and the dialler get. */
async function wire(offerer: Wires, dialler: Wires, nodeId: string): Promise<[Socket, Socket]> {
  const { ticket, accepted } = offerer.offer();
  const both = await settleOnWallClock(Promise.all([accepted, dialler.dial(nodeId, ticket)]));
  sockets.push(...both);
  return both;
}

async function failureOf(promise: Promise<unknown>): Promise<string> {
  const outcome = promise.then(
    () => 'fulfilled',
    (error: Error & { code?: string }) => `${error.code}: ${error.message}`,
  );
  return await settleOnWallClock(outcome);
}

/** Time-outs of a wire come when the test says so; all else goes by the clock. */
function handScheduler() {
  const late: (() => void)[] = [];
  const scheduler: Scheduler = {
    ...wallScheduler,
    after(delayMs, task) {
      if (delayMs !== WIRE_TIMEOUT_MS) return wallScheduler.after(delayMs, task);
      late.push(task);
      return () => void late.splice(late.indexOf(task), 1);
    },
  };
  return { scheduler, late };
}

/** Answers whoever connects with `answer`, and keeps the connection. */
async function speaker(answer: string): Promise<LinkAddress> {
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.once('data', () => socket.write(answer));
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { host: '127.0.0.1', port: (server.address() as { port: number }).port };
}

describe.each(['tcp', 'unix'] as const)('a wire over %s', (links) => {
  it('is one connection between who offers and who dials', async () => {
    const { a, b } = await pair({ links });
    const [accepted, dialled] = await wire(a.wires, b.wires, 'a');
    expect(accepted.remotePort).toBe(dialled.localPort);
    expect(accepted.remoteAddress === undefined).toBe(links === 'unix');
    const arrival = once(accepted, 'data');
    dialled.write('over');
    accepted.resume();
    expect(String((await settleOnWallClock(arrival))[0])).toBe('over');
    expect([...a.sink.events, ...b.sink.events].join()).not.toContain('protocolError');
  });

  it('is handed over paused, with nothing read behind the handshake', async () => {
    const { a, b } = await pair({ links });
    const { ticket, accepted } = a.wires.offer();
    const early = accepted.then((socket) => {
      sockets.push(socket);
      socket.write('bulk');
      return socket;
    });
    const dialled = await settleOnWallClock(b.wires.dial('a', ticket));
    sockets.push(dialled);
    const acceptor = await settleOnWallClock(early);
    expect([acceptor.isPaused(), dialled.isPaused()]).toEqual([true, true]);
    expect([dialled.bytesRead > 100, dialled.readableLength]).toEqual([true, 0]);
    // The response and nothing of the 4 bytes behind it.
    expect(dialled.bytesRead).toBe(acceptor.bytesWritten - 4);
    for (const socket of [acceptor, dialled]) {
      const listeners = ['data', 'readable', 'drain', 'timeout'].map((name) =>
        socket.listenerCount(name),
      );
      expect(listeners).toEqual([0, 0, 0, 0]);
      expect(socket.listenerCount('error')).toBeGreaterThan(0);
    }
  });

  it('goes from a host to itself', async () => {
    const { wires } = await host('a', { links });
    const [accepted, dialled] = await wire(wires, wires, 'a');
    const arrival = once(accepted, 'data');
    dialled.write('me');
    accepted.resume();
    expect(String((await settleOnWallClock(arrival))[0])).toBe('me');
  });

  it('ends with the transport, whoever has it, and no descriptor is left', async () => {
    const before = readdirSync('/proc/self/fd').length;
    const { a, b } = await pair({ links });
    const [accepted, dialled] = await wire(a.wires, b.wires, 'a');
    await settleOnWallClock(Promise.all([a.transport.close(), b.transport.close()]));
    expect([accepted.destroyed, dialled.destroyed]).toEqual([true, true]);
    const isGone = () => readdirSync('/proc/self/fd').length <= before;
    await settleOnWallClock(until(wallScheduler, isGone));
  });
});

describe('wires', () => {
  it('go over TCP if the peer has no Unix socket', async () => {
    const { a, b } = await pair({ links: 'tcp' }, { links: 'auto' });
    const [accepted] = await wire(a.wires, b.wires, 'a');
    expect(accepted.remoteAddress).toBe('127.0.0.1');
  });

  it('are told apart by their tickets', async () => {
    const { a, b } = await pair();
    const offers = Array.from({ length: 20 }, () => a.wires.offer());
    expect(new Set(offers.map(({ ticket }) => ticket)).size).toBe(20);
    for (const { ticket } of offers) expect(ticket).toMatch(/^[\da-f]{32}$/);
    const dialled = await settleOnWallClock(
      Promise.all([...offers].reverse().map(({ ticket }) => b.wires.dial('a', ticket))),
    );
    const accepted = await settleOnWallClock(Promise.all(offers.map((offer) => offer.accepted)));
    sockets.push(...dialled, ...accepted);
    expect(accepted.map(({ remotePort }) => remotePort)).toEqual(
      dialled.map(({ localPort }) => localPort).reverse(),
    );
  });

  it('are not there without sockets', () => {
    const transport = new MemoryNetwork({ scheduler: wallScheduler }).transport('a');
    expect(transport.wires).toBeUndefined();
  });
});

describe('a dial for a wire is refused', () => {
  it('with a ticket that was never offered, or was cancelled', async () => {
    const { a, b } = await pair();
    const refused = /^HLSIM_RENDEZVOUS: .* refused \(HTTP 404\): the ticket is unknown/;
    expect(await failureOf(b.wires.dial('a', STRANGE_TICKET))).toMatch(refused);
    const { ticket, accepted, cancel } = a.wires.offer();
    cancel();
    cancel();
    expect(await failureOf(accepted)).toContain('was cancelled');
    expect(await failureOf(b.wires.dial('a', ticket))).toMatch(refused);
  });

  it('with a ticket that is used, which harms nobody', async () => {
    const { a, b } = await pair();
    const { ticket, accepted, cancel } = a.wires.offer();
    const dials = await settleOnWallClock(
      Promise.allSettled([b.wires.dial('a', ticket), b.wires.dial('a', ticket)]),
    );
    expect(dials.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const socket = await settleOnWallClock(accepted);
    sockets.push(socket);
    for (const dial of dials) if (dial.status === 'fulfilled') sockets.push(dial.value);
    expect(await failureOf(b.wires.dial('a', ticket))).toContain('HTTP 404');
    cancel();
    expect(socket.destroyed).toBe(false);
  });

  it('with a ticket whose dial is not answered yet', async () => {
    const door = new WireDoor(wallScheduler);
    const { ticket, accepted } = door.offer();
    // Neither is connected, so the answer stays where it is.
    const [first, second] = [new Socket(), new Socket()];
    expect(door.enter(ticket, first, 'answer')).toBeUndefined();
    expect(door.enter(ticket, second, 'answer')).toMatchObject({ status: 404 });
    door.close();
    expect(await failureOf(accepted)).toContain('going away');
    expect([first.destroyed, second.destroyed]).toEqual([true, false]);
    second.destroy();
  });

  it('with another token, and by a host that is another one', async () => {
    const { a, b } = await pair({}, { token: 'another' });
    const { ticket } = a.wires.offer();
    expect(await failureOf(b.wires.dial('a', ticket))).toMatch(/^HLSIM_TOKEN_REFUSED: .*401/);
    expect(a.sink.count('protocolError undefined: Refused a dial')).toBeGreaterThan(0);
    const c = await host('c');
    c.transport.connect({ nodeId: 'old', address: a.transport.address });
    expect(await failureOf(c.wires.dial('old', ticket))).toMatch(/^HLSIM_HOST_LOST: .*409/);
    // Neither has used the ticket.
    c.transport.connect({ nodeId: 'a', address: a.transport.address });
    sockets.push(await settleOnWallClock(c.wires.dial('a', ticket)));
  });

  const wrong: readonly (readonly [string, number, Record<string, string | undefined>])[] = [
    ['no ticket', 400, { 'x-hlsim-wire': undefined }],
    ['a malformed ticket', 400, { 'x-hlsim-wire': 'ABC' }],
    ['no node id', 400, { 'x-hlsim-node': undefined }],
    ['no token', 401, { authorization: undefined }],
    ['another version', 426, { 'x-hlsim-link-version': '1' }],
    ['no version', 400, { 'x-hlsim-link-version': undefined }],
    ['another host in mind', 409, { 'x-hlsim-expect-node': 'b' }],
    ['a strange ticket', 404, {}],
  ];
  it.each(wrong)('with %s (%i)', async (_name, status, headers) => {
    const { transport } = await host('a');
    const good = { ...handshakeHeaders(), 'x-hlsim-wire': STRANGE_TICKET };
    expect(await refusalOf(transport.address, { ...good, ...headers }, '/wire')).toBe(status);
  });

  it('before the host is ready', async () => {
    const { transport } = await host('a');
    const address = { host: '127.0.0.1', port: 0 };
    const early = await createWebSocketTransport({
      nodeId: 'b',
      bind: address,
      scheduler: wallScheduler,
      token: 'secret',
    });
    open.push(early);
    transport.connect({ nodeId: 'b', address: early.address });
    const dial = defined(transport.wires, 'wires').dial('b', STRANGE_TICKET);
    expect(await failureOf(dial)).toMatch(/^HLSIM_HOST_LOST: .*503.*not ready/);
  });
});

describe('a dial for a wire fails', () => {
  it('if the host was never connected, or is disconnected', async () => {
    const { a, b } = await pair();
    const { ticket } = a.wires.offer();
    const lost = /^HLSIM_HOST_LOST: Expected links to \w+ before/;
    expect(await failureOf(b.wires.dial('nobody', ticket))).toMatch(lost);
    b.transport.disconnect('a');
    expect(await failureOf(b.wires.dial('a', ticket))).toMatch(lost);
  });

  it('if nobody listens there, by either way', async () => {
    for (const links of ['tcp', 'unix'] as const) {
      const { wires, transport } = await host('a', { links });
      const gone = await host(`gone-${links}`);
      await settleOnWallClock(gone.transport.close());
      const nodeId = gone.transport.nodeId;
      transport.connect({ nodeId, address: gone.transport.address });
      const failure = await failureOf(wires.dial(nodeId, STRANGE_TICKET));
      expect(failure).toMatch(/^HLSIM_HOST_LOST: .*ECONNREFUSED/);
    }
  });

  it.each([
    ['no HTTP', 'hello\r\n\r\n', 'Expected an HTTP response'],
    ['a wrong accept', 'HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n', 'Expected Connection'],
    ['an answer without end', `HTTP/1.1 200 OK\r\n${'x'.repeat(20_000)}`, 'a shorter answer'],
    ['another status', 'HTTP/1.1 302 Found\r\n\r\n\r\n\r\n', 'it is no link listener'],
  ])('if what answers is none of ours: %s', async (_name, answer, reason) => {
    const { transport, wires } = await host('a');
    transport.connect({ nodeId: 'b', address: await speaker(answer) });
    const failure = await failureOf(wires.dial('b', STRANGE_TICKET));
    expect(failure).toMatch(/^HLSIM_PROTOCOL_ERROR/);
    expect(failure).toContain(reason);
  });

  it('if nothing answers in time', async () => {
    const { scheduler, late } = handScheduler();
    const { transport, wires } = await host('a', { scheduler });
    transport.connect({ nodeId: 'b', address: await speaker('HTTP/1.1 101 Swi') });
    const failure = failureOf(wires.dial('b', STRANGE_TICKET));
    // The link's dial and the wire's.
    await settleOnWallClock(until(wallScheduler, () => sockets.length >= 2));
    expect(late.length).toBe(1);
    late[0]?.();
    expect(await failure).toMatch(/^HLSIM_TIMEOUT/);
  });

  it('if the transport closes meanwhile, or is closed', async () => {
    const { transport, wires } = await host('a');
    transport.connect({ nodeId: 'b', address: await speaker('HTTP/1.1 101 Swi') });
    const failure = failureOf(wires.dial('b', STRANGE_TICKET));
    await settleOnWallClock(until(wallScheduler, () => sockets.length >= 2));
    await settleOnWallClock(transport.close());
    expect(await failure).toMatch(/^HLSIM_HOST_LOST: .*going away/);
    expect(await failureOf(wires.dial('a', STRANGE_TICKET))).toContain('going away');
  });
});

describe('an offer of a wire', () => {
  it('rejects if nobody dials in time, and its ticket is worth nothing then', async () => {
    const { scheduler, late } = handScheduler();
    const { a, b } = await pair({ scheduler }, {});
    const { ticket, accepted } = a.wires.offer();
    late[0]?.();
    expect(await failureOf(accepted)).toMatch(/^HLSIM_TIMEOUT/);
    expect(await failureOf(b.wires.dial('a', ticket))).toContain('HTTP 404');
  });

  it('leaves no timer behind once it is settled', async () => {
    const { scheduler, late } = handScheduler();
    const { wires } = await host('a', { scheduler });
    await wire(wires, wires, 'a');
    wires.offer().cancel();
    expect(late).toEqual([]);
  });

  it('rejects when the transport closes, and after', async () => {
    const { transport, wires } = await host('a');
    const { accepted } = wires.offer();
    await settleOnWallClock(transport.close());
    const goingAway = /^HLSIM_HOST_LOST: .*going away/;
    expect(await failureOf(accepted)).toMatch(goingAway);
    expect(await failureOf(wires.offer().accepted)).toMatch(goingAway);
  });

  it(`is refused beyond ${WIRE_OFFERS_MAX}, until one is settled`, async () => {
    const { wires } = await host('a');
    const offers = Array.from({ length: WIRE_OFFERS_MAX }, (): WireOffer => wires.offer());
    expect(await failureOf(wires.offer().accepted)).toMatch(/^HLSIM_RENDEZVOUS: .*at most 4096/);
    for (const { cancel } of offers) cancel();
    await wire(wires, wires, 'a');
  });

  it('stays open when one with its ticket speaks before the answer', async () => {
    const { a, b } = await pair();
    const { ticket, accepted } = a.wires.offer();
    const { address } = a.transport;
    const socket = connect(address.port, address.host);
    sockets.push(socket);
    const answer = once(socket, 'data');
    const headers = { ...handshakeHeaders(), 'x-hlsim-wire': ticket };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    const upgrade = [
      'GET /wire HTTP/1.1',
      'host: test',
      'connection: Upgrade',
      'upgrade: websocket',
      'sec-websocket-version: 13',
      'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
      ...lines,
    ];
    socket.write(`${upgrade.join('\r\n')}\r\n\r\nearly`);
    expect(String((await settleOnWallClock(answer))[0])).toContain('HTTP/1.1 400');
    sockets.push(await settleOnWallClock(b.wires.dial('a', ticket)));
    sockets.push(await settleOnWallClock(accepted));
  });

  it('need not be looked at once it is cancelled', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    const { wires } = await host('a');
    wires.offer().cancel();
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });
});
