/**
 * What both forms of a control connection share: decoding, the wait for `listen`, and the rule that
 * a connection ends once and for one reason. Bytes go out and come in through a `Wire`.
 */
import { assert } from '../../common/assert.ts';
import type { HlsimError } from '../../common/errors.ts';
import type { Codec } from './codec.ts';
import type { ControlConnection, ControlConnectionEvents } from './control-connection.ts';

/** What carries the messages. It calls `receive`, `fail` and `ended` of its endpoint. */
export interface Wire {
  readonly localAddress: string;
  transmit(bytes: Uint8Array): void;
  /** The endpoint has a listener: start reading. What came before may be delivered earlier. */
  start(): void;
  /** Ends the wire after what was transmitted; `ended` follows within a bounded time. */
  finish(): void;
}

export interface ControlEndpointOptions<Outgoing, Incoming> {
  readonly codec: Codec<Outgoing, Incoming>;
  readonly wire: Wire;
  /** Last words to a peer whose message was bad. */
  readonly refusal?: (error: HlsimError) => Outgoing;
  /** The reason of an end that this side did not ask for, given the peer's last message. */
  readonly reasonOfEnd?: (cause: HlsimError, last: Incoming | undefined) => HlsimError;
}

export class ControlEndpoint<Outgoing, Incoming> implements ControlConnection<Outgoing, Incoming> {
  readonly #options: ControlEndpointOptions<Outgoing, Incoming>;
  #phase: 'open' | 'closing' | 'ended' = 'open';
  #events: ControlConnectionEvents<Incoming> | undefined;
  /** Messages before `listen`; bounded by what the wire delivers before `start`. */
  #early: Incoming[] = [];
  #last: Incoming | undefined;
  #reason: HlsimError | undefined;

  constructor(options: ControlEndpointOptions<Outgoing, Incoming>) {
    this.#options = options;
  }

  get localAddress(): string {
    return this.#options.wire.localAddress;
  }

  send(message: Outgoing): void {
    if (this.#phase !== 'open') return;
    this.#options.wire.transmit(this.#options.codec.encode(message));
  }

  listen(events: ControlConnectionEvents<Incoming>): void {
    assert(this.#events === undefined, 'Expected one listener per control connection');
    this.#events = events;
    const early = this.#early;
    this.#early = [];
    for (const message of early) if (this.#phase !== 'closing') events.message(message);
    if (this.#phase === 'ended') events.closed(this.#reason);
    else this.#options.wire.start();
  }

  close(): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'closing';
    this.#options.wire.finish();
  }

  /** The wire has a message. */
  receive(bytes: Uint8Array): void {
    if (this.#phase !== 'open') return;
    const decoded = this.#options.codec.decode(bytes);
    if (!decoded.ok) {
      this.fail(decoded.error);
      return;
    }
    this.#last = decoded.message;
    if (this.#events === undefined) this.#early.push(decoded.message);
    else this.#events.message(decoded.message);
  }

  /** The peer broke the protocol: it is told, and the connection is over for this side at once. */
  fail(error: HlsimError): void {
    if (this.#phase !== 'open') return;
    const { refusal, wire, codec } = this.#options;
    if (refusal !== undefined) wire.transmit(codec.encode(refusal(error)));
    this.#end(error);
    wire.finish();
  }

  /** The wire is gone: by `close()` of this side, or for `cause`. */
  ended(cause: HlsimError): void {
    if (this.#phase === 'ended') return;
    const byThisSide = this.#phase === 'closing';
    this.#end(byThisSide ? undefined : (this.#options.reasonOfEnd?.(cause, this.#last) ?? cause));
  }

  #end(reason: HlsimError | undefined): void {
    this.#phase = 'ended';
    this.#reason = reason;
    this.#events?.closed(reason);
  }
}
