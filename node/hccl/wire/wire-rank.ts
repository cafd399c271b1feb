/** One rank of a communicator with wires, as its operations see it: the ends of its wires, and who has left. */
import type { Rank } from '../../../collectives/schedule.ts';
import { defined } from '../../../common/assert.ts';
import type { KernelSet } from '../../device/kernels/kernels.ts';
import type { ControlPage } from '../program/control-page.ts';
import { type OperationTrace, operationTrace } from '../program/operation-trace.ts';
import { ProgramFault } from '../program/program-fault.ts';
import type { ProgramPlace } from '../program/program-operation.ts';
import type { ProgramWait } from '../program/program-wait.ts';
import { InboundWire } from './inbound-wire.ts';
import { OutboundWire } from './outbound-wire.ts';
import { type PollSet, type ProgramSockets, READABLE, WRITABLE } from './program-sockets.ts';
import { WireStage } from './wire-stage.ts';

/**
 * How long the end of a wire waits for somebody to say why: the coordinator hears of a host that is silent
 * within HEARTBEAT_TIMEOUT_MS, and its word is worth more than this rank's.
 */
export const WORD_MS = 5_000;

/**
 * It looks at its sockets every time, which costs more than to look at memory: nine in ten of 100 such calls gave the
 * core to nobody, and 16 took 0.97 of the time for long all-gathers of 8 ranks (docs/performance.md).
 */
const YIELDS = 16;

export interface WireRankInit {
  readonly rank: Rank;
  readonly nranks: number;
  readonly memory: SharedArrayBuffer;
  readonly kernels: KernelSet;
  readonly control: ControlPage;
  readonly wait: ProgramWait;
  readonly sockets: ProgramSockets;
  /** Of the stage in the device's memory. */
  readonly stageOffset: number;
  /** Descriptors by rank; what stands at this rank means nothing. */
  readonly inbound: readonly number[];
  readonly outbound: readonly number[];
}

export class WireRank implements ProgramPlace {
  readonly rank: Rank;
  readonly nranks: number;
  readonly yields = YIELDS;
  readonly kernels: KernelSet;
  readonly control: ControlPage;
  readonly wait: ProgramWait;
  readonly view: DataView;
  readonly stage: WireStage;
  readonly peers: readonly Rank[];
  /** The peer that is waited for; none: the operation under way can go on. */
  awaited: Rank | undefined;
  /** For a message of it, or for room to send it one. Room is waited for at every peer. */
  awaitedFor: 'message' | 'room' = 'message';
  readonly #init: WireRankInit;
  readonly #inbound: readonly InboundWire[];
  readonly #outbound: readonly OutboundWire[];
  readonly #poll: PollSet;
  /** When the wire that is waited for was found ended. */
  #endedAt: number | undefined;

  constructor(init: WireRankInit) {
    const { rank, nranks, memory, sockets, stageOffset } = init;
    this.#init = init;
    this.rank = rank;
    this.nranks = nranks;
    this.kernels = init.kernels;
    this.control = init.control;
    this.wait = init.wait;
    this.view = new DataView(memory);
    const stage = new WireStage(stageOffset, nranks);
    this.stage = stage;
    this.peers = init.inbound.flatMap((_, peer) => (peer === rank ? [] : [peer]));
    this.#inbound = init.inbound.map((fd, peer) => {
      return new InboundWire({ peer, sockets, memory, fd, area: stage.incoming(peer) });
    });
    this.#outbound = init.outbound.map((fd, peer) => {
      return new OutboundWire({ sockets, memory, fd, area: stage.outgoing(peer) });
    });
    this.#poll = sockets.pollSet(nranks + 1);
  }

  inbound(peer: Rank): InboundWire {
    return defined(this.#inbound[peer], 'the wire of a rank');
  }

  outbound(peer: Rank): OutboundWire {
    return defined(this.#outbound[peer], 'the wire to a rank');
  }

  traceOf(call: number): OperationTrace | undefined {
    return operationTrace(this.#init, call);
  }

  aboutToSleep(): void {
    // Whatever comes is still there when the sleep begins.
  }

  hasNews(): boolean {
    return this.#wait(0) > 0;
  }

  sleep(timeoutMs: number): void {
    this.#wait(timeoutMs);
  }

  /** How many of the wires that are waited for can go on. */
  #wait(timeoutMs: number): number {
    const { awaited } = this;
    if (awaited === undefined) return 1;
    let count = 0;
    if (this.awaitedFor === 'message' && !this.inbound(awaited).isEnded)
      this.#poll.set(count++, this.inbound(awaited).fd, READABLE);
    for (const peer of this.peers) {
      const wire = this.outbound(peer);
      if (wire.isBlocked && !wire.isBroken) this.#poll.set(count++, wire.fd, WRITABLE);
    }
    return this.#poll.wait(count, timeoutMs);
  }

  awake(): void {
    // Nobody was told that it sleeps.
  }

  pause(timeoutMs: number): void {
    this.#poll.wait(0, Math.ceil(timeoutMs));
  }

  /**
   * Called where a wire has to go on and does not. Throws a fault if that is because the peer has left, or if
   * the wire has ended for so long that nobody will say why.
   */
  expectThere(peer: Rank): void {
    const isGone = this.inbound(peer).isEnded || this.outbound(peer).isBroken;
    if (!isGone) {
      this.#endedAt = undefined;
      return;
    }
    if (this.control.lastProgress(peer) !== undefined)
      throw new ProgramFault({ kind: 'departed', peer });
    const now = this.wait.now();
    this.#endedAt ??= now;
    if (now - this.#endedAt > WORD_MS) throw new ProgramFault({ kind: 'lost', peer });
  }
}
