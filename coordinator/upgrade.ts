/** Who may open a WebSocket on the control port, decided before the upgrade. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

export type UpgradeRole = 'host' | 'client';

export type UpgradeDecision =
  | { readonly accept: true; readonly role: UpgradeRole }
  | { readonly accept: false; readonly status: number; readonly reason: string };

/** `token`: what the request must carry as `Authorization: Bearer`, if anything. */
export function decideUpgrade(
  request: Pick<IncomingMessage, 'url' | 'headers'>,
  token: string | undefined,
): UpgradeDecision {
  const { url, headers } = request;
  const role = url === '/host' ? 'host' : url === '/client' ? 'client' : undefined;
  if (role === undefined) return refuse(404, 'Expected a WebSocket at /host or /client');
  // A browser sends Origin, no part of hlsim does: a web page must not reach a port on loopback.
  if (headers.origin !== undefined) return refuse(403, 'Expected no Origin header');
  if (token !== undefined && !isToken(headers.authorization, token)) {
    return refuse(401, 'Expected the cluster token');
  }
  return { accept: true, role };
}

/** Compares digests, so that neither the time nor a length tells how much of a guess is right. */
function isToken(authorization: string | undefined, token: string): boolean {
  return timingSafeEqual(digest(authorization ?? ''), digest(`Bearer ${token}`));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function refuse(status: number, reason: string): UpgradeDecision {
  return { accept: false, status, reason };
}

const STATUS_WORDS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
};

/** Answers without an upgrade, and closes. */
export function refuseUpgrade(socket: Duplex, status: number, reason: string): void {
  // The peer may be gone before the answer is out; that concerns nobody else.
  socket.on('error', () => socket.destroy());
  const challenge = status === 401 ? 'WWW-Authenticate: Bearer\r\n' : '';
  const body = `${reason}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_WORDS[status] ?? 'Error'}\r\n${challenge}Content-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
