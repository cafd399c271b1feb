/** A cluster that cannot come together says why, within the time it was given. */
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pack, unpack } from 'msgpackr';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { HLCP_VERSION } from '../../coordinator/hlcp/messages.ts';
import { type Command, program, TestProcesses } from './command.ts';

const PROGRAM = program('report-environment');
/** Time to load the command and to end, on a loaded machine; added to the deadlines that are tested. */
const SLACK_MS = 8_000;

let processes: TestProcesses;
let servers: Server[];
beforeEach(() => {
  processes = new TestProcesses();
  servers = [];
});
afterEach(async () => {
  for (const { pid } of processes.list()) process.kill(pid, 'SIGTERM');
  await processes.allGone(SLACK_MS);
  for (const server of servers) server.close();
});

/** A port on which something listens that is no coordinator. */
async function takenPort(): Promise<number> {
  const server = createServer((socket) => socket.destroy());
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A port on which nothing listens. */
async function freePort(): Promise<number> {
  const port = await takenPort();
  const server = servers.pop();
  server?.close();
  return port;
}

async function coordinator(
  hosts: number,
  token?: string,
): Promise<{ url: string; daemon: Command }> {
  const daemon = processes.hlsim(
    ['coordinator', '--host', '127.0.0.1', '--port', '0', '--hosts', String(hosts)],
    token === undefined ? {} : { HLSIM_TOKEN: token },
  );
  await daemon.printed(/"event":"listening"/);
  return { url: JSON.parse(daemon.stdout).url, daemon };
}

async function host(url: string, ...args: string[]): Promise<Command> {
  const node = processes.hlsim(['node', '--coordinator', url, '--bind', '127.0.0.1', ...args]);
  await node.printed(/"event":"joined"/);
  return node;
}

describe('a port in use', () => {
  it('is named by hlsim coordinator', async () => {
    const port = await takenPort();
    const { code, lastNote } = await processes.run([
      ...['coordinator', '--host', '127.0.0.1', '--hosts', '1', '--port', String(port)],
    ]);
    expect(code).toBe(1);
    expect(lastNote).toMatch(new RegExp(`^hlsim: .*\\b${port}\\b.* \\[HLSIM_PORT_IN_USE\\]$`));
  });

  it('is named by hlsim up, which leaves nothing', async () => {
    const port = await takenPort();
    const directory = mkdtempSync(join(tmpdir(), 'hlsim-test-'));
    const state = join(directory, 'state');
    const { code, lastNote } = await processes.run([
      ...['up', '--hosts', '2', '--port', String(port), '--state-dir', state],
    ]);
    expect(code).toBe(1);
    expect(lastNote).toMatch(new RegExp(`^hlsim: .*\\b${port}\\b.* \\[HLSIM_PORT_IN_USE\\]$`));
    expect(existsSync(state)).toBe(false);
    expect(processes.list()).toEqual([]);
    rmSync(directory, { recursive: true });
  });

  it('is named by hlsim node', async () => {
    const port = await takenPort();
    const { url } = await coordinator(1);
    const { code, lastNote } = await processes.run([
      ...['node', '--coordinator', url, '--bind', '127.0.0.1', '--port', String(port)],
    ]);
    expect(code).toBe(1);
    expect(lastNote).toMatch(new RegExp(`^hlsim: .*\\b${port}\\b.* \\[HLSIM_PORT_IN_USE\\]$`));
  });
});

describe('a coordinator that is not there', () => {
  it.each([
    ['run', ['run', PROGRAM]],
    ['node', ['node']],
  ] as const)('is told by hlsim %s within the join timeout', async (_name, args) => {
    const port = await freePort();
    const start = performance.now();
    const { code, lastNote } = await processes.run([
      ...[...args, '--coordinator', `ws://127.0.0.1:${port}`, '--join-timeout', '1s'],
    ]);
    expect(performance.now() - start).toBeLessThan(1_000 + SLACK_MS);
    expect(code).toBe(1);
    expect(lastNote).toMatch(
      new RegExp(`^hlsim: .*ws://127\\.0\\.0\\.1:${port}.* \\[HLSIM_COORDINATOR_UNREACHABLE\\]$`),
    );
  });

  it('is told where something else answers on the port', async () => {
    const port = await takenPort();
    const { code, lastNote } = await processes.run([
      ...['run', PROGRAM, '--coordinator', `ws://127.0.0.1:${port}`, '--join-timeout', '1s'],
    ]);
    expect(code).toBe(1);
    expect(lastNote).toContain('[HLSIM_COORDINATOR_UNREACHABLE]');
  });
});

describe('a number of hosts that does not fit', () => {
  it('one that never joins is told with those who did', async () => {
    const { url } = await coordinator(3);
    await host(url, '--hostname', 'apple');
    await host(url, '--hostname', 'pear');
    const { code, lastNote } = await processes.run([
      ...['run', PROGRAM, '--coordinator', url, '--join-timeout', '1s'],
    ]);
    expect(code).toBe(1);
    expect(lastNote).toMatch(/^hlsim: .*\b3 hosts.*\b2\b.* \[HLSIM_CLUSTER_INCOMPLETE\]$/);
    expect(lastNote).toContain('apple');
    expect(lastNote).toContain('pear');
  });

  it('one too many is refused, and the others do not notice', async () => {
    const { url } = await coordinator(1);
    await host(url);
    const second = await processes.run(['node', '--coordinator', url, '--bind', '127.0.0.1']);
    expect(second.code).toBe(1);
    expect(second.lastNote).toContain('[HLSIM_CLUSTER_FULL]');
    const { code } = await processes.run(['run', PROGRAM, '--coordinator', url]);
    expect(code).toBe(0);
  });

  it('a job that wants another number is refused', async () => {
    const { url } = await coordinator(1);
    await host(url);
    const { code, lastNote } = await processes.run([
      ...['run', PROGRAM, '--coordinator', url, '--hosts', '4'],
    ]);
    expect(code).toBe(1);
    expect(lastNote).toMatch(/^hlsim: .*\b4\b.* \[HLSIM_JOB_REFUSED\]$/);
  });
});

describe('a cluster token', () => {
  it.each([
    ['wrong', { HLSIM_TOKEN: 'peach' }],
    ['missing', {}],
  ])('that is %s is refused, to a host and to a client', async (_how, environment) => {
    const { url } = await coordinator(1, 'plum');
    for (const args of [
      ['node', '--bind', '127.0.0.1'],
      ['run', PROGRAM],
    ]) {
      const { code, lastNote } = await processes.run([...args, '--coordinator', url], environment);
      expect(code).toBe(1);
      expect(lastNote).toMatch(/^hlsim: .*token.* \[HLSIM_TOKEN_REFUSED\]$/);
      expect(lastNote).not.toContain('plum');
    }
  });

  it('that is right lets both in', async () => {
    const { url } = await coordinator(1, 'plum');
    await host(url, '--token', 'plum');
    const { code } = await processes.run(['run', PROGRAM, '--coordinator', url, '--token', 'plum']);
    expect(code).toBe(0);
  });
});

describe('another version of the control protocol', () => {
  const version = HLCP_VERSION + 1;
  const link = { host: '127.0.0.1', port: 1 };
  const host = { nodeId: 'x', hostname: 'x', pid: 1, devices: 1, hbmBytes: 1, link };

  it.each([
    ['host', { type: 'HLCP_RANK_DATA', version, ...host }],
    ['client', { type: 'HLCP_CLIENT_HELLO', version }],
  ])('of a %s is refused with both versions, and the connection is closed', async (role, hello) => {
    const { url } = await coordinator(1);
    const socket = new WebSocket(new URL(`/${role}`, url));
    await once(socket, 'open');
    const answered = once(socket, 'message');
    const closed = once(socket, 'close');
    socket.send(pack(hello));
    const [data] = await answered;
    const { type, failure } = unpack(data);
    expect(type).toBe('HLCP_REFUSED');
    expect(failure.code).toBe('HLSIM_PROTOCOL_VERSION');
    expect(failure.message).toContain(String(version));
    expect(failure.message).toContain(String(HLCP_VERSION));
    await closed;
  });
});
