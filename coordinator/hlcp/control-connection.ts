/**
 * One end of a control connection: messages in, messages out, one close. Two forms: a WebSocket
 * (`client.ts` dials, `coordinator/server.ts` accepts) and a pair in memory (simulation).
 */
import type { HlsimError } from '../../common/errors.ts';

export interface ControlConnectionEvents<Incoming> {
  /** A valid message, in order. */
  message(message: Incoming): void;
  /** The connection has ended, for good; called once. `undefined`: by `close()` of this end. */
  closed(reason: HlsimError | undefined): void;
}

export interface ControlConnection<Outgoing, Incoming> {
  /** Sends a message; silently nothing after the end (`closed` tells). */
  send(message: Outgoing): void;
  /** Takes what comes; messages that came before are delivered first. Called once. */
  listen(events: ControlConnectionEvents<Incoming>): void;
  /** Ends the connection after what was sent has gone out. */
  close(): void;
  /** The address of this end, as the peer's network sees it: what a host advertises to others. */
  readonly localAddress: string;
}
