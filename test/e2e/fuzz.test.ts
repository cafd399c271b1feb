/** Strangers and broken peers at the ports of a live cluster: it refuses them and goes on working. */
import { connect } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { defined } from '../../common/assert.ts';
import { Prng } from '../../common/prng.ts';
import type { ClusterStatus } from '../../coordinator/status.ts';
import { FRAME_HEADER_BYTES } from '../../node/transport/frame.ts';
import { encodeFrameHeader } from '../../node/transport/frame-codec.ts';
import { LINK_HEADERS } from '../../node/transport/link-handshake.ts';
import { frame } from '../conformance/recording-sink.ts';
import { StandingCluster } from './standing-cluster.ts';

const ROUNDS = 60;
/** A connection that the cluster has not closed by then is left to it. */
const PATIENCE_MS = 500;
/** Strangers at a time. */
const CROWD = 10;

let cluster: StandingCluster;
beforeEach(() => {
  cluster = new StandingCluster();
});
afterEach(() => cluster.end());

function randomBytes(prng: Prng, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => prng.below(256));
}

/** Bytes on a bare TCP connection, some of them looking like HTTP at first. */
function strangeTcp(prng: Prng, host: string, port: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => {
      if (prng.below(2) === 0) socket.write('GET /link HTTP/1.1\r\nUpgrade: websocket\r\n');
      socket.write(randomBytes(prng, 1 + prng.below(5000)));
      if (prng.below(2) === 0) socket.destroy();
      else socket.end();
    });
    socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.on('error', () => undefined).on('close', () => resolve());
  });
}

/** An accepted WebSocket that then sends what the protocol does not allow. */
function strangeMessages(
  prng: Prng,
  url: string,
  headers: Record<string, string>,
  messages: readonly (Uint8Array | string)[],
): Promise<void> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, { headers, perMessageDeflate: false });
    const timer = setTimeout(() => socket.terminate(), PATIENCE_MS);
    socket.on('open', () => {
      for (const message of messages) socket.send(message);
      if (prng.below(4) === 0) socket.terminate();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** A frame header that is right but for one flipped byte, or the write of a stranger. */
function brokenFrame(prng: Prng): Uint8Array {
  const header = frame({ payloadLength: 0, destQpn: prng.below(8), rkey: prng.below(8) });
  const bytes = new Uint8Array(FRAME_HEADER_BYTES);
  encodeFrameHeader(header, 1, bytes);
  if (prng.below(3) > 0) bytes[prng.below(bytes.length)] = prng.below(256);
  return bytes.subarray(0, prng.below(4) === 0 ? prng.below(bytes.length) : bytes.length);
}

it('random bytes and broken frames at every port: the processes live, and results stay right', async () => {
  const environment = await cluster.up('--hosts', '2');
  const { HLSIM_COORDINATOR: url = '', HLSIM_TOKEN: token = '' } = environment;
  const page = `${url.replace('ws:', 'http:')}/status`;
  const status = async () => (await fetch(page)).json() as Promise<ClusterStatus>;
  const before = await status();
  const pids = before.hosts.map(({ pid }) => pid);
  const { hostname, port } = new URL(url);
  const bearer = { Authorization: `Bearer ${token}` };
  const attack = async (round: number): Promise<void> => {
    const prng = new Prng(round);
    const target = defined(before.hosts[round % 2], 'a host');
    const link = `ws://${target.link.host}:${target.link.port}/link`;
    const stranger = {
      ...bearer,
      [LINK_HEADERS.version]: '1',
      [LINK_HEADERS.node]: `stranger-${round}`,
      [LINK_HEADERS.expectNode]: target.nodeId,
      [LINK_HEADERS.incarnation]: '1',
    };
    const control = `${url}/${round % 3 === 0 ? 'host' : 'client'}`;
    const junk = [randomBytes(prng, prng.below(3000)), 'text', randomBytes(prng, 1)];
    await Promise.all([
      strangeTcp(prng, hostname, Number(port)),
      strangeTcp(prng, target.link.host, target.link.port),
      strangeMessages(prng, control, bearer, prng.shuffle(junk)),
      strangeMessages(prng, link, stranger, [brokenFrame(prng), brokenFrame(prng)]),
    ]);
  };
  for (let first = 0; first < ROUNDS; first += CROWD) {
    await Promise.all(Array.from({ length: CROWD }, (_, index) => attack(first + index)));
  }
  const after = await status();
  expect(after.state).toBe('complete');
  expect(after.hosts.map(({ pid }) => pid)).toEqual(pids);
  const sweep = ['bench', 'all_reduce', '-b', '8', '-e', '1M', '-f', '64', '-n', '2', '-c', '1'];
  const bench = await cluster.processes.run(sweep, environment);
  expect(bench.stdout, bench.stderr).toContain('# Out of bounds values : 0 OK');
  expect((await cluster.here('down')).code).toBe(0);
});
