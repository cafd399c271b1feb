/**
 * An operation of one rank on its wires. It never waits itself: `advance` sends and receives what it can, and
 * says for whom it waits.
 */
import type { Rank } from '../../../collectives/schedule.ts';
import type { OperationTrace } from '../program/operation-trace.ts';
import type { ProgramOperation } from '../program/program-operation.ts';
import type { DataFrame } from './wire-frames.ts';
import type { WireRank } from './wire-rank.ts';

/** A call that all ranks make alike, but for their buffers. */
export interface WireCall {
  /** Equal on all ranks exactly if the calls are. */
  readonly digest: number;
  /** The call in words, for messages. */
  readonly text: string;
  /** Collective and algorithm, and the bytes of the output, for traces. */
  readonly name: string;
  readonly outputBytes: number;
  /** Offsets in the device's memory. */
  readonly input: number;
  readonly output: number;
}

export abstract class WireOperation implements ProgramOperation {
  readonly sequence: number;
  deadline: number | undefined;
  protected readonly place: WireRank;
  /** The message that is sent or received now. */
  protected readonly frame: DataFrame;
  protected trace: OperationTrace | undefined;
  readonly #call: WireCall;
  #state: 'new' | 'started' = 'new';

  constructor(place: WireRank, call: WireCall, sequence: number) {
    this.place = place;
    this.#call = call;
    this.sequence = sequence;
    this.frame = { sequence: sequence >>> 0, digest: call.digest, index: 0, bytes: 0 };
  }

  get text(): string {
    return this.#call.text;
  }

  get waitingFor(): Rank | undefined {
    return this.place.awaited;
  }

  advance(): boolean {
    if (this.#state === 'new') {
      this.#state = 'started';
      this.trace = this.place.traceOf(this.sequence);
      this.start();
    }
    const isOver = this.run();
    if (this.trace !== undefined) this.#noteDown(this.trace, isOver);
    return isOver;
  }

  /** Before anything is sent or received. */
  protected abstract start(): void;
  /** Goes as far as it can; true at the end. */
  protected abstract run(): boolean;

  /** A message of the peer is waited for; throws a fault if the peer has gone. */
  protected awaitsMessage(peer: Rank): false {
    return this.#awaits(peer, 'message');
  }

  /** As `awaitsMessage`, of room to send the peer something. */
  protected awaitsRoom(peer: Rank): false {
    return this.#awaits(peer, 'room');
  }

  /** It could go on, and lets others look first whether it may. */
  protected pauses(): false {
    this.place.awaited = undefined;
    return false;
  }

  #awaits(peer: Rank, what: 'message' | 'room'): false {
    this.place.awaited = peer;
    this.place.awaitedFor = what;
    this.place.expectThere(peer);
    return false;
  }

  #noteDown(trace: OperationTrace, isOver: boolean): void {
    const { name, outputBytes } = this.#call;
    const { awaited } = this.place;
    if (isOver) trace.ended(name, outputBytes);
    else if (awaited !== undefined) trace.waitsFor(awaited);
  }
}
