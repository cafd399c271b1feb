/**
 * Messages that travel in headers. A header goes to every peer anyway, so the first messages of its
 * sender's lanes go with it if they are short and ready: a small collective is then one message each way.
 * The NIC copies them out of device memory and into it (`region-copy.ts`). They count as any others of
 * their lanes do, but need no grant: a message whose place is not free yet waits here, in host memory.
 */
import { defined } from '../../common/assert.ts';
import { copyFromRegion, copyToRegion, type RegionCopy } from '../fabric/region-copy.ts';
import type { Operand } from './engine-ports.ts';
import type { ExchangeInit } from './exchange-init.ts';
import type { Faults } from './faults.ts';
import { addressOf, registrationOf } from './memory-map.ts';
import type { Operation } from './operation.ts';
import { INLINE_BYTES_MAX, type InlineMessages } from './operation-header.ts';
import type { PlanPeer } from './plan.ts';

/** How long a page of the destination that is being mapped is waited for. */
const PAGE_FAULT_RETRY_MS = 0.1;

/** What waits for its place: bytes, or word of a message that has been written behind them. */
type Waiting = Uint8Array | 'written';

export class InlineMessagesOfOperations {
  readonly #init: ExchangeInit;
  readonly #faults: Faults;
  /** By inbound connection of the operation under way; none is empty. */
  readonly #waiting = new Map<number, Waiting[]>();
  readonly #buffer = new Uint8Array(INLINE_BYTES_MAX);
  /** Bytes of messages so far. */
  sent = 0;
  received = 0;

  constructor(init: ExchangeInit, faults: Faults) {
    this.#init = init;
    this.#faults = faults;
  }

  /** Takes what can go to `peer` in its header. Valid until the next call. */
  take(operation: Operation, peer: PlanPeer): InlineMessages | undefined {
    if (this.#init.flush !== undefined) return undefined;
    const counts: number[] = [];
    let bytes = 0;
    for (const outbound of peer.outbound) {
      const [count, end] = this.#takeFrom(operation, outbound, bytes);
      bytes = end;
      counts.push(count);
    }
    if (bytes === 0) return undefined;
    this.sent += bytes;
    return { counts, bytes: this.#buffer.subarray(0, bytes) };
  }

  /**
   * Gives messages of a peer's header to the engine, before any that were written since. `false`: they
   * are not those of the plan.
   */
  arrived(operation: Operation, { inbound }: PlanPeer, { counts, bytes }: InlineMessages): boolean {
    let offset = 0;
    for (const [lane, count] of counts.entries()) {
      const messages = operation.plan.inbound[inbound[lane] ?? -1]?.messages ?? [];
      if (count > messages.length) return false;
      for (let index = 0; index < count; index++) {
        const end = offset + defined(messages[index], 'a message').bytes;
        if (end > bytes.byteLength) return false;
        this.#arrive(operation, inbound[lane] as number, bytes.subarray(offset, end));
        offset = end;
      }
    }
    this.received += offset;
    return offset === bytes.byteLength;
  }

  /**
   * A message has been written by the peer. `true`: one before it waits, or may come with the peer's
   * header, and so word of it waits too.
   */
  holdsBack(operation: Operation, inbound: number): boolean {
    const waiting = this.#waiting.get(inbound);
    if (waiting !== undefined) {
      waiting.push('written');
      return true;
    }
    const connection = operation.plan.inbound[inbound];
    if (connection === undefined || operation.hasStarted(connection.peerIndex)) return false;
    this.#waiting.set(inbound, ['written']);
    return true;
  }

  /** Tries again what waits for a place. */
  resume(operation: Operation): void {
    for (const [inbound, waiting] of this.#waiting) {
      while (waiting.length > 0 && this.#place(operation, inbound, waiting[0] as Waiting))
        waiting.shift();
      if (waiting.length === 0) this.#waiting.delete(inbound);
    }
  }

  get isWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** The operation has ended. */
  clear(): void {
    this.#waiting.clear();
  }

  /** How many messages of a connection go, and where their bytes end. */
  #takeFrom(operation: Operation, outbound: number, start: number): [number, number] {
    const { engine } = operation;
    let count = 0;
    let end = start;
    for (let next = engine.next(outbound); next !== undefined; next = engine.next(outbound)) {
      const { slice, source, connection } = next;
      if (end + slice.bytes > INLINE_BYTES_MAX) break;
      const target = this.#buffer.subarray(end, end + slice.bytes);
      if (this.#copyFrom(operation, source, target) !== 'copied') break;
      this.#init.observer.slice(operation, 'sendBegin', slice, connection.peer);
      engine.took(outbound);
      this.#init.observer.slice(operation, 'sendEnd', slice, connection.peer);
      end += slice.bytes;
      count++;
    }
    return [count, end];
  }

  #arrive(operation: Operation, inbound: number, bytes: Uint8Array): void {
    const waiting = this.#waiting.get(inbound);
    if (waiting === undefined) {
      if (!this.#place(operation, inbound, bytes)) this.#waiting.set(inbound, [bytes.slice()]);
      return;
    }
    const written = waiting.indexOf('written');
    waiting.splice(written < 0 ? waiting.length : written, 0, bytes.slice());
  }

  /** `false`: it has to wait. */
  #place(operation: Operation, inbound: number, message: Waiting): boolean {
    const { engine, plan } = operation;
    const { peer } = defined(plan.inbound[inbound], 'the connection');
    if (message !== 'written') {
      const landing = engine.landing(inbound);
      if (landing === 'later') return false;
      if (landing === undefined) {
        this.#faults.nonsense(peer, 'more data than it has slots');
        return true;
      }
      const outcome = this.#copyTo(operation, landing.operand, message);
      if (outcome === 'fault') this.#retry(operation);
      else if (outcome === 'denied') this.#denied(operation);
      if (outcome !== 'copied') return outcome === 'denied';
    }
    const slice = engine.arrive(inbound);
    if (slice === undefined) this.#faults.nonsense(peer, `data beyond ${operation.describe()}`);
    else this.#init.observer.slice(operation, 'arrived', slice, peer);
    return true;
  }

  #copyFrom(operation: Operation, source: Operand, bytes: Uint8Array): RegionCopy {
    const { session } = this.#init;
    return copyFromRegion(session.domain, this.#region(operation, source, bytes.byteLength), bytes);
  }

  #copyTo(operation: Operation, target: Operand, bytes: Uint8Array): RegionCopy {
    const { session } = this.#init;
    return copyToRegion(session.domain, this.#region(operation, target, bytes.byteLength), bytes);
  }

  #region(operation: Operation, operand: Operand, length: number) {
    const mr = registrationOf(this.#init, operation, operand);
    return { kind: 'mr', mr, address: addressOf(this.#init, operation, operand), length } as const;
  }

  #retry(operation: Operation): void {
    this.#init.scheduler.after(PAGE_FAULT_RETRY_MS, () => {
      if (operation.state === 'running') this.resume(operation);
    });
  }

  #denied(operation: Operation): void {
    const what = `Storing a message of ${operation.describe()}`;
    this.#faults.fabric(what, this.#init.rank, 'FI_EACCES', '');
  }
}
