/**
 * The wires that this host has offered: who dials with a ticket is let in, once, and its connection is
 * handed over.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { type Deferred, deferred } from '../../common/deferred.ts';
import { HlsimError } from '../../common/errors.ts';
import type { CancelTimer, Scheduler } from '../../common/scheduler.ts';
import type { Refusal } from './link-medium.ts';
import { WIRE_TIMEOUT_MS, type WireOffer } from './transport.ts';

/** Offers that nobody has dialled for yet. */
export const WIRE_OFFERS_MAX = 4096;
const TICKET_BYTES = 16;

interface Offered {
  readonly answer: Deferred<Socket>;
  readonly cancelExpiry: CancelTimer;
  /** Of the dial that has the ticket, until the answer is out. */
  socket: Socket | undefined;
}

export class WireDoor {
  readonly #scheduler: Scheduler;
  readonly #offered = new Map<string, Offered>();
  /** Accepted and not closed yet; of others by then. */
  readonly #sockets = new Set<Socket>();
  #isClosed = false;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** As `Wires.offer`. */
  offer(): WireOffer {
    const ticket = randomBytes(TICKET_BYTES).toString('hex');
    const answer = deferred<Socket>();
    // Whoever cancels an offer need not look at it again.
    answer.promise.catch(() => undefined);
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      answer.reject(refusal);
    } else {
      const cancelExpiry = this.#scheduler.after(WIRE_TIMEOUT_MS, () =>
        this.#fail(ticket, expired()),
      );
      this.#offered.set(ticket, { answer, cancelExpiry, socket: undefined });
    }
    return {
      ticket,
      accepted: answer.promise,
      cancel: () => this.#fail(ticket, new Error('The offer of a wire was cancelled')),
    };
  }

  /**
   * A dial with a well-formed ticket. `socket` has no listeners; unless the dial is refused, `response` is
   * sent and the ticket is used up.
   */
  enter(ticket: string, socket: Socket, response: string): Refusal | undefined {
    const offered = this.#offered.get(ticket);
    if (offered === undefined || offered.socket !== undefined) {
      return { status: 404, reason: 'Expected a ticket that is offered and not used' };
    }
    offered.socket = socket;
    this.#sockets.add(socket);
    socket.pause();
    socket.setNoDelay(true);
    // What is wrong with it is found by whoever uses it; it closes then.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#fail(ticket, broken());
    });
    socket.write(response, (error) => {
      if (error === undefined || error === null) this.#handOver(ticket, socket);
    });
    return undefined;
  }

  /** Rejects all offers and destroys what was accepted, whoever has it. */
  close(): void {
    this.#isClosed = true;
    for (const ticket of [...this.#offered.keys()]) this.#fail(ticket, goingAway());
    for (const socket of this.#sockets) socket.destroy();
  }

  #refusal(): HlsimError | undefined {
    if (this.#isClosed) return goingAway();
    if (this.#offered.size < WIRE_OFFERS_MAX) return undefined;
    return new HlsimError(
      'HLSIM_RENDEZVOUS',
      `Expected at most ${WIRE_OFFERS_MAX} wires that wait to be dialled: connect fewer ranks at a time`,
    );
  }

  #handOver(ticket: string, socket: Socket): void {
    const offered = this.#take(ticket);
    if (offered === undefined) return;
    offered.answer.resolve(socket);
  }

  #fail(ticket: string, reason: Error): void {
    const offered = this.#take(ticket);
    offered?.socket?.destroy();
    offered?.answer.reject(reason);
  }

  #take(ticket: string): Offered | undefined {
    const offered = this.#offered.get(ticket);
    offered?.cancelExpiry();
    this.#offered.delete(ticket);
    return offered;
  }
}

function expired(): HlsimError {
  return new HlsimError(
    'HLSIM_TIMEOUT',
    `Expected a dial for the wire that was offered but none came in ${WIRE_TIMEOUT_MS} ms: look at the host that was to dial`,
  );
}

function broken(): HlsimError {
  return new HlsimError(
    'HLSIM_HOST_LOST',
    'Expected an open wire but the host that dialled has closed it: look at that host',
  );
}

function goingAway(): HlsimError {
  return new HlsimError('HLSIM_HOST_LOST', 'Expected an open wire but this host is going away');
}
