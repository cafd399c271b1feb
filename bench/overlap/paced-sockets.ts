/**
 * Loaded before the hosts' own code (`node --import`): the kernel then sends what they write to a TCP
 * connection at a limited rate (SO_MAX_PACING_RATE, socket(7) and tcp(7)), while they do something else:
 * what the network card of a slower link does. Linux with koffi only; a benchmark's tool, no part of hlsim.
 */
import { createRequire } from 'node:module';
import net from 'node:net';
import { environmentVariable } from '../../common/environment.ts';
import { HlsimError } from '../../common/errors.ts';
import { PACING_VARIABLE } from './pacing.ts';

interface Koffi {
  load(path: string | null): { func(prototype: string): (...args: unknown[]) => number };
}

/** socket(7), asm-generic/socket.h */
const SOL_SOCKET = 1;
const SO_MAX_PACING_RATE = 47;

const rate = Buffer.alloc(8);
rate.writeBigUInt64LE(BigInt(environmentVariable(PACING_VARIABLE) ?? '0'));
const koffi = createRequire(import.meta.url)('koffi') as Koffi;
const setsockopt = koffi
  .load(null)
  .func('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)');

/** Node.js keeps the descriptor of a socket in its handle. */
function pace(socket: net.Socket): void {
  const { _handle: handle } = socket as { _handle?: { fd?: number } };
  if (setsockopt(handle?.fd ?? -1, SOL_SOCKET, SO_MAX_PACING_RATE, rate, rate.length) === 0) return;
  throw new HlsimError('HLSIM_INTERNAL', 'Expected the kernel to limit the rate of a connection');
}

const { connect } = net.Socket.prototype;
net.Socket.prototype.connect = function paced(this: net.Socket, ...args: unknown[]) {
  this.once('connect', () => pace(this));
  return Reflect.apply(connect, this, args);
} as typeof connect;

const { emit } = net.Server.prototype;
net.Server.prototype.emit = function paced(
  this: net.Server,
  event: string | symbol,
  ...args: unknown[]
) {
  const [socket] = args;
  if (event === 'connection' && socket instanceof net.Socket) pace(socket);
  return Reflect.apply(emit, this, [event, ...args]);
} as typeof emit;
