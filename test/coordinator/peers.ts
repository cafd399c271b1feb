/** Hosts and clients for tests: they keep what they hear and can wait for it. */
import { deferred } from '../../common/deferred.ts';
import type { HlsimError } from '../../common/errors.ts';
import type { ControlConnection } from '../../coordinator/hlcp/control-connection.ts';
import {
  type ClientToCoordinator,
  type CoordinatorToClient,
  type CoordinatorToHost,
  HLCP_VERSION,
  type HostToCoordinator,
} from '../../coordinator/hlcp/messages.ts';
import type { Log } from '../../coordinator/log.ts';

/** One end of a connection with everything that it has heard, in order. */
export class Peer<Outgoing, Incoming extends { readonly type: string }> {
  readonly connection: ControlConnection<Outgoing, Incoming>;
  readonly heard: Incoming[] = [];
  /** The reason of the end, or `undefined` when this side asked for it. */
  readonly closed: Promise<HlsimError | undefined>;
  #waiting: { readonly type: string; resolve(message: Incoming): void }[] = [];

  constructor(
    connection: ControlConnection<Outgoing, Incoming>,
    react: (message: Incoming, peer: Peer<Outgoing, Incoming>) => void = () => undefined,
  ) {
    this.connection = connection;
    const end = deferred<HlsimError | undefined>();
    this.closed = end.promise;
    connection.listen({
      message: (message) => {
        this.heard.push(message);
        react(message, this);
        const due = this.#waiting.filter(({ type }) => type === message.type);
        this.#waiting = this.#waiting.filter(({ type }) => type !== message.type);
        for (const { resolve } of due) resolve(message);
      },
      closed: (reason) => end.resolve(reason),
    });
  }

  send(message: Outgoing): void {
    this.connection.send(message);
  }

  /** The last message of a type, now or when it comes. */
  async saw<Type extends Incoming['type']>(type: Type): Promise<Extract<Incoming, { type: Type }>> {
    const known = this.heard.findLast((message) => message.type === type);
    const message = known ?? (await this.#next(type));
    return message as Extract<Incoming, { type: Type }>;
  }

  types(): string[] {
    return this.heard.map(({ type }) => type);
  }

  #next(type: string): Promise<Incoming> {
    return new Promise((resolve) => {
      this.#waiting.push({ type, resolve });
    });
  }
}

export type HostPeer = Peer<HostToCoordinator, CoordinatorToHost>;
export type ClientPeer = Peer<ClientToCoordinator, CoordinatorToClient>;

export function rankData(
  name: string,
  changes: { readonly version?: number; readonly devices?: number } = {},
): HostToCoordinator {
  return {
    type: 'HLCP_RANK_DATA',
    version: HLCP_VERSION,
    nodeId: `node-${name}`,
    hostname: name,
    pid: 4_242,
    devices: 1,
    hbmBytes: 1_024,
    link: { host: '127.0.0.1', port: 1 },
    ...changes,
  };
}

export const CLIENT_HELLO = { type: 'HLCP_CLIENT_HELLO', version: HLCP_VERSION } as const;

export function submit(program: string): ClientToCoordinator {
  const spec = { program, arguments: [], environment: {} };
  return { type: 'HLCP_JOB_SUBMIT', spec, joinTimeoutMs: 10_000 };
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A log that can be read. */
export function recordingLog(): Log & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const writer =
    (level: string) =>
    (fields: Readonly<Record<string, unknown>>, message: string): void => {
      lines.push({ level, message, fields });
    };
  return { lines, info: writer('info'), warn: writer('warn'), error: writer('error') };
}
