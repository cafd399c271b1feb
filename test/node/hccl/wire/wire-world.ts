/**
 * Ranks on wires in one thread, without the operating system: each has its own device memory with a control
 * page, a stage and two windows, and a pipe to every other rank. A rank that stops sleeps as its thread
 * would: until one of the wires can go on that it waits for.
 */
import type { Rank } from '../../../../collectives/schedule.ts';
import { flatTopology } from '../../../../collectives/topology.ts';
import { defined } from '../../../../common/assert.ts';
import { KiB, MiB } from '../../../../common/bytes.ts';
import { ranksOf } from '../../../../common/math.ts';
import type { Prng } from '../../../../common/prng.ts';
import {
  averageKernel,
  averageScalars,
  reduceKernel,
} from '../../../../node/device/kernels/element-kernels.ts';
import { loadKernels } from '../../../../node/device/kernels/kernels.ts';
import { CONTROL_PAGE_BYTES, ControlPage } from '../../../../node/hccl/program/control-page.ts';
import type { ProgramOperation } from '../../../../node/hccl/program/program-operation.ts';
import type { SharedBuffer } from '../../../../node/hccl/shared/shared-operation.ts';
import { WireMaker } from '../../../../node/hccl/wire/wire-maker.ts';
import { WireRank } from '../../../../node/hccl/wire/wire-rank.ts';
import { stageBytes } from '../../../../node/hccl/wire/wire-stage.ts';
import type { CallWorld } from '../shared/call-session.ts';
import {
  type CallPlace,
  callSizes,
  describeWorldCall,
  REDUCING,
  TYPE_BYTES,
  type WorldCall,
} from '../shared/world-call.ts';
import { FakeSockets, type Pipe, type Polled } from './fake-sockets.ts';

const PAGE = 64 * KiB;

export interface WireWorldInit {
  readonly nranks: number;
  readonly prng: Prng;
  /** Bytes that a wire holds. */
  readonly capacity?: number;
  /** Most bytes that one system call moves. */
  readonly most?: number;
  /** Of each of the two windows of a rank. */
  readonly windowBytes?: number;
}

/** A rank of it. */
export interface WireWorldRank {
  readonly rank: Rank;
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly place: WireRank;
  readonly maker: WireMaker;
  readonly control: ControlPage;
  readonly windows: readonly [number, number];
}

export class WireWorld implements CallWorld {
  readonly sockets: FakeSockets;
  readonly ranks: readonly WireWorldRank[];
  /** On the clock of all ranks. */
  now = 0;
  /** By source and destination. */
  readonly #fds: readonly (readonly number[])[];
  /** By rank: what it sleeps for; absent: it is awake. */
  readonly #sleeping = new Map<Rank, readonly Polled[]>();
  /** Ranks that sleep for what was ready when they fell asleep, and what had been moved by then. */
  readonly #expected = new Map<Rank, number>();

