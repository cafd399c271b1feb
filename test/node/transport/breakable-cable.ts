import { connect, createServer, type Server, type Socket } from 'node:net';
import { assert } from '../../../common/assert.ts';
import type { LinkAddress } from '../../../node/transport/transport.ts';
import { unixSocketPath } from '../../../node/transport/unix-socket-path.ts';

/** A relay in front of a host, over TCP and its Unix socket if it has one: a cable that a test can pull. */
export class BreakableCable {
  readonly #nodeId: string;
  readonly #target: LinkAddress;
  readonly #tcp: Server;
  readonly #unix: Server;
  readonly #sockets = new Set<Socket>();
  #isPulled = false;

  /** `nodeId` is needed for Unix sockets, which are named after their hosts. */
  constructor(target: LinkAddress, nodeId = '') {
    this.#nodeId = nodeId;
    this.#target = target;
    this.#tcp = this.#relay(() => connect(target.port, target.host));
    this.#unix = this.#relay(() => connect(unixSocketPath(nodeId, target)));
  }

  /** `tcp`: diallers find no Unix socket here. */
  async plugIn(kind: 'tcp' | 'unix' = 'tcp'): Promise<LinkAddress> {
    await new Promise<void>((resolve) => {
      this.#tcp.listen(0, '127.0.0.1', resolve);
    });
    const address = this.#tcp.address();
    assert(address !== null && typeof address === 'object', 'Expected a TCP address');
    const plug = { host: this.#target.host, port: address.port };
    if (kind === 'unix') {
      await new Promise<void>((resolve) => {
        this.#unix.listen(unixSocketPath(this.#nodeId, plug), resolve);
      });
    }
    return plug;
  }

  /** Cuts every connection; new ones work. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Cuts every connection, and every later one. */
  pull(): void {
    this.#isPulled = true;
    this.cut();
  }

  async close(): Promise<void> {
    this.pull();
    const open = [this.#tcp, this.#unix].filter((server) => server.listening);
    await Promise.all(open.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  #relay(dial: () => Socket): Server {
    return createServer((near) => {
      if (this.#isPulled) {
        near.destroy();
        return;
      }
      const far = dial();
      this.#join(near, far);
      this.#join(far, near);
    });
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.pipe(to);
    // A broken half takes the other one with it, as on a real cable.
    from.on('error', () => to.destroy());
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}
