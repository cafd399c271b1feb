/** Plain sockets of Node.js: what the runtime gives, with a reader that reads into the destination. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { assert } from '../../common/assert.ts';
import { type Deferred, deferred } from '../../common/deferred.ts';
import { type End, type EndInit, filledMemory, type Introduction } from './end.ts';

const PIECE_BYTES = 1024 * 1024;

export class SocketEnd implements End {
  readonly introduction: Introduction;
  readonly #init: EndInit;
  readonly #server: Server;
  readonly #source: Uint8Array;
  readonly #target: Uint8Array;
  /** The other end has dialled: data goes out here, answers come in. */
  readonly #outgoing = deferred<Socket>();
  #incoming: Socket | undefined;
  #answered: Deferred<void> | undefined;
  #received = 0;

  constructor(init: EndInit, server: Server, path: string | number) {
    this.#init = init;
    this.#server = server;
    this.introduction = { path };
    this.#source = filledMemory(init.runBytes);
    this.#target = filledMemory(init.runBytes);
    server.on('connection', (socket: Socket) => {
      if (init.kind === 'tcp') socket.setNoDelay(true);
      socket.on('data', () => this.#answered?.resolve());
      this.#outgoing.resolve(socket);
    });
  }

  static async create(init: EndInit): Promise<End> {
    const server = createServer();
    const path = `\0hlsim-rate-${process.pid}-${init.name}`;
    await new Promise<void>((resolve) => {
      if (init.kind === 'unix') server.listen(path, resolve);
      else server.listen(0, '127.0.0.1', resolve);
    });
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    return new SocketEnd(init, server, init.kind === 'unix' ? path : port);
  }

  async meet({ path }: Introduction): Promise<void> {
    const onread = {
      buffer: () => this.#target.subarray(this.#received, this.#received + PIECE_BYTES),
      callback: (count: number) => {
        this.#received += count;
        if (this.#received === this.#target.byteLength) {
          this.#received = 0;
          this.#incoming?.write('!');
        }
        return true;
      },
    };
    const socket =
      typeof path === 'number'
        ? connect({ port: path, host: '127.0.0.1', noDelay: true, onread })
        : connect({ path: path ?? '', onread });
    this.#incoming = socket;
    await new Promise((resolve) => socket.once('connect', resolve));
    await this.#outgoing.promise;
  }

  async send(): Promise<void> {
    const socket = await this.#outgoing.promise;
    assert(this.#source.byteLength === this.#init.runBytes, 'Expected one run of memory');
    this.#answered = deferred<void>();
    for (let at = 0; at < this.#source.byteLength; at += PIECE_BYTES) {
      const piece = this.#source.subarray(at, at + PIECE_BYTES);
      if (!socket.write(piece)) await new Promise((resolve) => socket.once('drain', resolve));
    }
    await this.#answered.promise;
  }

  async close(): Promise<void> {
    this.#incoming?.destroy();
    (await this.#outgoing.promise).destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
