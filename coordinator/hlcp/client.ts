/**
 * Dials the coordinator. A cluster's parts start in any order, so a name that does not resolve yet
 * and a port where nobody listens yet are tried again until the deadline; what waiting cannot mend
 * (a refused token, a server that is no coordinator) fails at once.
 */
import { WebSocket } from 'ws';
import { HlsimError } from '../../common/errors.ts';
import { keepAliveTimer, type Scheduler } from '../../common/scheduler.ts';
import { type Codec, clientEnd, hostEnd } from './codec.ts';
import type { ControlConnection } from './control-connection.ts';
import {
  type ClientToCoordinator,
  type CoordinatorToClient,
  type CoordinatorToHost,
  HLCP_MESSAGE_BYTES_MAX,
  type HostToCoordinator,
} from './messages.ts';
import { reasonOfEnd } from './refusal.ts';
import { overWebSocket } from './websocket-connection.ts';

/** Pause after the first failed attempt; it doubles up to `RETRY_MS_MAX`. */
export const RETRY_MS_MIN = 50;
export const RETRY_MS_MAX = 500;
/** Longest time one attempt may take, from the name's look-up to the end of the upgrade. */
export const ATTEMPT_TIMEOUT_MS = 2_000;

export interface ConnectOptions {
  /** `ws://host:port` of the coordinator. */
  readonly url: string;
  readonly token?: string | undefined;
  readonly scheduler: Scheduler;
  /** For all attempts together. */
  readonly deadlineMs: number;
}

export type HostControl = ControlConnection<HostToCoordinator, CoordinatorToHost>;
export type ClientControl = ControlConnection<ClientToCoordinator, CoordinatorToClient>;

/**
 * Connects a host. The first message to send is `HLCP_RANK_DATA`.
 *
 * @throws HlsimError `HLSIM_COORDINATOR_UNREACHABLE`, `HLSIM_TOKEN_REFUSED`, `HLSIM_CONFIG`
 */
export function connectHostControl(options: ConnectOptions): Promise<HostControl> {
  return dial(options, 'host', hostEnd);
}

/**
 * Connects a command-line client. The first message to send is `HLCP_CLIENT_HELLO`.
 *
 * @throws HlsimError `HLSIM_COORDINATOR_UNREACHABLE`, `HLSIM_TOKEN_REFUSED`, `HLSIM_CONFIG`
 */
export function connectClientControl(options: ConnectOptions): Promise<ClientControl> {
  return dial(options, 'client', clientEnd);
}

export function connectControl(
  options: ConnectOptions & { readonly role: 'host' },
): Promise<HostControl>;
export function connectControl(
  options: ConnectOptions & { readonly role: 'client' },
): Promise<ClientControl>;
/** `connectHostControl` or `connectClientControl`, by `role`. */
export function connectControl(
  options: ConnectOptions & { readonly role: 'host' | 'client' },
): Promise<HostControl | ClientControl> {
  return options.role === 'host' ? connectHostControl(options) : connectClientControl(options);
}

/** One attempt: a connection, or why not and whether another attempt can do better. */
type Attempt<Connection> =
  | { readonly outcome: 'open'; readonly connection: Connection }
  | { readonly outcome: 'retry'; readonly cause: string }
  | { readonly outcome: 'give up'; readonly error: HlsimError };

async function dial<Outgoing, Incoming extends { readonly type: string }>(
  options: ConnectOptions,
  role: 'host' | 'client',
  codec: Codec<Outgoing, Incoming>,
): Promise<ControlConnection<Outgoing, Incoming>> {
  const { scheduler, token, deadlineMs } = options;
  const url = endpointUrl(options.url, role);
  const startMs = scheduler.clock.now();
  const leftMs = (): number => startMs + deadlineMs - scheduler.clock.now();
  const adopt = (socket: WebSocket, localAddress: string): ControlConnection<Outgoing, Incoming> =>
    overWebSocket<Outgoing, Incoming>(socket, {
      codec,
      scheduler,
      localAddress,
      peer: `coordinator ${options.url}`,
      lost: (detail) => coordinatorLost(options.url, detail),
      reasonOfEnd,
    });
  let pauseMs = RETRY_MS_MIN;
  for (let attempts = 1; ; attempts++) {
    const attempt = await attemptUpgrade(url, token, Math.max(1, leftMs()), adopt);
    if (attempt.outcome === 'open') return attempt.connection;
    if (attempt.outcome === 'give up') throw attempt.error;
    if (leftMs() <= pauseMs) {
      throw unreachableError(options.url, attempts, deadlineMs - leftMs(), attempt.cause);
    }
    await pause(pauseMs);
    pauseMs = Math.min(2 * pauseMs, RETRY_MS_MAX);
  }
}

