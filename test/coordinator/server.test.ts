/** The port itself: real sockets on loopback, any free port. */
import { connect, createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { wallScheduler } from '../../common/scheduler.ts';
import { connectClientControl, connectHostControl } from '../../coordinator/hlcp/client.ts';
import { hostEnd } from '../../coordinator/hlcp/codec.ts';
import { HLCP_MESSAGE_BYTES_MAX, HLCP_VERSION } from '../../coordinator/hlcp/messages.ts';
import {
  type CoordinatorServer,
  type CoordinatorServerOptions,
  startCoordinatorServer,
} from '../../coordinator/server.ts';
import {
  CLIENT_HELLO,
  type ClientPeer,
  type HostPeer,
  Peer,
  rankData,
  recordingLog,
} from './peers.ts';

const scheduler = wallScheduler;
const servers: CoordinatorServer[] = [];

async function start(options: Partial<CoordinatorServerOptions> = {}) {
  const log = recordingLog();
  const server = await startCoordinatorServer({
    host: '127.0.0.1',
    port: 0,
    expectedHosts: 2,
    scheduler,
    log,
    ...options,
  });
  servers.push(server);
  return { server, log, http: server.url.replace('ws:', 'http:') };
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function host(server: CoordinatorServer, name: string, token?: string): Promise<HostPeer> {
  const options = { url: server.url, token, scheduler, deadlineMs: 5_000 };
  const peer: HostPeer = new Peer(await connectHostControl(options), (message) => {
    if (message.type === 'HLCP_SHUTDOWN') peer.connection.close();
  });
  peer.send(rankData(name));
  return peer;
}

async function client(server: CoordinatorServer, token?: string): Promise<ClientPeer> {
  const options = { url: server.url, token, scheduler, deadlineMs: 5_000 };
  const peer: ClientPeer = new Peer(await connectClientControl(options));
  peer.send(CLIENT_HELLO);
  return peer;
}

/** A plain WebSocket at `path`, open; and the code that it is closed with. */
async function rawSocket(server: CoordinatorServer, path = '/host', headers = {}) {
  const socket = new WebSocket(`${server.url}${path}`, { headers });
  const closed = new Promise<number>((resolve) => {
    socket.on('close', resolve);
  });
  await new Promise<void>((resolve, reject) => {
    socket.on('open', resolve);
    socket.on('error', reject);
  });
  socket.removeAllListeners('error').on('error', () => undefined);
  return { socket, closed };
}

/** Everything that a TCP peer answers to `bytes`, until it closes. */
function exchange(port: number, bytes: string | Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (data) => {
      answer += data.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(answer));
  });
}

describe('coordinator server', () => {
  it('answers /healthz and /status on the port of the control connections', async () => {
    const { server, http } = await start();
    await (await host(server, 'a')).saw('HLCP_ACCEPTED');
    const health = await fetch(`${http}/healthz`);
    expect([health.status, await health.text()]).toEqual([200, 'ok\n']);
    const status = await fetch(`${http}/status`);
    expect(status.headers.get('content-type')).toBe('application/json');
    expect(await status.json()).toMatchObject({
      state: 'forming',
      epoch: 1,
      expectedHosts: 2,
      hosts: [{ index: 0, hostname: 'a', ranks: [0], liveness: 'green' }],
      job: null,
    });
    expect((await fetch(`${http}/other`)).status).toBe(404);
    expect((await fetch(`${http}/status`, { method: 'POST' })).status).toBe(405);
  });

  it('gives a host the address under which the others reach it', async () => {
    const { server } = await start();
    expect((await host(server, 'a')).connection.localAddress).toBe('127.0.0.1');
  });

  it('runs a job for a client over real sockets', async () => {
    const { server } = await start();
    const hosts = [await host(server, 'a'), await host(server, 'b')];
    const cli = await client(server);
    const spec = { program: '/p.js', arguments: ['x'], environment: { A: 'b' } };
    cli.send({ type: 'HLCP_JOB_SUBMIT', spec, joinTimeoutMs: 5_000 });
    for (const [rank, each] of hosts.entries()) {
      const { jobId, ...job } = await each.saw('HLCP_JOB_START');
      expect(job).toMatchObject({ spec, nranks: 2, attempt: 0 });
      each.send({ type: 'HLCP_JOB_OUTPUT', jobId, rank, stream: 'stdout', text: 'ä\n' });
      each.send({ type: 'HLCP_RANK_EXIT', jobId, rank, exitCode: 0 });
    }
    expect(await cli.saw('HLCP_JOB_DONE')).toMatchObject({ exitCode: 0 });
    expect(cli.types()).toContain('HLCP_JOB_OUTPUT');
  });

  it('a host whose socket is destroyed is lost to the others', async () => {
    const { server } = await start();
    const a = await host(server, 'a');
    const { socket } = await rawSocket(server);
    socket.send(hostEnd.encode(rankData('b')));
    await a.saw('HLCP_WORLD');
    socket.terminate();
    expect(await a.saw('HLCP_HOST_LOST')).toMatchObject({ hostname: 'b', ranks: [1] });
  });

  it('takes the cluster down for a client: hosts, connections, port', async () => {
    const { server, http } = await start();
    const a = await host(server, 'a');
    await a.saw('HLCP_ACCEPTED');
    const cli = await client(server);
    cli.send({ type: 'HLCP_CLUSTER_SHUTDOWN' });
    await cli.saw('HLCP_SHUTDOWN');
    await server.closed;
    expect(a.types()).toContain('HLCP_SHUTDOWN');
    expect((await cli.closed)?.code).toBe('HLSIM_COORDINATOR_LOST');
    await expect(fetch(`${http}/healthz`)).rejects.toThrow();
  });
});

