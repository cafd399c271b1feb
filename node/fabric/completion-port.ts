/**
 * Where one endpoint's completions go: the completion queues and counters that are bound to it
 * (fi_endpoint(3), fi_ep_bind). Counters count every operation; a queue that was bound with
 * FI_SELECTIVE_COMPLETION gets entries only of those that ask. Errors always make an entry.
 */
import type { CounterEvent, FiCntr } from './cntr.ts';
import type { CqUser, FiCq } from './completion-queue.ts';
import type { FiAddr, FiCompletionFlag, FiCompletionKind, FiErrno } from './fabric.ts';
import type { Outcome } from './outcome.ts';

export type Direction = 'transmit' | 'receive';

/** `fi_ep_bind` of a queue: what completes there. */
export type CqBindFlag = 'FI_TRANSMIT' | 'FI_RECV' | 'FI_SELECTIVE_COMPLETION';

/** What an operation is, for its completion. Whoever makes one names its fields in this order: all have one shape. */
export interface Completing {
  readonly kind: FiCompletionKind;
  /** A tagged message. */
  readonly isTagged: boolean;
  readonly context: unknown;
  readonly peer: FiAddr;
  /** An entry is wanted if it goes well. */
  readonly isReported: boolean;
  /** 0 for sends. */
  readonly length: number;
  /** Of a receive; else 0. */
  readonly tag: bigint;
  /** Immediate data, if it came with some. */
  readonly data: number | undefined;
  /** Bytes that did not fit. */
  readonly olen: number;
}

interface Bound {
  readonly cq: FiCq;
  readonly isSelective: boolean;
}

interface KindTraits {
  readonly direction: Direction;
  /** What counts it. */
  readonly event: CounterEvent;
  /** Its flags: plain, tagged, with data, both. */
  readonly flagSets: readonly (readonly FiCompletionFlag[])[];
}

const KINDS: Readonly<Record<FiCompletionKind, KindTraits>> = {
  send: traits('transmit', 'FI_SEND', 'FI_MSG'),
  recv: traits('receive', 'FI_RECV', 'FI_MSG'),
  write: traits('transmit', 'FI_WRITE', 'FI_RMA'),
  read: traits('transmit', 'FI_READ', 'FI_RMA'),
  atomic: traits('transmit', 'FI_WRITE', 'FI_ATOMIC'),
  fetchAtomic: traits('transmit', 'FI_READ', 'FI_ATOMIC'),
  remoteWriteData: traits('receive', 'FI_REMOTE_WRITE', 'FI_RMA'),
};

function traits(
  direction: Direction,
  event: CounterEvent & FiCompletionFlag,
  family: FiCompletionFlag,
): KindTraits {
  const plain: FiCompletionFlag[] = [event, family];
  const tagged: FiCompletionFlag[] = [event, 'FI_TAGGED'];
  const withData: FiCompletionFlag[] = [...plain, 'FI_REMOTE_CQ_DATA'];
  const flagSets = [plain, tagged, withData, [...tagged, 'FI_REMOTE_CQ_DATA'] as const];
  return { direction, event, flagSets };
}

export class CompletionPort {
  readonly #user: CqUser;
  readonly #isManaged: boolean;
  readonly #queues: Partial<Record<Direction, Bound>> = {};
  readonly #counters = new Map<CounterEvent, FiCntr>();

  /** `isManaged`: endpoints wait for room in the queue rather than overrun it. */
  constructor(user: CqUser, isManaged: boolean) {
    this.#user = user;
    this.#isManaged = isManaged;
  }

  /** FI_EBADFLAGS: neither direction. FI_EOPBADSTATE: bound already. */
  bindCq(cq: FiCq, flags: readonly CqBindFlag[]): FiErrno | undefined {
    const bound = { cq, isSelective: flags.includes('FI_SELECTIVE_COMPLETION') };
    const { transmit, receive } = this.#queues;
    const [sends, receives] = [flags.includes('FI_TRANSMIT'), flags.includes('FI_RECV')];
    if (!sends && !receives) return 'FI_EBADFLAGS';
    if ((sends && transmit !== undefined) || (receives && receive !== undefined)) {
      return 'FI_EOPBADSTATE';
    }
    if (sends) this.#queues.transmit = bound;
    if (receives) this.#queues.receive = bound;
    cq.users.add(this.#user);
    return undefined;
  }

  /** FI_EBADFLAGS: no event. FI_EOPBADSTATE: one of them is counted already. */
  bindCounter(counter: FiCntr, events: readonly CounterEvent[]): FiErrno | undefined {
    if (events.length === 0) return 'FI_EBADFLAGS';
    if (events.some((event) => this.#counters.has(event))) return 'FI_EOPBADSTATE';
    for (const event of events) this.#counters.set(event, counter);
    counter.users.add(this.#user);
    return undefined;
  }

  get isComplete(): boolean {
    return this.#queues.transmit !== undefined && this.#queues.receive !== undefined;
  }

  /** Whether operations of this direction that say nothing are left out. */
  isSelective(direction: Direction): boolean {
    return this.#queues[direction]?.isSelective ?? false;
  }

  /** Entries that the queue may be brought now. */
  room(direction: Direction): number {
    const bound = this.#queues[direction];
    if (bound === undefined) return 0;
    return this.#isManaged ? bound.cq.room : Number.POSITIVE_INFINITY;
  }

  complete(completing: Completing, outcome: Outcome): void {
    const { kind, isTagged, context, peer, isReported, length, tag, data, olen } = completing;
    const { direction, event, flagSets } = KINDS[kind];
    const flags = flagSets[(isTagged ? 1 : 0) + (data === undefined ? 0 : 2)] ?? [];
    const counter = this.#counters.get(event);
    const cq = this.#queues[direction]?.cq;
    if (!this.#isManaged && cq?.room === 0) cq.overrun();
    if (outcome !== undefined) {
      counter?.countError();
      const { err, prov_errno } = outcome;
      cq?.pushError(this.#user, { kind, flags, context, err, prov_errno, olen, tag, peer });
      return;
    }
    counter?.count();
    if (!isReported) return;
    const entry = { kind, flags, context, length, tag, data: data ?? 0, source: peer };
    cq?.push(this.#user, entry);
  }

  /** The endpoint is gone: so is everything of it that nobody has read. */
  close(): void {
    for (const bound of Object.values(this.#queues)) {
      bound.cq.purge(this.#user);
      bound.cq.users.delete(this.#user);
    }
    for (const counter of this.#counters.values()) counter.users.delete(this.#user);
  }
}
