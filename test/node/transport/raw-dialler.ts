/** Dials a link without the project's dialler, so that a test can do it wrong. */
import { connect, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import { FRAME_VERSION } from '../../../node/transport/frame.ts';
import type { LinkAddress } from '../../../node/transport/transport.ts';
import { settleOnWallClock } from './wall-clock.ts';

export type RawHeaders = Readonly<Record<string, string | undefined>>;

export interface HandshakeFields {
  readonly node?: string;
  readonly incarnation?: string;
}

/** A good handshake of a host `reader` that dials host `a` of a cluster with the token `secret`. */
export function handshakeHeaders(fields: HandshakeFields = {}): RawHeaders {
  return {
    authorization: 'Bearer secret',
    'x-hlsim-link-version': String(FRAME_VERSION),
    'x-hlsim-node': fields.node ?? 'reader',
    'x-hlsim-expect-node': 'a',
    'x-hlsim-incarnation': fields.incarnation ?? '1',
  };
}

/** An open connection of a plain `ws` client. */
export function dialAs(address: LinkAddress, headers: RawHeaders): Promise<WebSocket> {
  const socket = plainClient(address, headers, '/link');
  return settleOnWallClock(
    new Promise<WebSocket>((resolve, reject) => {
      socket.on('open', () => resolve(socket));
      socket.on('error', reject);
    }),
  );
}

/** The HTTP status that a dial is refused with; 101 if it is not refused. */
export function refusalOf(
  address: LinkAddress,
  headers: RawHeaders,
  path = '/link',
): Promise<number> {
  const socket = plainClient(address, headers, path);
  return settleOnWallClock(
    new Promise<number>((resolve) => {
      socket.on('error', () => undefined);
      socket.on('open', () => {
        socket.terminate();
        resolve(101);
      });
      socket.on('unexpected-response', (request, response) => {
        request.destroy();
        resolve(response.statusCode ?? 0);
      });
    }),
  );
}

/** A bare TCP socket that has done a good handshake: what follows is up to the test. */
export function rawLink(address: LinkAddress, headers: RawHeaders): Promise<Socket> {
  const socket = connect(address.port, address.host);
  const lines = Object.entries(headers)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}`);
  socket.write(
    [
      'GET /link HTTP/1.1',
      'host: test',
      'connection: Upgrade',
      'upgrade: websocket',
      'sec-websocket-version: 13',
      'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
      ...lines,
      '',
      '',
    ].join('\r\n'),
  );
  socket.on('error', () => undefined);
  return settleOnWallClock(
    new Promise<Socket>((resolve, reject) => {
      socket.once('data', (data: Buffer) => {
        if (data.toString('latin1').startsWith('HTTP/1.1 101')) resolve(socket);
        else reject(new Error(`Expected an upgrade but found ${data.toString('latin1')}`));
      });
    }),
  );
}

function plainClient(address: LinkAddress, headers: RawHeaders, path: string): WebSocket {
  const present: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) present[name] = value;
  }
  return new WebSocket(`ws://${address.host}:${address.port}${path}`, {
    headers: present,
    perMessageDeflate: false,
  });
}
