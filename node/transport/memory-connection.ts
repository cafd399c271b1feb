/** A connection in memory: two wires and an end at each side, with the manners of a WebSocket. */
import type { Scheduler } from '../../common/scheduler.ts';
import type { FrameHeader } from './frame.ts';
import { refuseFrames } from './frame-receiver.ts';
import type {
  AcceptedConnection,
  AcceptedEnd,
  Closure,
  DialIdentity,
  DialledConnection,
  DialledEnd,
  LinkCloseCode,
} from './link-medium.ts';
import { type Arrival, MemoryWire, type MemoryWireProperties } from './memory-wire.ts';
import type { SendOutcome } from './transport.ts';
import { ViewLedger } from './view-ledger.ts';

const NOBODY: AcceptedEnd = {
  reader: refuseFrames('Expected no frame before the connection has an owner'),
  drained: () => undefined,
  closed: () => undefined,
};

/** Of ends that hand whole messages over: nothing is read or filled later. */
const NO_VIEWS = new ViewLedger();

/** What the two ends have in common; `outgoing` is set by the connection that joins them. */
class MemoryEnd {
  readonly kind = 'memory';
  readonly #scheduler: Scheduler;
  readonly #label: string;
  readonly incarnation: number;
  protected end: AcceptedEnd = NOBODY;
  protected outgoing: MemoryWire | undefined;
  #state: 'open' | 'failing' | 'closed' = 'open';

  /** `label` names the other end in reasons. */
  constructor(scheduler: Scheduler, label: string, incarnation: number) {
    this.#scheduler = scheduler;
    this.#label = label;
    this.incarnation = incarnation;
  }

  get open(): boolean {
    return this.#state === 'open';
  }

  join(outgoing: MemoryWire): void {
    this.outgoing = outgoing;
  }

  taken(): void {
    if (this.open) this.end.drained();
  }

  arrived(arrival: Arrival): void {
    if (!this.open) return;
    if (!(arrival instanceof Uint8Array)) {
      this.#state = 'closed';
      this.outgoing?.cut();
      this.end.closed(arrival);
      return;
    }
    const error = this.end.reader.message([arrival]);
    if (error === undefined || !this.open) return;
    this.#state = 'closed';
    this.outgoing?.end({ kind: 'ended', reason: `The peer refused a frame: ${error}` });
    const reason = `${this.#label} broke the link protocol: ${error}`;
    this.end.closed({ kind: 'violated', reason });
  }

  close(_code: LinkCloseCode, reason: string): void {
    const wasOpen = this.open;
    this.#state = 'closed';
    if (!wasOpen) return;
    const isCutShort = (this.outgoing?.queuedBytes ?? 0) > 0;
    this.outgoing?.end({
      kind: isCutShort ? 'broken' : 'ended',
      reason: `The peer closed the link: ${reason}`,
    });
  }

  /** The cable is gone. */
  fail(reason: string): void {
    if (!this.open) return;
    this.outgoing?.cut();
    this.#failSoon(reason);
  }

  abort(reason: string): void {
    if (!this.open) return;
    this.outgoing?.end({ kind: 'broken', reason });
    this.#failSoon(reason);
  }

  #failSoon(reason: string): void {
    this.#state = 'failing';
    this.#scheduler.soon(() => {
      if (this.#state !== 'failing') return;
      this.#state = 'closed';
      this.end.closed({ kind: 'broken', reason });
    });
  }
}

class MemoryDialledEnd extends MemoryEnd implements DialledConnection {
  readonly filling = NO_VIEWS;

  own(end: DialledEnd): void {
    this.end = { ...end, drained: () => undefined, closed: (closure) => end.closed(closure) };
  }

  reply(header: FrameHeader): SendOutcome {
    if (!this.open || this.outgoing === undefined) return 'down';
    this.outgoing.send(header, this.incarnation, []);
    return 'queued';
  }

  recall(): void {
    // A payload is stored within the call that placed it.
  }
}

class MemoryAcceptedEnd extends MemoryEnd implements AcceptedConnection {
  readonly nodeId: string;

  constructor(scheduler: Scheduler, dial: DialIdentity) {
    super(scheduler, dial.nodeId, dial.incarnation);
    this.nodeId = dial.nodeId;
  }

  get queuedBytes(): number {
    return this.outgoing?.queuedBytes ?? 0;
  }

  get views(): ViewLedger {
    return this.outgoing?.views ?? NO_VIEWS;
  }

  bind(end: AcceptedEnd): void {
    this.end = end;
  }

  write(header: FrameHeader, payload: readonly Uint8Array[]): void {
    this.outgoing?.send(header, this.incarnation, payload);
  }
}

export class MemoryConnection {
  /** The two hosts: who dialled, and who accepted. */
  readonly diallerId: string;
  readonly acceptorId: string;
  readonly dialled: MemoryDialledEnd;
  readonly accepted: MemoryAcceptedEnd;

  constructor(
    properties: MemoryWireProperties,
    dial: DialIdentity,
    acceptorId: string,
    end: DialledEnd,
  ) {
    this.diallerId = dial.nodeId;
    this.acceptorId = acceptorId;
    const dialled = new MemoryDialledEnd(properties.scheduler, acceptorId, dial.incarnation);
    const accepted = new MemoryAcceptedEnd(properties.scheduler, dial);
    dialled.own(end);
    dialled.join(wireBetween(properties, dialled, accepted));
    accepted.join(wireBetween(properties, accepted, dialled));
    this.dialled = dialled;
    this.accepted = accepted;
  }

  get open(): boolean {
    return this.dialled.open || this.accepted.open;
  }

  /** Breaks the connection for both ends. */
  fail(reason: string): void {
    this.dialled.fail(reason);
    this.accepted.fail(reason);
  }
}

function wireBetween(
  properties: MemoryWireProperties,
  near: MemoryEnd,
  far: MemoryEnd,
): MemoryWire {
  return new MemoryWire(properties, {
    arrived: (arrival: Uint8Array | Closure) => far.arrived(arrival),
    taken: () => near.taken(),
  });
}