  constructor({ nranks, prng, capacity = 64 * KiB, most, windowBytes = 1 * MiB }: WireWorldInit) {
    this.sockets = new FakeSockets(() =>
      most === undefined ? Number.POSITIVE_INFINITY : 1 + prng.below(most),
    );
    this.#fds = ranksOf(nranks).map(() => ranksOf(nranks).map(() => this.sockets.open(capacity)));
    this.ranks = ranksOf(nranks).map((rank) => this.#rankOf(rank, nranks, windowBytes));
  }

  get nranks(): number {
    return this.ranks.length;
  }

  rank(rank: Rank): WireWorldRank {
    return defined(this.ranks[rank], 'a rank');
  }

  place(rank: Rank): CallPlace {
    return { rank, nranks: this.nranks, windows: this.rank(rank).windows };
  }

  bytesOf(rank: Rank): Uint8Array {
    return this.rank(rank).bytes;
  }

  /** The wire from one rank to another. */
  wire(source: Rank, destination: Rank): Pipe {
    return this.sockets.pipe(defined(this.#fds[source]?.[destination], 'a wire'));
  }

  /** The rank's process is gone: its wires end, or break. */
  kill(rank: Rank, how: 'ended' | 'broken' = 'ended'): void {
    for (const peer of ranksOf(this.nranks)) {
      this.wire(rank, peer).state = how;
      this.wire(peer, rank).state = 'broken';
    }
  }

  operation(
    call: WorldCall,
    rank: Rank,
    {
      input,
      output,
      sequence,
      text = describeWorldCall(call),
    }: { input: SharedBuffer; output: SharedBuffer; sequence: number; text?: string },
  ): ProgramOperation {
    const { mode, collective, algorithm, root, count, type, op } = call;
    const sizes = callSizes(call, this.place(rank));
    const isAverage = op === 'avg';
    const ready = this.rank(rank).maker.ready({
      ...{ mode, text, collective, algorithm, root, count, input, output },
      topology: flatTopology(this.nranks),
      elementBytes: TYPE_BYTES[type],
      inputBytes: sizes.input,
      outputBytes: sizes.output,
      reduceKernel: REDUCING.includes(collective) ? reduceKernel(op, type) : '',
      averageKernel: isAverage ? averageKernel(type) : '',
      averageScalars: isAverage ? averageScalars(type, this.nranks) : [],
    });
    return ready.operation(sequence);
  }

  isAwake(rank: Rank): boolean {
    const polled = this.#sleeping.get(rank);
    if (polled === undefined) return true;
    if (!polled.some((one) => this.sockets.isReady(one))) return false;
    this.#sleeping.delete(rank);
    return true;
  }

  /** The rank sleeps. Throws if it was woken by something with which it cannot go on. */
  stopped(rank: Rank): void {
    const { place } = this.rank(rank);
    const moved = this.#moved(rank);
    if (this.#expected.get(rank) === moved)
      throw new Error(`Rank ${rank} wakes for what it does not wait for`);
    this.#expected.delete(rank);
    place.aboutToSleep();
    place.sleep(100);
    place.awake();
    const isReady = this.#sleeping.get(rank)?.some((one) => this.sockets.isReady(one)) ?? false;
    if (isReady) this.#expected.set(rank, moved);
  }

  /** Bytes that a rank has received, and sent. */
  #moved(rank: Rank): number {
    return ranksOf(this.nranks).reduce((sum, peer) => {
      const out = this.wire(rank, peer);
      return sum + out.received + out.held + this.wire(peer, rank).received;
    }, 0);
  }

  #rankOf(rank: Rank, nranks: number, windowBytes: number): WireWorldRank {
    const stageOffset = PAGE + CONTROL_PAGE_BYTES;
    const first = stageOffset + Math.ceil(stageBytes(nranks) / PAGE) * PAGE;
    const pages = Math.ceil((first + 2 * windowBytes) / PAGE);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const shared = memory.buffer as unknown as SharedArrayBuffer;
    const control = new ControlPage(shared, PAGE);
    const fdOf = (source: Rank, destination: Rank) =>
      source === destination ? -1 : defined(this.#fds[source]?.[destination], 'a wire');
    const place = new WireRank({
      ...{ rank, nranks, memory: shared, kernels: loadKernels(memory), control, stageOffset },
      wait: {
        sleep: () => undefined,
        giveWay: () => undefined,
        wake: () => undefined,
        now: () => this.now,
      },
      sockets: this.sockets.on(shared, (polled) => this.#sleeping.set(rank, polled)),
      inbound: ranksOf(nranks).map((peer) => fdOf(peer, rank)),
      outbound: ranksOf(nranks).map((peer) => fdOf(rank, peer)),
    });
    const maker = new WireMaker(place, false);
    const windows = [first, first + windowBytes] as const;
    return { rank, memory, bytes: new Uint8Array(shared), place, maker, control, windows };
  }
}
