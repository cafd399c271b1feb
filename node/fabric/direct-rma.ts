/**
 * RMA of provider `p2p`: reads and writes of a peer of the same machine are copies, made here, between local
 * memory and a window of the peer's. What that cannot do goes over the link, with the checks and the
 * errors of the link: without a window, outside of it, where local memory does not allow it, or while
 * something is under way that may not be overtaken. No request ever waits for a window.
 *
 * A copy counts only if its window is open behind it. One that was closed meanwhile is done again over the link.
 */
import { MiB } from '../../common/bytes.ts';
import { gather, isGathered } from '../verbs/gather.ts';
import type { MachineMemory } from '../verbs/machine-memory.ts';
import type { IbvWcStatus } from '../verbs/wc.ts';
import { sgeLength } from '../verbs/work-request.ts';
import type { FiDomain } from './domain.ts';
import type { FiErrno } from './fabric.ts';
import type { Outbound } from './outbound.ts';
import { DATA, type OutgoingMessages } from './outgoing-messages.ts';
import { type PeerWindow, PeerWindows } from './peer-windows.ts';
import { SEND_DEPTH } from './queue-pair.ts';
import type { PlainWr, SendOperation } from './send-operation.ts';
import { noTraffic } from './traffic.ts';
import type { WindowGrant } from './window-message.ts';

/** Bytes that are copied in one turn of the event loop, a few ms; then others have theirs. */
export const COPY_BYTES_MAX = 16 * MiB;

export interface DirectRmaInit {
  readonly domain: FiDomain;
  readonly machine: MachineMemory;
  readonly nodeId: string;
  readonly outbound: Outbound;
  readonly messages: OutgoingMessages;
  /** Completions that may be passed on now. */
  room(): number;
  /** `progress` is worth calling, later. */
  onChange(): void;
}

/** A read or write that has begun. `tell`: the bytes are there, and the peer is to hear of them. */
interface Current {
  readonly operation: SendOperation;
  readonly wr: PlainWr;
  readonly length: number;
  done: number;
  stage: 'copy' | 'tell' | 'link';
}

export class DirectRma {
  readonly #init: DirectRmaInit;
  readonly #windows: PeerWindows;
  #current: Current | undefined;
  /** Those that have ended, and whose end nobody has been told. */
  readonly #ended: SendOperation[] = [];
  /** What was copied. */
  readonly traffic = noTraffic();

  constructor(init: DirectRmaInit) {
    this.#init = init;
    this.#windows = new PeerWindows(init.machine, init.nodeId);
  }

  /** Something has begun and not ended: nothing may be posted behind it. */
  get isBusy(): boolean {
    return this.#current !== undefined;
  }

  /** As `isBusy`, or somebody has yet to be told of an end. */
  get isIdle(): boolean {
    return this.#current === undefined && this.#ended.length === 0;
  }

  /** Windows of the peer that are mapped. */
  get windowCount(): number {
    return this.#windows.count;
  }

