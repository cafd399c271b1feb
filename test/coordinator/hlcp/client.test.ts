import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import type { HlsimError } from '../../../common/errors.ts';
import { wallScheduler } from '../../../common/scheduler.ts';
import { connectControl, connectHostControl } from '../../../coordinator/hlcp/client.ts';
import { coordinatorHostEnd } from '../../../coordinator/hlcp/codec.ts';
import { type HostPeer, Peer } from '../peers.ts';

const scheduler = wallScheduler;
const toClose: { close(): unknown }[] = [];

afterEach(() => {
  for (const each of toClose.splice(0)) each.close();
});

async function listening(server: Server): Promise<number> {
  toClose.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

/** A port that nobody listens on: one that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function refusalAt(url: string, deadlineMs: number): Promise<HlsimError> {
  const attempt = connectControl({ url, role: 'client', scheduler, deadlineMs });
  return attempt.then(
    () => Promise.reject(new Error('Expected a refusal but the connection opened')),
    (reason: HlsimError) => reason,
  );
}

/** A WebSocket server that does to each connection what `behave` says. */
async function coordinatorThat(behave: (socket: import('ws').WebSocket) => void): Promise<string> {
  const http = createHttpServer();
  const port = await listening(http);
  new WebSocketServer({ server: http }).on('connection', behave);
  return `ws://127.0.0.1:${port}`;
}

describe('connectControl()', () => {
  it('tries a port that refuses until the deadline, then says what it tried', async () => {
    const url = `ws://127.0.0.1:${await freePort()}`;
    const error = await refusalAt(url, 400);
    expect(error.code).toBe('HLSIM_COORDINATOR_UNREACHABLE');
    expect(error.message).toContain(url);
    expect(error.message).toMatch(/tried \d+ times in \d+ ms, last: connect ECONNREFUSED/);
    expect(error.fields['attempts']).toBeGreaterThanOrEqual(2);
  });

  it('tries a name that does not resolve until the deadline', async () => {
    const error = await refusalAt('ws://no-such-host.invalid:1', 150);
    expect(error.code).toBe('HLSIM_COORDINATOR_UNREACHABLE');
    expect(error.message).toMatch(/ENOTFOUND|EAI_AGAIN|no answer/);
  });

  it('does not wait longer than the deadline for a port that never answers', async () => {
    const port = await listening(createServer(() => undefined));
    const error = await refusalAt(`ws://127.0.0.1:${port}`, 300);
    expect(error.message).toMatch(/tried once in \d+ ms, last: no answer within/);
  });

  it('connects to a coordinator that starts later', async () => {
    const port = await freePort();
    const connecting = connectHostControl({
      url: `ws://127.0.0.1:${port}`,
      scheduler,
      deadlineMs: 10_000,
    });
    await new Promise((resolve) => scheduler.after(200, () => resolve(undefined)));
    const server = new WebSocketServer({ host: '127.0.0.1', port });
    toClose.push(server);
    const peer: HostPeer = new Peer(await connecting);
    peer.connection.close();
    expect(await peer.closed).toBeUndefined();
  });

  it('gives up at once on a server that is no coordinator', async () => {
    const port = await listening(createHttpServer((_request, response) => response.end('hi')));
    const error = await refusalAt(`ws://127.0.0.1:${port}`, 60_000);
    expect(error.code).toBe('HLSIM_COORDINATOR_UNREACHABLE');
    expect(error.message).toContain('found HTTP status 200');
  });

  it.each(['', 'localhost', 'http://localhost:1', '127.0.0.1:7700'])(
    'refuses the address %j',
    async (url) => {
      expect((await refusalAt(url, 100)).code).toBe('HLSIM_CONFIG');
    },
  );
});

describe('a dialled control connection', () => {
  it('delivers what came before listen(), in order, and the end after it', async () => {
    const url = await coordinatorThat((socket) => {
      for (let sequence = 0; sequence < 100; sequence++) {
        socket.send(coordinatorHostEnd.encode({ type: 'HLCP_HEARTBEAT_ACK', sequence }));
      }
      socket.close();
    });
    const connection = await connectHostControl({ url, scheduler, deadlineMs: 5_000 });
    await new Promise((resolve) => scheduler.after(50, () => resolve(undefined)));
    const peer: HostPeer = new Peer(connection);
    expect((await peer.closed)?.code).toBe('HLSIM_COORDINATOR_LOST');
    expect(peer.heard.map((message) => 'sequence' in message && message.sequence)).toEqual(
      Array.from({ length: 100 }, (_, index) => index),
    );
  });

  it('ends with HLSIM_COORDINATOR_LOST when the coordinator dies', async () => {
    const url = await coordinatorThat((socket) => socket.terminate());
    const peer: HostPeer = new Peer(
      await connectHostControl({ url, scheduler, deadlineMs: 5_000 }),
    );
    const reason = await peer.closed;
    expect(reason?.code).toBe('HLSIM_COORDINATOR_LOST');
    expect(reason?.message).toContain('close code 1006');
  });

  it('ends with the words of a refusal', async () => {
    const failure = { code: 'HLSIM_CLUSTER_FULL', message: 'Expected 2 hosts' };
    const url = await coordinatorThat((socket) => {
      socket.send(coordinatorHostEnd.encode({ type: 'HLCP_REFUSED', failure }));
      socket.close();
    });
    const peer: HostPeer = new Peer(
      await connectHostControl({ url, scheduler, deadlineMs: 5_000 }),
    );
    expect(await peer.closed).toMatchObject(failure);
  });

  it('ends with HLSIM_PROTOCOL_ERROR when the coordinator sends garbage', async () => {
    const url = await coordinatorThat((socket) => socket.send(Uint8Array.of(0xc1)));
    const peer: HostPeer = new Peer(
      await connectHostControl({ url, scheduler, deadlineMs: 5_000 }),
    );
    expect((await peer.closed)?.code).toBe('HLSIM_PROTOCOL_ERROR');
  });

  it('lets out what was sent before close()', async () => {
    const received: unknown[] = [];
    let ended: () => void = () => undefined;
    const over = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const url = await coordinatorThat((socket) => {
      socket.on('message', (data: Buffer) => received.push(coordinatorHostEnd.decode(data)));
      socket.on('close', ended);
    });
    const peer: HostPeer = new Peer(
      await connectHostControl({ url, scheduler, deadlineMs: 5_000 }),
    );
    for (let sequence = 0; sequence < 50; sequence++)
      peer.send({ type: 'HLCP_HEARTBEAT', sequence });
    peer.connection.close();
    peer.send({ type: 'HLCP_HEARTBEAT', sequence: 99 });
    await over;
    expect(received).toHaveLength(50);
    expect(await peer.closed).toBeUndefined();
  });
});
