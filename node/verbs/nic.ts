/**
 * The network interface of a host: numbers and tables of everything that frames can name, and the
 * dispatch of what arrives. It stands between the transport, which knows no queue pair, and the queue
 * pairs, which know no socket. A frame that names nothing here, or comes from the wrong peer or epoch,
 * is refused and counted; nothing is stored and nothing is answered, as InfiniBand does it.
 */
import { assert } from '../../common/assert.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import type { FrameHeader, FrameType } from '../transport/frame.ts';
import type { FrameSink, SendOutcome, Transport } from '../transport/transport.ts';
import type { CmService } from './cm.ts';
import { CmServices } from './cm-services.ts';
import { type IbvContext, ibv_close_device } from './context.ts';
import type { MachineMemory } from './machine-memory.ts';
import type { IbvMr } from './mr.ts';
import type { IbvQp } from './qp.ts';
import type { DmaBufMode } from './region-memory.ts';

/** Why a frame was refused. */
export type FrameRefusal =
  | 'unknownQueuePair'
  | 'wrongPeer'
  | 'wrongEpoch'
  | 'wrongState'
  | 'malformed'
  | 'unknownService'
  | 'backlogFull';

/** What operators may want to see; `protocolError` means a connection was closed. */
export interface NicEvent {
  readonly kind: 'linkLost' | 'protocolError';
  readonly nodeId: string | undefined;
  readonly reason: string;
}

export interface NicInit {
  readonly transport: Transport;
  readonly scheduler: Scheduler;
  /** What becomes of dma-buf regions when their memory is taken back. Default `revocable`. */
  readonly dmaBufMode?: DmaBufMode | 'none';
  /** Absent: memory is not shared with other hosts of the machine. */
  readonly machine?: MachineMemory;
  onEvent?(event: NicEvent): void;
}

/** Frame types that end at the side which posted the work request. */
const ANSWERS: ReadonlySet<FrameType> = new Set(['ACK', 'NAK', 'READ_RESPONSE', 'ATOMIC_RESPONSE']);
/** Frame types that never have a payload. */
const BARE: ReadonlySet<FrameType> = new Set(['ACK', 'NAK', 'READ_REQUEST']);

/**
 * How long a link may take to read the memory of frames that it was handed, before it is broken so
 * that their memory can be let go.
 */
export const QUIESCE_MS = 1_000;

export class Nic implements FrameSink {
  readonly transport: Transport;
  readonly scheduler: Scheduler;
  readonly dmaBufMode: DmaBufMode | 'none';
  readonly machine: MachineMemory | undefined;
  readonly contexts = new Set<IbvContext>();
  readonly refused: Record<FrameRefusal, number> = {
    unknownQueuePair: 0,
    wrongPeer: 0,
    wrongEpoch: 0,
    wrongState: 0,
    malformed: 0,
    unknownService: 0,
    backlogFull: 0,
  };
  readonly #onEvent: (event: NicEvent) => void;
  readonly #regions = new Map<number, IbvMr>();
  readonly #queuePairs = new Map<number, IbvQp>();
  readonly #queuePairsByNode = new Map<string, Set<IbvQp>>();
  readonly #cm: CmServices;
  /** Every host that a queue pair was ever connected to: frames for it may still be under way. */
  readonly #peers = new Set<string>();
  #lastKey: number;
  #lastQpn: number;
  #portState: 'IBV_PORT_ACTIVE' | 'IBV_PORT_DOWN' = 'IBV_PORT_ACTIVE';

