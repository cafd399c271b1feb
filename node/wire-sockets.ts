/**
 * Wires for HCCL out of the sockets of the transport: Node.js looks at them no more, so that any thread of this
 * process can read and write their descriptors.
 *
 * The sockets stay open here, paused. A descriptor of our own beside them, with theirs closed, would be simpler;
 * but libuv leaves what it has closed in its epoll set, which then never sleeps while the connection lives.
 */
import type { Socket } from 'node:net';
import { defined } from '../common/assert.ts';
import { HlsimError } from '../common/errors.ts';
import type { WireMachine } from './hccl/wire/wire-machine.ts';
import type { OperatingSystem } from './os/operating-system.ts';
import type { Transport } from './transport/transport.ts';

export interface WireMachineInit {
  readonly transport: Pick<Transport, 'wires'>;
  readonly system: Pick<OperatingSystem, 'limitSendBuffer' | 'shutDown'>;
}

/** What Node.js has below a socket. */
interface SocketHandle {
  readonly fd: number;
  reading: boolean;
  readStop(): void;
}

/** `undefined`: the transport has no sockets. */
export function wireMachine({ transport, system }: WireMachineInit): WireMachine | undefined {
  const { wires } = transport;
  if (wires === undefined) return undefined;
  const taken = new Map<number, Socket>();

  /** `nearBufferBytes`: as `WireMachine.offer`. */
  function take(socket: Socket, nearBufferBytes?: number): number {
    try {
      const fd = descriptorOf(socket);
      const isLimited = nearBufferBytes !== undefined && isOfThisMachine(socket);
      if (isLimited) system.limitSendBuffer(fd, nearBufferBytes);
      taken.set(fd, socket);
      return fd;
    } catch (reason) {
      socket.destroy();
      throw reason;
    }
  }

  return {
    offer(nearBufferBytes) {
      const { ticket, accepted, cancel } = wires.offer();
      const descriptor = accepted.then((socket) => take(socket, nearBufferBytes));
      // Whoever cancels an offer need not look at it again.
      descriptor.catch(() => undefined);
      return { ticket, accepted: descriptor, cancel };
    },
    dial: async (nodeId, ticket) => take(await wires.dial(nodeId, ticket)),
    shut(fd) {
      // The transport closes what it has opened when it ends.
      if (taken.get(fd)?.destroyed === false) system.shutDown(fd);
    },
    close(fd) {
      defined(taken.get(fd), 'the socket of a wire').destroy();
      taken.delete(fd);
    },
  };
}

/** Both ends have one address; Unix sockets have none, and buffers of their own. */
function isOfThisMachine({ localAddress, remoteAddress }: Socket): boolean {
  return localAddress !== undefined && localAddress === remoteAddress;
}

/** The descriptor of a socket, from which Node.js reads no more. */
function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as { _handle?: SocketHandle | null };
  if (handle === undefined || handle === null || handle.fd < 0) {
    throw new HlsimError('HLSIM_HOST_LOST', 'Expected an open wire but its peer has closed it');
  }
  if (socket.readableLength > 0) {
    throw new HlsimError(
      'HLSIM_PROTOCOL_ERROR',
      `Expected nothing on a wire yet but found ${socket.readableLength} bytes`,
    );
  }
  // To pause a socket stops it only once its buffer is full.
  handle.readStop();
  handle.reading = false;
  socket.unref();
  return handle.fd;
}
