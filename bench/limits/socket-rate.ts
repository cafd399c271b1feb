/**
 * What sockets of Node.js carry between two processes, with nothing on top: a region goes over whole,
 * the socket reads straight into its place, and one byte comes back when it is there.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import {
  type AddressInfo,
  connect,
  createServer,
  type NetConnectOpts,
  type Socket,
} from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { assert } from '../../common/assert.ts';
import { wallClock } from '../../common/clock.ts';

export interface SocketRateRequest {
  readonly kind: 'tcp' | 'unix';
  readonly bytes: number;
  readonly iterations: number;
  /** Where a unix socket's file may lie. */
  readonly folder: string;
}

const RECEIVER = './socket-receiver.js';

/** Microseconds of one region, the mean. The receiver is a process of its own. */
export async function socketTimeUs(request: SocketRateRequest): Promise<number> {
  const { kind, bytes, iterations, folder } = request;
  const server = createServer({ noDelay: true });
  const path = join(folder, `net-${process.pid}.sock`);
  server.listen(kind === 'tcp' ? { port: 0, host: '127.0.0.1' } : { path });
  await once(server, 'listening');
  const receiver = fork(fileURLToPath(new URL(RECEIVER, import.meta.url)));
  const target = kind === 'tcp' ? { port: portOf(server.address()), host: '127.0.0.1' } : { path };
  receiver.send({ target, bytes });
  const [socket] = (await once(server, 'connection')) as [Socket];
  const region = new Uint8Array(bytes).fill(1);
  await sendRegion(socket, region);
  const startMs = wallClock.now();
  for (let count = 0; count < iterations; count++) await sendRegion(socket, region);
  const timeUs = ((wallClock.now() - startMs) * 1000) / iterations;
  socket.destroy();
  server.close();
  await once(receiver, 'exit');
  return timeUs;
}

async function sendRegion(socket: Socket, region: Uint8Array): Promise<void> {
  const acknowledged = once(socket, 'data');
  socket.write(region);
  await acknowledged;
}

function portOf(address: AddressInfo | string | null): number {
  assert(
    typeof address === 'object' && address !== null,
    'Expected the server to listen on a port',
  );
  return address.port;
}

/** The other process: reads regions into one place until the sender goes. */
export function receiveRegions(target: NetConnectOpts, bytes: number): Socket {
  const place = new Uint8Array(bytes);
  let filled = 0;
  const socket = connect({
    ...target,
    onread: {
      buffer: () => place.subarray(filled),
      callback(length) {
        filled += length;
        if (filled === bytes) {
          filled = 0;
          socket.write(new Uint8Array(1));
        }
        return true;
      },
    },
  });
  socket.setNoDelay(true);
  return socket;
}
