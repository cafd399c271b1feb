/**
 * The dialling end of a link on a real socket, whose reads a test makes itself: of any size, at any time.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { assert } from '../../../common/assert.ts';
import { wallScheduler } from '../../../common/scheduler.ts';
import { DialledWebSocket, WINDOW_BYTES } from '../../../node/transport/dialled-websocket.ts';
import type { FrameHeader } from '../../../node/transport/frame.ts';
import { encodeFrameHeader } from '../../../node/transport/frame-codec.ts';
import { FrameReceiver } from '../../../node/transport/frame-receiver.ts';
import type { Closure } from '../../../node/transport/link-medium.ts';
import { headBytes, OPCODES, writeHead } from '../../../node/transport/websocket-frames.ts';
import { RecordingSink } from '../../conformance/recording-sink.ts';

const INCARNATION = 7;

export class DrivenDialler {
  readonly sink = new RecordingSink();
  readonly closures: Closure[] = [];
  readonly link: DialledWebSocket;
  /** What the other end of the socket has got. */
  readonly answers: Buffer[] = [];
  readonly #server: Server;
  readonly #socket: Socket;

  constructor(server: Server, socket: Socket, far: Socket) {
    this.#server = server;
    this.#socket = socket;
    far.on('data', (data: Buffer) => this.answers.push(data));
    far.on('error', () => undefined);
    const counters = {
      framesSent: 0,
      payloadBytesSent: 0,
      framesReceived: 0,
      payloadBytesReceived: 0,
      reconnects: 0,
    };
    const reader = new FrameReceiver({
      nodeId: 'peer',
      incarnation: INCARNATION,
      takes: 'data',
      sink: this.sink,
      counters,
    });
    this.link = new DialledWebSocket({
      socket,
      scheduler: wallScheduler,
      request: {
        peer: { nodeId: 'peer', address: { host: '127.0.0.1', port: 1 } },
        incarnation: INCARNATION,
      },
      end: {
        reader,
        opened: () => undefined,
        closed: (closure) => {
          reader.stop();
          this.closures.push(closure);
        },
      },
      window: new Uint8Array(WINDOW_BYTES),
    });
  }

  static async create(): Promise<DrivenDialler> {
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const address = server.address();
    assert(address !== null && typeof address === 'object', 'Expected a TCP address');
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
    const socket = connect(address.port, '127.0.0.1');
    const far = await accepted;
    return new DrivenDialler(server, socket, far);
  }

  /** Has the link read `bytes`, at most `readBytes` at a time. */
  feed(bytes: Uint8Array, readBytes = Number.POSITIVE_INFINITY): void {
    for (let at = 0; at < bytes.byteLength; ) {
      const window = this.link.window();
      const count = Math.min(window.byteLength, bytes.byteLength - at, readBytes);
      assert(count > 0, 'Expected a window with room');
      window.set(bytes.subarray(at, at + count));
      at += count;
      this.link.read(count);
    }
  }

  async close(): Promise<void> {
    this.#socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A link's frame as one message. */
export function message(header: FrameHeader, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(64 + payload.byteLength);
  encodeFrameHeader(header, INCARNATION, bytes);
  bytes.set(payload, 64);
  return bytes;
}

/** One WebSocket frame of a server. */
export function webSocketFrame(
  payload: Uint8Array,
  { opcode = OPCODES.BINARY as number, isFinal = true } = {},
): Buffer {
  const bytes = Buffer.alloc(headBytes(payload.byteLength, false) + payload.byteLength);
  const body = writeHead(bytes, 0, opcode, payload.byteLength, false);
  bytes.set(payload, body);
  if (!isFinal) bytes[0] = opcode;
  return bytes;
}
