/**
 * The upgrade request that opens a link, or a wire, as `docs/wire-protocol.md` describes it: what the dialler
 * says, what the listener checks before it accepts, and what a refusal means.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { FRAME_VERSION } from './frame.ts';
import {
  type Closure,
  type DialIdentity,
  type DialRequest,
  formatLinkAddress,
  type Refusal,
} from './link-medium.ts';
import type { Peer } from './transport.ts';

export const LINK_PATH = '/link';
/** Where a connection is dialled that is no link: `Wires` in `transport.ts`. */
export const WIRE_PATH = '/wire';

/** Request headers, in the lower case that Node.js reports. */
export const LINK_HEADERS = {
  /** Version of frames and of this handshake, decimal. */
  version: 'x-hlsim-link-version',
  /** Node id of the dialler. */
  node: 'x-hlsim-node',
  /** Node id that the dialler believes it has reached. */
  expectNode: 'x-hlsim-expect-node',
  /** Incarnation of the link, decimal, 1 to 2^32 - 1. */
  incarnation: 'x-hlsim-incarnation',
  /** Of a wire: the ticket that the listener has offered. */
  wire: 'x-hlsim-wire',
} as const;

/** What a node id may look like; it travels in a header and in messages for people. */
export const NODE_ID_PATTERN = /^[\w.:-]{1,128}$/;
/** What a token may look like: visible ASCII, as it travels in a header. */
export const TOKEN_PATTERN = /^[\x21-\x7e]{1,1024}$/;

/** What a ticket looks like. */
const TICKET_PATTERN = /^[\da-f]{32}$/;

/** What each final refusal means to the one who dialled; 503 is not final. */
const REFUSAL_MEANING: Readonly<Record<number, string>> = {
  400: 'it does not understand the handshake',
  401: 'it has another cluster token, start every host with the same one',
  404: 'it serves no links there',
  409: 'another host lives there now, the address is stale',
  412: 'it already has a newer link',
  426: `it does not speak link version ${FRAME_VERSION}, run one version everywhere`,
};

/** Whom the listener serves. */
export interface HandshakeInit {
  readonly nodeId: string;
  /** Shared by the cluster; without one, everybody is let in. */
  readonly token: string | undefined;
}

/** The headers of a dial. */
export function dialHeaders(init: HandshakeInit, request: DialRequest): Record<string, string> {
  return {
    ...callerHeaders(init, request.peer),
    [LINK_HEADERS.incarnation]: String(request.incarnation),
  };
}

/** The headers of a dial for a wire. */
export function wireHeaders(
  init: HandshakeInit,
  peer: Peer,
  ticket: string,
): Record<string, string> {
  return { ...callerHeaders(init, peer), [LINK_HEADERS.wire]: ticket };
}

function callerHeaders(init: HandshakeInit, peer: Peer): Record<string, string> {
  const headers = {
    [LINK_HEADERS.version]: String(FRAME_VERSION),
    [LINK_HEADERS.node]: init.nodeId,
    [LINK_HEADERS.expectNode]: peer.nodeId,
  };
  if (init.token === undefined) return headers;
  return { ...headers, authorization: `Bearer ${init.token}` };
}

/** Who dials, or why the listener refuses. Checks version, then token, then names. */
export function checkDial(
  init: HandshakeInit,
  url: string | undefined,
  headers: IncomingHttpHeaders,
): { readonly ok: DialIdentity; readonly refusal?: undefined } | { readonly refusal: Refusal } {
  if (url !== LINK_PATH) return refuse(404, `Expected a dial of ${LINK_PATH}`);
  const caller = checkCaller(init, headers);
  if (caller.refusal !== undefined) return caller;
  const incarnation = incarnationOf(headerOf(headers, LINK_HEADERS.incarnation));
  if (incarnation === undefined) {
    return refuse(400, `Expected a 32-bit number above 0 in ${LINK_HEADERS.incarnation}`);
  }
  if (!isForHost(init, headers)) return refuse(409, `Expected a dial for ${init.nodeId}`);
  return { ok: { nodeId: caller.ok, incarnation } };
}

/** The ticket of a dial of `WIRE_PATH`, or why the listener refuses. The same checks, in the same order. */
export function checkWireDial(
  init: HandshakeInit,
  headers: IncomingHttpHeaders,
): { readonly ok: string; readonly refusal?: undefined } | { readonly refusal: Refusal } {
  const caller = checkCaller(init, headers);
  if (caller.refusal !== undefined) return caller;
  const ticket = headerOf(headers, LINK_HEADERS.wire) ?? '';
  if (!TICKET_PATTERN.test(ticket)) return refuse(400, `Expected a ticket in ${LINK_HEADERS.wire}`);
  if (!isForHost(init, headers)) return refuse(409, `Expected a dial for ${init.nodeId}`);
  return { ok: ticket };
}

/** Node id of whoever dials, who speaks this version and knows the token. */
function checkCaller(
  init: HandshakeInit,
  headers: IncomingHttpHeaders,
): { readonly ok: string; readonly refusal?: undefined } | { readonly refusal: Refusal } {
  const version = headerOf(headers, LINK_HEADERS.version);
  if (version === undefined) return refuse(400, `Expected a ${LINK_HEADERS.version} header`);
  if (version !== String(FRAME_VERSION)) {
    return refuse(426, `Expected link version ${FRAME_VERSION}`);
  }
  if (init.token !== undefined && !isSameSecret(`Bearer ${init.token}`, headers.authorization)) {
    return refuse(401, 'Expected the token of this cluster');
  }
  const nodeId = headerOf(headers, LINK_HEADERS.node) ?? '';
  if (!NODE_ID_PATTERN.test(nodeId)) {
    return refuse(400, `Expected a node id in ${LINK_HEADERS.node}`);
  }
  return { ok: nodeId };
}

function isForHost(init: HandshakeInit, headers: IncomingHttpHeaders): boolean {
  return headerOf(headers, LINK_HEADERS.expectNode) === init.nodeId;
}

/** What a dial that was answered with `status` instead of an upgrade comes to. */
export function closureOfRefusal(request: DialRequest, status: number): Closure {
  const { peer } = request;
  const where = `${peer.nodeId} at ${formatLinkAddress(peer.address)}`;
  if (status >= 500) return { kind: 'broken', reason: `${where} is not ready (HTTP ${status})` };
  const meaning = meaningOfRefusal(status);
  return { kind: 'ended', reason: `${where} refused the dial (HTTP ${status}): ${meaning}` };
}

/** For people. */
export function meaningOfRefusal(status: number): string {
  return REFUSAL_MEANING[status] ?? 'it is no link listener';
}

function refuse(status: number, reason: string): { readonly refusal: Refusal } {
  return { refusal: { status, reason } };
}

function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}

function incarnationOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^[1-9]\d{0,9}$/.test(text)) return undefined;
  const value = Number(text);
  return value < 2 ** 32 ? value : undefined;
}

/** Compares digests, so that neither content nor length shows in the time it takes. */
function isSameSecret(expected: string, found: string | undefined): boolean {
  return timingSafeEqual(digest(expected), digest(found ?? ''));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