  /** `link`: it is not for here. FI_EAGAIN: nothing has happened. Nothing may be under way (`isBusy`). */
  post(operation: SendOperation): 'link' | FiErrno | undefined {
    const [wr] = operation.requests;
    if (wr === undefined || !isCopy(wr)) return 'link';
    const length = sgeLength(wr.sg_list);
    const { outbound } = this.#init;
    const window = length === 0 ? undefined : this.#windowFor(wr, length);
    if (window === undefined || !outbound.isClear) return 'link';
    if (this.#ended.length >= SEND_DEPTH) return outbound.turnAway();
    this.#current = { operation, wr, length, done: 0, stage: 'copy' };
    this.#advance();
    return undefined;
  }

  /** Asks the peer for a window on a region, unless it has been asked. */
  want(key: number): void {
    if (!this.#windows.ask(key)) return;
    const error = this.#init.messages.control({ kind: 'WINDOW_WANTED', data: key }, DATA);
    if (error !== undefined) this.#windows.notAsked(key);
  }

  answered(key: number, grant: WindowGrant | undefined): void {
    this.#windows.answered(key, grant);
  }

  /** The peer has started anew, and may know of no question. */
  peerRestarted(): void {
    this.#windows.peerRestarted();
  }

  /** Goes on, and tells of ends, as far as there is room. */
  progress(): void {
    if (this.#current !== undefined && this.#current.stage !== 'copy') this.#advance();
    let isTold = false;
    while (this.#ended.length > 0 && this.#init.room() > 0) {
      this.#ended.shift()?.ended('IBV_WC_SUCCESS');
      isTold = true;
    }
    if (isTold) this.#init.outbound.wakeTurnedAway();
  }

  /** What has not ended ends like this. */
  fail(status: IbvWcStatus): void {
    for (const operation of this.#ended.splice(0)) operation.ended('IBV_WC_SUCCESS');
    const operation = this.#current?.operation;
    this.#current = undefined;
    operation?.ended(status);
  }

  /** Operations vanish; no memory of the peer's is in reach. */
  close(): void {
    this.#current = undefined;
    this.#ended.length = 0;
    this.#windows.close();
  }

  #windowFor({ remote_addr = 0, rkey = 0 }: PlainWr, length: number): PeerWindow | undefined {
    const window = this.#windows.find(rkey);
    if (window === undefined) this.want(rkey);
    return window?.covers(remote_addr, length) ? window : undefined;
  }

  #advance(): void {
    const current = this.#current;
    if (current?.stage === 'copy') this.#copyNext(current);
    if (current?.stage === 'tell') this.#tell(current);
    if (current?.stage === 'link') this.#postOnLink(current);
  }

  /** A part now; the rest in turns of their own. */
  #copyNext(current: Current): void {
    if (!this.#copyPart(current)) {
      current.stage = 'link';
    } else if (current.done === current.length) {
      this.#count(current);
      if (current.wr.opcode === 'IBV_WR_RDMA_WRITE_WITH_IMM') current.stage = 'tell';
      else this.#end(current);
    } else {
      this.#init.domain.nic.scheduler.after(0, () => {
        if (this.#current === current) this.#advance();
      });
    }
  }

  /** False: it has to be done over the link, from the start. */
  #copyPart(current: Current): boolean {
    const { wr, length, done: offset } = current;
    const count = Math.min(COPY_BYTES_MAX, length - offset);
    const isRead = wr.opcode === 'IBV_WR_RDMA_READ';
    const right = isRead ? 'IBV_ACCESS_LOCAL_WRITE' : undefined;
    const local = gather(this.#init.domain.pd, wr.sg_list, { offset, length: count, right });
    const window = this.#windowFor(wr, length);
    if (window === undefined || !isGathered(local)) return false;
    let remote = (wr.remote_addr ?? 0) + offset;
    for (const view of local) {
      const bytes = window.bytes(remote, view.byteLength);
      if (isRead) view.set(bytes);
      else bytes.set(view);
      remote += view.byteLength;
    }
    current.done += count;
    return window.isOpen;
  }

  #tell(current: Current): void {
    const { operation, wr, length } = current;
    const message = { kind: 'WRITTEN', data: wr.imm_data ?? 0, length } as const;
    const ended = (status: IbvWcStatus) => operation.ended(status);
    const error = this.#init.messages.control(message, { ...DATA, ended });
    if (error === 'FI_EAGAIN') return;
    this.#current = undefined;
    if (error !== undefined) operation.ended(this.#failure);
    this.#init.outbound.wakeTurnedAway();
  }

  #postOnLink(current: Current): void {
    const { outbound } = this.#init;
    const error = outbound.post(current.operation);
    if (error === 'FI_EAGAIN') return;
    this.#current = undefined;
    if (error !== undefined) current.operation.ended(this.#failure);
    outbound.wakeTurnedAway();
  }

  get #failure(): IbvWcStatus {
    return this.#init.outbound.failure?.status ?? 'IBV_WC_LOC_QP_OP_ERR';
  }

  #end({ operation }: Current): void {
    this.#current = undefined;
    this.#ended.push(operation);
    this.#init.onChange();
    this.#init.outbound.wakeTurnedAway();
  }

  #count({ wr, length }: Current): void {
    if (wr.opcode === 'IBV_WR_RDMA_READ') this.traffic.rmaBytesReceived += length;
    else this.traffic.rmaBytesSent += length;
  }
}

function isCopy({ opcode }: PlainWr): boolean {
  return (
    opcode === 'IBV_WR_RDMA_READ' ||
    opcode === 'IBV_WR_RDMA_WRITE' ||
    opcode === 'IBV_WR_RDMA_WRITE_WITH_IMM'
  );
}
