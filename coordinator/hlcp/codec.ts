/**
 * HLCP on the wire: one MessagePack map per message, checked against the direction's schema when it
 * is read. Bad bytes are a value, never an exception: whoever reads decides what to do with the peer.
 */
import { Packr } from 'msgpackr';
import type { z } from 'zod';
import { HlsimError, messageOf } from '../../common/errors.ts';
import {
  type ClientToCoordinator,
  type CoordinatorToClient,
  type CoordinatorToHost,
  clientToCoordinator,
  coordinatorToClient,
  coordinatorToHost,
  HLCP_MESSAGE_BYTES_MAX,
  HLCP_VERSION,
  type HostToCoordinator,
  hostToCoordinator,
} from './messages.ts';
import { structureFault } from './structure.ts';

export type Decoded<Message> =
  | { readonly ok: true; readonly message: Message }
  | { readonly ok: false; readonly error: HlsimError };

/** One end's view of a connection: what it writes, and what it accepts. */
export interface Codec<Outgoing, Incoming> {
  /** @throws HlsimError `HLSIM_PROTOCOL_ERROR` for a message longer than any peer accepts. */
  encode(message: Outgoing): Uint8Array;
  /** The message, or why it is none: `HLSIM_PROTOCOL_ERROR`, `HLSIM_PROTOCOL_VERSION`. */
  decode(bytes: Uint8Array): Decoded<Incoming>;
}

/** Longest part of a schema's complaint that goes into an error message. */
const COMPLAINT_CHARS_MAX = 200;

/** `skipValues`: an absent optional field stays absent, it does not become an extension type. */
const PACKR_OPTIONS = { useRecords: false, mapsAsObjects: true, skipValues: [undefined] };
const packr = new Packr(PACKR_OPTIONS);

/** The refusal of a peer whose first message names another version. */
export function versionError(peer: string, version: number): HlsimError {
  return new HlsimError(
    'HLSIM_PROTOCOL_VERSION',
    `Expected control protocol version ${HLCP_VERSION} but found ${version} at ${peer}: run the same hlsim release in every part of the cluster`,
    { fields: { expected: HLCP_VERSION, found: version } },
  );
}

function protocolError(peer: string, detail: string, cause?: unknown): HlsimError {
  return new HlsimError(
    'HLSIM_PROTOCOL_ERROR',
    `Expected a control message of ${peer} but found ${detail}`,
    cause === undefined ? {} : { cause },
  );
}

function encode(message: object): Uint8Array {
  const bytes = packr.pack(message);
  if (bytes.byteLength > HLCP_MESSAGE_BYTES_MAX) {
    throw new HlsimError(
      'HLSIM_PROTOCOL_ERROR',
      `Expected a control message of at most ${HLCP_MESSAGE_BYTES_MAX} bytes but found ${bytes.byteLength}: split it before sending`,
    );
  }
  return bytes;
}

function decode<Message>(
  schema: z.ZodType<Message>,
  peer: string,
  bytes: Uint8Array,
): Decoded<Message> {
  if (bytes.byteLength > HLCP_MESSAGE_BYTES_MAX) {
    const detail = `${bytes.byteLength} bytes, more than ${HLCP_MESSAGE_BYTES_MAX}`;
    return { ok: false, error: protocolError(peer, detail) };
  }
  const fault = structureFault(bytes);
  if (fault !== undefined) return { ok: false, error: protocolError(peer, fault) };
  let value: unknown;
  try {
    value = packr.unpack(bytes);
  } catch (cause) {
    return { ok: false, error: protocolError(peer, messageOf(cause), cause) };
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return { ok: true, message: parsed.data };
  const version = helloVersion(value);
  if (version !== undefined && version !== HLCP_VERSION) {
    return { ok: false, error: versionError(`a ${peer}`, version) };
  }
  return { ok: false, error: protocolError(peer, complaint(parsed.error)) };
}

/** The version in a first message of any version: what a schema of ours rejects may be newer. */
function helloVersion(value: unknown): number | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { type, version } = value as { readonly type?: unknown; readonly version?: unknown };
  const isHello = type === 'HLCP_RANK_DATA' || type === 'HLCP_CLIENT_HELLO';
  return isHello && Number.isInteger(version) ? Number(version) : undefined;
}

function complaint(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'an invalid message';
  const where = issue.path.length === 0 ? 'the message' : issue.path.join('.');
  return `${where}: ${issue.message}`.slice(0, COMPLAINT_CHARS_MAX);
}

function codec<Outgoing extends object, Incoming>(
  incoming: z.ZodType<Incoming>,
  peer: string,
): Codec<Outgoing, Incoming> {
  return { encode, decode: (bytes) => decode(incoming, peer, bytes) };
}

/** The host's end of a host connection. */
export const hostEnd: Codec<HostToCoordinator, CoordinatorToHost> = codec(
  coordinatorToHost,
  'coordinator',
);
/** The client's end of a client connection. */
export const clientEnd: Codec<ClientToCoordinator, CoordinatorToClient> = codec(
  coordinatorToClient,
  'coordinator',
);
/** The coordinator's end of a host connection. */
export const coordinatorHostEnd: Codec<CoordinatorToHost, HostToCoordinator> = codec(
  hostToCoordinator,
  'host',
);
/** The coordinator's end of a client connection. */
export const coordinatorClientEnd: Codec<CoordinatorToClient, ClientToCoordinator> = codec(
  clientToCoordinator,
  'client',
);