function endpointUrl(base: string, role: 'host' | 'client'): URL {
  const url = URL.canParse(base) ? new URL(`/${role}`, base) : undefined;
  if (url === undefined || (url.protocol !== 'ws:' && url.protocol !== 'wss:')) {
    throw new HlsimError(
      'HLSIM_CONFIG',
      `Expected a coordinator address such as ws://127.0.0.1:7700 but found ${JSON.stringify(base)}`,
    );
  }
  return url;
}

/** The wait between attempts is all that a starting process does: it keeps the process alive. */
function pause(pauseMs: number): Promise<void> {
  return new Promise((resolve) => {
    keepAliveTimer(pauseMs, resolve);
  });
}

/** `adopt` makes the connection while the socket opens, so that no event of the socket is missed. */
function attemptUpgrade<Connection>(
  url: URL,
  token: string | undefined,
  leftMs: number,
  adopt: (socket: WebSocket, localAddress: string) => Connection,
): Promise<Attempt<Connection>> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
      maxPayload: HLCP_MESSAGE_BYTES_MAX,
    });
    const giveUp = (attempt: Attempt<Connection>): void => {
      cancelTimeout();
      resolve(attempt);
      // Before the end of the upgrade this is an `error` event too: the listener stays.
      socket.terminate();
    };
    const onError = (error: Error): void => giveUp({ outcome: 'retry', cause: causeOf(error) });
    const timeoutMs = Math.min(leftMs, ATTEMPT_TIMEOUT_MS);
    const cancelTimeout = keepAliveTimer(timeoutMs, () =>
      giveUp({ outcome: 'retry', cause: `no answer within ${Math.round(timeoutMs)} ms` }),
    );
    let localAddress = '';
    socket.on('error', onError);
    socket.on('upgrade', (response) => {
      localAddress = response.socket.localAddress ?? '';
    });
    socket.on('unexpected-response', (_request, response) => {
      response.resume();
      giveUp(refusedUpgrade(url, response.statusCode ?? 0));
    });
    socket.on('open', () => {
      cancelTimeout();
      resolve({ outcome: 'open', connection: adopt(socket, localAddress) });
      socket.off('error', onError);
    });
  });
}

/** An HTTP answer instead of an upgrade. A gateway's 5xx may pass; anything else will not. */
function refusedUpgrade(url: URL, status: number): Attempt<never> {
  if (status >= 500) return { outcome: 'retry', cause: `HTTP status ${status} at the upgrade` };
  const error =
    status === 401
      ? new HlsimError(
          'HLSIM_TOKEN_REFUSED',
          `Expected the cluster token of the coordinator at ${url.host} but it refused ours: pass the same --token or HLSIM_TOKEN everywhere`,
        )
      : new HlsimError(
          'HLSIM_COORDINATOR_UNREACHABLE',
          `Expected a coordinator at ${url.href} but found HTTP status ${status}: check the address`,
        );
  return { outcome: 'give up', error };
}

/** A look-up that tries several addresses fails with one error per address. */
function causeOf(error: Error): string {
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  const shown = first instanceof Error ? first : error;
  return shown.message || shown.name;
}

function unreachableError(url: string, attempts: number, waitedMs: number, cause: string) {
  const times = attempts === 1 ? 'once' : `${attempts} times`;
  return new HlsimError(
    'HLSIM_COORDINATOR_UNREACHABLE',
    `Expected a coordinator at ${url} but found none: tried ${times} in ${Math.round(waitedMs)} ms, last: ${cause}; check that it runs and that the address is right`,
    { fields: { url, attempts, waitedMs, cause } },
  );
}

function coordinatorLost(url: string, detail: string): HlsimError {
  return new HlsimError(
    'HLSIM_COORDINATOR_LOST',
    `Expected the coordinator at ${url} to stay but its control connection ended: ${detail}`,
    { fields: { url } },
  );
}