  constructor(init: NicInit) {
    this.transport = init.transport;
    this.scheduler = init.scheduler;
    this.dmaBufMode = init.dmaBufMode ?? 'revocable';
    this.machine = init.machine;
    this.#onEvent = (event) => init.onEvent?.(event);
    // Numbers start somewhere else on every host, so that one meant for another host misses here.
    const start = fnv1a(init.transport.nodeId);
    this.#lastKey = start;
    this.#lastQpn = start & 0xff_ffff;
    this.#cm = new CmServices((refusal) => {
      this.refused[refusal]++;
    });
    init.transport.attach(this);
  }

  /** Gives `region` the key that `make` is called with. Keys are never used again in a run. */
  addRegion(make: (key: number) => IbvMr): IbvMr {
    this.#lastKey = (this.#lastKey + 1) >>> 0;
    assert(!this.#regions.has(this.#lastKey), 'Expected fewer than 2^32 registrations in a run');
    const region = make(this.#lastKey);
    this.#regions.set(this.#lastKey, region);
    return region;
  }

  region(key: number): IbvMr | undefined {
    return this.#regions.get(key);
  }

  removeRegion(key: number): void {
    assert(this.#regions.delete(key), `Expected key ${key} to be registered`);
  }

  addQueuePair(make: (qpn: number) => IbvQp): IbvQp {
    this.#lastQpn = (this.#lastQpn + 1) >>> 0;
    const qp = make(this.#lastQpn);
    this.#queuePairs.set(this.#lastQpn, qp);
    return qp;
  }

  removeQueuePair(qp: IbvQp): void {
    assert(this.#queuePairs.delete(qp.qp_num), `Expected queue pair ${qp.qp_num} to be there`);
    this.unlinkQueuePair(qp);
  }

  /** From now on `qp` hears what happens to the link to `nodeId`. */
  linkQueuePair(qp: IbvQp, nodeId: string): void {
    this.#peers.add(nodeId);
    const linked = this.#queuePairsByNode.get(nodeId) ?? new Set();
    linked.add(qp);
    this.#queuePairsByNode.set(nodeId, linked);
  }

  unlinkQueuePair(qp: IbvQp): void {
    for (const [nodeId, linked] of this.#queuePairsByNode) {
      if (linked.delete(qp) && linked.size === 0) this.#queuePairsByNode.delete(nodeId);
    }
  }

  addService(make: (id: number) => CmService): CmService {
    return this.#cm.add(make);
  }

  removeService(id: number): void {
    this.#cm.remove(id);
  }

  get queuePairCount(): number {
    return this.#queuePairs.size;
  }

  get regionCount(): number {
    return this.#regions.size;
  }

  /** Destroys everything that is still open. The transport stays its owner's to close. */
  close(): void {
    for (const context of [...this.contexts]) ibv_close_device(context);
  }

  get portState(): 'IBV_PORT_ACTIVE' | 'IBV_PORT_DOWN' {
    return this.#portState;
  }

  /**
   * Takes the port down, or up again: while it is down frames vanish, both ways, and queue pairs find
   * out by their retries. Told to every context.
   */
  setPortState(state: 'IBV_PORT_ACTIVE' | 'IBV_PORT_DOWN'): void {
    if (state === this.#portState) return;
    this.#portState = state;
    const event_type = state === 'IBV_PORT_ACTIVE' ? 'IBV_EVENT_PORT_ACTIVE' : 'IBV_EVENT_PORT_ERR';
    for (const { asyncEvents } of this.contexts) {
      asyncEvents.push({ event_type, element: { port_num: 1 } });
    }
  }

  /** The device has failed: every queue pair goes to the error state, every context is told. */
  fail(): void {
    for (const context of this.contexts) {
      context.asyncEvents.push({ event_type: 'IBV_EVENT_DEVICE_FATAL', element: context });
    }
    for (const qp of [...this.#queuePairs.values()]) qp.fail('IBV_WC_WR_FLUSH_ERR');
  }

  /** As `Transport.send`. */
  transmit(nodeId: string, header: FrameHeader, payload: readonly Uint8Array[]): SendOutcome {
    if (this.#portState === 'IBV_PORT_DOWN') return 'queued';
    return this.transport.send(nodeId, header, payload);
  }

  /** As `Transport.reply`. */
  reply(nodeId: string, header: FrameHeader): void {
    if (this.#portState === 'IBV_PORT_ACTIVE') this.transport.reply(nodeId, header);
  }

  /** What the link to a host is made of; `undefined` while there is none. */
  linkKind(nodeId: string): ReturnType<Transport['linkKind']> {
    return this.transport.linkKind(nodeId);
  }

  /** No memory that frames were made from is still read by a link. */
  get isQuiet(): boolean {
    for (const nodeId of this.#peers) if (!this.transport.isQuiet(nodeId)) return false;
    return true;
  }

  /** Resolves when none of the frames made so far is still read from memory. In bounded time. */
  async quiesce(): Promise<void> {
    const busy = [...this.#peers].filter((nodeId) => !this.transport.isQuiet(nodeId));
    await Promise.all(busy.map((nodeId) => this.transport.quiesce(nodeId, QUIESCE_MS)));
  }

  place(nodeId: string, header: FrameHeader): readonly Uint8Array[] | null {
    if (this.#portState === 'IBV_PORT_DOWN') return null;
    if (header.type === 'CM') return this.#cm.place(nodeId, header);
    const qp = this.#admit(nodeId, header);
    if (qp === undefined) return null;
    if (BARE.has(header.type)) return this.#refuse('malformed');
    return ANSWERS.has(header.type) ? qp.requester.place(header) : qp.responder.place(header);
  }

  landed(nodeId: string, header: FrameHeader): void {
    if (this.#portState === 'IBV_PORT_DOWN') return;
    if (header.type === 'CM') {
      this.#cm.landed(nodeId, header);
      return;
    }
    const qp = this.#admit(nodeId, header);
    if (qp === undefined) return;
    if (ANSWERS.has(header.type)) qp.requester.landed(header);
    else qp.responder.landed(header);
  }

  linkUp(nodeId: string): void {
    // Services first: a peer must have heard of a queue pair before its frames come.
    this.#cm.linkUp(nodeId);
    for (const qp of this.#linked(nodeId)) qp.linkUp();
  }

  linkDown(nodeId: string): void {
    for (const qp of this.#linked(nodeId)) qp.linkDown();
  }

  linkLost(nodeId: string, reason: string): void {
    this.#onEvent({ kind: 'linkLost', nodeId, reason });
    this.#cm.linkLost(nodeId);
    for (const qp of this.#linked(nodeId)) qp.linkLost();
  }

  writable(nodeId: string): void {
    this.#cm.linkUp(nodeId);
    const linked = this.#queuePairsByNode.get(nodeId);
    for (const qp of this.#linked(nodeId)) {
      if (qp.writable()) continue;
      // It filled the link again: next time the others go first.
      linked?.delete(qp);
      linked?.add(qp);
      return;
    }
  }

  protocolError(nodeId: string | undefined, reason: string): void {
    this.#onEvent({ kind: 'protocolError', nodeId, reason });
  }

  #linked(nodeId: string): IbvQp[] {
    return [...(this.#queuePairsByNode.get(nodeId) ?? [])];
  }

  /** The queue pair that a frame is for, if the frame may come to it. */
  #admit(nodeId: string, header: FrameHeader): IbvQp | undefined {
    const qp = this.#queuePairs.get(header.destQpn);
    const refusal =
      qp === undefined
        ? 'unknownQueuePair'
        : qp.refusalOf(nodeId, header.sourceQpn, header.qpEpoch);
    if (refusal === undefined) return qp;
    this.refused[refusal]++;
    return undefined;
  }

  #refuse(refusal: FrameRefusal): null {
    this.refused[refusal]++;
    return null;
  }
}

/** One per host. Attaches to `transport`, which must not have a sink yet. */
export function createNic(init: NicInit): Nic {
  return new Nic(init);
}

/** Fowler, Noll and Vo's hash, 32 bit. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return hash;
}