describe('coordinator server, refusals', () => {
  it('says that a port is in use, and which', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const address = other.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    await expect(start({ port })).rejects.toMatchObject({
      code: 'HLSIM_PORT_IN_USE',
      message: expect.stringContaining(`port ${port} on 127.0.0.1`),
    });
    other.close();
  });

  it('says that an address cannot be listened on', async () => {
    await expect(start({ host: '192.0.2.1' })).rejects.toMatchObject({ code: 'HLSIM_CONFIG' });
  });

  it('accepts the right token and refuses a wrong or missing one before the upgrade', async () => {
    const { server, log } = await start({ token: 'secret' });
    await (await host(server, 'a', 'secret')).saw('HLCP_ACCEPTED');
    for (const token of ['wrong', '', undefined]) {
      const options = { url: server.url, token, scheduler, deadlineMs: 5_000 };
      await expect(connectHostControl(options)).rejects.toMatchObject({
        code: 'HLSIM_TOKEN_REFUSED',
      });
    }
    const refusals = log.lines.filter(({ message }) => message === 'upgrade refused');
    expect(refusals.map(({ fields }) => fields['status'])).toEqual([401, 401, 401]);
    expect(JSON.stringify(log.lines)).not.toContain('wrong');
  });

  it('refuses other paths, and web pages', async () => {
    const { server } = await start();
    await expect(rawSocket(server, '/other')).rejects.toThrow('404');
    await expect(rawSocket(server, '/host', { origin: 'http://evil.example' })).rejects.toThrow(
      '403',
    );
  });

  it('refuses a host of another version, and says which versions', async () => {
    const { server } = await start();
    const options = { url: server.url, scheduler, deadlineMs: 5_000 };
    const peer: HostPeer = new Peer(await connectHostControl(options));
    peer.send(rankData('future', { version: HLCP_VERSION + 1 }));
    expect((await peer.saw('HLCP_REFUSED')).failure.code).toBe('HLSIM_PROTOCOL_VERSION');
    const reason = await peer.closed;
    expect(reason?.code).toBe('HLSIM_PROTOCOL_VERSION');
    expect(reason?.message).toContain(`version ${HLCP_VERSION} but found ${HLCP_VERSION + 1}`);
  });

  it.each([
    ['bytes that are no MessagePack', Uint8Array.of(0xc1, 2, 3)],
    ['an announced size that is not there', Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff)],
    ['a text frame', 'hello'],
    ['an empty message', new Uint8Array()],
    ['a message that is too long', new Uint8Array(HLCP_MESSAGE_BYTES_MAX + 1)],
  ])('%s ends that connection only, with an event in the log', async (_name, data) => {
    const { server, log } = await start();
    const a = await host(server, 'a');
    await a.saw('HLCP_ACCEPTED');
    const { socket, closed } = await rawSocket(server);
    socket.send(data);
    await closed;
    expect(log.lines.map(({ message }) => message)).toContain('connection broke the protocol');
    a.send({ type: 'HLCP_HEARTBEAT', sequence: 5 });
    expect(await a.saw('HLCP_HEARTBEAT_ACK')).toMatchObject({ sequence: 5 });
  });

  it('a frame against RFC 6455 ends that connection only', async () => {
    const { server, log } = await start();
    const request =
      'GET /host HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';
    const answer = await exchange(
      server.port,
      Buffer.concat([Buffer.from(request), Buffer.of(0xff, 0xff, 1, 2, 3)]),
    );
    expect(answer).toContain('101 Switching Protocols');
    expect(log.lines.map(({ message }) => message)).toContain('connection broke the protocol');
    await (await host(server, 'a')).saw('HLCP_ACCEPTED');
  });

  it('answers garbage on the port with 400, and an upgrade that is none with an error', async () => {
    const { server, log } = await start();
    expect(await exchange(server.port, '\x00\x01garbage\r\n\r\n')).toContain('400 Bad Request');
    const bad =
      'GET /host HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
    expect(await exchange(server.port, bad)).toContain('HTTP/1.1 4');
    expect(log.lines.map(({ message }) => message)).toEqual(
      expect.arrayContaining(['bad HTTP request', 'bad upgrade']),
    );
  });

  it('closes connections that say nothing, before and after the upgrade', async () => {
    const { server } = await start({ helloTimeoutMs: 100 });
    const idle = exchange(server.port, '');
    const { closed } = await rawSocket(server);
    await Promise.all([closed, idle]);
  });

  it('bounds the number of connections, and takes new ones when old ones have gone', async () => {
    const { server, log } = await start({ connectionsMax: 2 });
    const first = await rawSocket(server);
    const second = await rawSocket(server);
    await expect(rawSocket(server)).rejects.toThrow();
    expect(log.lines.map(({ message }) => message)).toContain('connection refused: too many');
    first.socket.terminate();
    second.socket.terminate();
    // The dialling side tries again until there is room.
    await (await host(server, 'a')).saw('HLCP_ACCEPTED');
  });
});
