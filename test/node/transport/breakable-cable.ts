import { connect, createServer, type Server, type Socket } from 'node:net';
import { assert } from '../../../common/assert.ts';
import type { LinkAddress } from '../../../node/transport/transport.ts';

/** A TCP relay in front of an address: a cable that a test can pull. */
export class BreakableCable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isPulled = false;

  constructor(target: LinkAddress) {
    this.#server = createServer((near) => {
      if (this.#isPulled) {
        near.destroy();
        return;
      }
      const far = connect(target.port, target.host);
      this.#join(near, far);
      this.#join(far, near);
    });
  }

  async plugIn(): Promise<LinkAddress> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    const address = this.#server.address();
    assert(address !== null && typeof address === 'object', 'Expected a TCP address');
    return { host: '127.0.0.1', port: address.port };
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

  close(): Promise<void> {
    this.pull();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
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
