/**
 * The opening handshake of RFC 6455, section 4, both sides, without subprotocols and extensions. Who
 * may dial is decided in `link-handshake.ts`.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Refusal } from './link-medium.ts';

/** The value that section 1.3 has both ends append to the key. */
const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const KEY_BYTES = 16;
const KEY_PATTERN = /^[+/0-9A-Za-z]{22}==$/;
const WEBSOCKET_VERSION = '13';
/** A longer answer to a dial is none of a link's listener. */
export const RESPONSE_BYTES_MAX = 16 * 1024;

/** A fresh value for `Sec-WebSocket-Key`. */
export function newUpgradeKey(): string {
  return randomBytes(KEY_BYTES).toString('base64');
}

function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}${ACCEPT_GUID}`).digest('base64');
}

/** The request that asks for an upgrade. The values of `headers` have no line breaks. */
export function upgradeRequest(
  authority: string,
  path: string,
  key: string,
  headers: Readonly<Record<string, string>>,
): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [
    `GET ${path} HTTP/1.1`,
    `Host: ${authority}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    `Sec-WebSocket-Version: ${WEBSOCKET_VERSION}`,
    `Sec-WebSocket-Key: ${key}`,
    ...lines,
    '\r\n',
  ].join('\r\n');
}

/** What the answer to an upgrade request says. `error`: it is no valid answer. */
export type UpgradeAnswer =
  | { readonly status: 101; readonly error?: undefined }
  | { readonly status: number; readonly error?: string };

/** Reads the head of the answer, without the empty line at its end. */
export function readUpgradeResponse(head: string, key: string): UpgradeAnswer {
  const [statusLine = '', ...lines] = head.split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3})(?: |$)/.exec(statusLine)?.[1] ?? 0);
  if (status === 0) return { status, error: 'Expected an HTTP response' };
  if (status !== 101) return { status };
  const values = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon <= 0) return { status, error: `Expected a header line but found ${line}` };
    const name = line.slice(0, colon).toLowerCase();
    const earlier = values.get(name);
    const value = line.slice(colon + 1).trim();
    values.set(name, earlier === undefined ? value : `${earlier}, ${value}`);
  }
  const error = faultOfResponse(values, key);
  return error === undefined ? { status: 101 } : { status, error };
}

function faultOfResponse(values: ReadonlyMap<string, string>, key: string): string | undefined {
  if (values.get('upgrade')?.toLowerCase() !== 'websocket') return 'Expected Upgrade: websocket';
  const connection =
    values
      .get('connection')
      ?.toLowerCase()
      .split(/\s*,\s*/) ?? [];
  if (!connection.includes('upgrade')) return 'Expected Connection: Upgrade';
  if (values.get('sec-websocket-accept') !== acceptOf(key)) {
    return 'Expected Sec-WebSocket-Accept to answer the key';
  }
  for (const name of ['sec-websocket-extensions', 'sec-websocket-protocol']) {
    if (values.has(name)) return `Expected no ${name}, which was not asked for`;
  }
  return undefined;
}

/** The response that accepts an upgrade, or why the request is none. */
export function acceptUpgrade(request: IncomingMessage): string | Refusal {
  const { method, headers } = request;
  const key = headers['sec-websocket-key'];
  if (method !== 'GET') return { status: 405, reason: `Expected GET but found ${method}` };
  if (headers.upgrade?.toLowerCase() !== 'websocket') {
    return { status: 400, reason: 'Expected Upgrade: websocket' };
  }
  if (headers['sec-websocket-version'] !== WEBSOCKET_VERSION) {
    return { status: 400, reason: `Expected Sec-WebSocket-Version: ${WEBSOCKET_VERSION}` };
  }
  if (key === undefined || !KEY_PATTERN.test(key)) {
    return { status: 400, reason: 'Expected a Sec-WebSocket-Key of 16 bytes in base64' };
  }
  return [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${acceptOf(key)}`,
    '\r\n',
  ].join('\r\n');
}
