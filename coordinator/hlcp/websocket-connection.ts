/** A control connection over a WebSocket that is open already; either end. */
import type { RawData, WebSocket } from 'ws';
import { HlsimError } from '../../common/errors.ts';
import type { CancelTimer, Scheduler } from '../../common/scheduler.ts';
import type { Codec } from './codec.ts';
import type { ControlConnection } from './control-connection.ts';
import { ControlEndpoint, type Wire } from './control-endpoint.ts';

/** How long a peer may take over the closing handshake before its socket is destroyed. */
export const CLOSE_TIMEOUT_MS = 1_000;
/** A peer that lets this much pile up unread is disconnected. */
export const UNSENT_BYTES_MAX = 64 * 1024 * 1024;

export interface WebSocketConnectionOptions<Outgoing, Incoming> {
  readonly codec: Codec<Outgoing, Incoming>;
  readonly scheduler: Scheduler;
  /** The address of this end. */
  readonly localAddress: string;
  /** Who is at the other end, for messages: `coordinator ws://127.0.0.1:7700`. */
  readonly peer: string;
  /** The error of an end that nobody asked for; `detail` says how it ended. */
  readonly lost: (detail: string) => HlsimError;
  readonly refusal?: (error: HlsimError) => Outgoing;
  readonly reasonOfEnd?: (cause: HlsimError, last: Incoming | undefined) => HlsimError;
}

/** Takes over `socket`, which must be open. Reading starts when somebody listens. */
export function overWebSocket<Outgoing, Incoming>(
  socket: WebSocket,
  options: WebSocketConnectionOptions<Outgoing, Incoming>,
): ControlConnection<Outgoing, Incoming> {
  const { peer, lost, codec, refusal, reasonOfEnd } = options;
  socket.pause();
  const wire = new WebSocketWire(socket, options.localAddress, options.scheduler, () =>
    endpoint.fail(unreadError(peer)),
  );
  const endpoint: ControlEndpoint<Outgoing, Incoming> = new ControlEndpoint({
    codec,
    wire,
    ...(refusal === undefined ? {} : { refusal }),
    ...(reasonOfEnd === undefined ? {} : { reasonOfEnd }),
  });
  let trouble = '';
  socket.on('message', (data, isBinary) => {
    if (isBinary) endpoint.receive(bytesOf(data));
    else endpoint.fail(protocolError(peer, 'text'));
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    // The WebSocket layer found a frame that it cannot accept (code WS_ERR_...), or the socket broke.
    trouble = error.message;
    if (error.code?.startsWith('WS_ERR_') === true) endpoint.fail(protocolError(peer, trouble));
  });
  socket.on('close', (code, reason) => {
    wire.closed();
    const words = reason.toString() || trouble;
    endpoint.ended(lost(words === '' ? `close code ${code}` : `close code ${code}, ${words}`));
  });
  return endpoint;
}

class WebSocketWire implements Wire {
  readonly localAddress: string;
  readonly #socket: WebSocket;
  readonly #scheduler: Scheduler;
  readonly #unread: () => void;
  #cancelTerminate: CancelTimer | undefined;

  constructor(socket: WebSocket, localAddress: string, scheduler: Scheduler, unread: () => void) {
    this.#socket = socket;
    this.localAddress = plainAddress(localAddress);
    this.#scheduler = scheduler;
    this.#unread = unread;
  }

  transmit(bytes: Uint8Array): void {
    if (this.#socket.bufferedAmount + bytes.byteLength > UNSENT_BYTES_MAX) {
      this.#scheduler.soon(this.#unread);
      return;
    }
    // An error of one send is followed by `close`, which is where the end is reported.
    this.#socket.send(bytes, { binary: true }, () => undefined);
  }

  start(): void {
    this.#socket.resume();
  }

  finish(): void {
    // A paused socket would never see the peer's half of the closing handshake.
    this.#socket.resume();
    this.#socket.close();
    this.#cancelTerminate ??= this.#scheduler.after(CLOSE_TIMEOUT_MS, () =>
      this.#socket.terminate(),
    );
  }

  closed(): void {
    this.#cancelTerminate?.();
  }
}

function protocolError(peer: string, found: string): HlsimError {
  return new HlsimError(
    'HLSIM_PROTOCOL_ERROR',
    `Expected binary control messages of ${peer} but found ${found}`,
  );
}

function unreadError(peer: string): HlsimError {
  return new HlsimError(
    'HLSIM_PROTOCOL_ERROR',
    `Expected ${peer} to read its messages but found ${UNSENT_BYTES_MAX} bytes unread`,
  );
}

function bytesOf(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data;
}

/** An IPv4 address that came over an IPv6 socket, as IPv4 again (RFC 4291 section 2.5.5.2). */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
}
