/**
 * Ranks on shared memory in one thread, without the operating system: all of them work on one memory, in
 * which each has its mailbox, its control page and its buffers, and peers' windows are where the peers'
 * buffers are. What a rank does is what it does in a program's thread; who goes on is the test's choice.
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
import { type KernelSet, loadKernels } from '../../../../node/device/kernels/kernels.ts';
import { CONTROL_PAGE_BYTES, ControlPage } from '../../../../node/hccl/program/control-page.ts';
import { ProgramFault } from '../../../../node/hccl/program/program-fault.ts';
import { MAILBOX_BYTES, Mailbox } from '../../../../node/hccl/shared/mailbox.ts';
import { PullOperation } from '../../../../node/hccl/shared/pull-operation.ts';
import { planOf } from '../../../../node/hccl/shared/shared-offer.ts';
import type {
  SharedBuffer,
  SharedOperation,
} from '../../../../node/hccl/shared/shared-operation.ts';
import { SharedRank } from '../../../../node/hccl/shared/shared-rank.ts';
import { SmallOperation, type SmallRule } from '../../../../node/hccl/shared/small-operation.ts';
import {
  type CallPlace,
  callBuffers,
  callSizes,
  describeWorldCall,
  TYPE_BYTES,
  type WorldCall,
} from './world-call.ts';

const WINDOW_BYTES = 1 * MiB;
const RANK_BYTES = 2 * WINDOW_BYTES + MAILBOX_BYTES + CONTROL_PAGE_BYTES;
const PAGE = 64 * KiB;

/** A rank of it. */
export interface WorldRank {
  readonly rank: Rank;
  readonly place: SharedRank;
  readonly control: ControlPage;
  readonly mailbox: Mailbox;
  /** Where its two windows are; their numbers are 1 and 2. */
  readonly windows: readonly [number, number];
}

export class SharedWorld {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly ranks: readonly WorldRank[];
  /** Mailboxes that were rung. */
  readonly woken: number[] = [];
  readonly #kernels: KernelSet;

  constructor(nranks: number) {
    const pages = Math.ceil((nranks * RANK_BYTES) / PAGE) + 1;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: 65_536, shared: true });
    const buffer = this.memory.buffer as unknown as SharedArrayBuffer;
    this.bytes = new Uint8Array(buffer);
    this.#kernels = loadKernels(this.memory);
    const startOf = (rank: Rank) => PAGE + rank * RANK_BYTES;
    const mailboxes = ranksOf(nranks).map((rank) => new Mailbox(buffer, startOf(rank)));
    for (const mailbox of mailboxes) mailbox.initialise();
    this.ranks = ranksOf(nranks).map((rank) => {
      const control = new ControlPage(buffer, startOf(rank) + MAILBOX_BYTES);
      const first = startOf(rank) + MAILBOX_BYTES + CONTROL_PAGE_BYTES;
      const place = new SharedRank({
        rank,
        memory: buffer,
        kernels: this.#kernels,
        control,
        // A rank has objects of its own for the mailboxes, as in its own process.
        mailboxes: ranksOf(nranks).map((one) => new Mailbox(buffer, startOf(one))),
        wait: {
          sleep: () => undefined,
          giveWay: () => undefined,
          wake: (at) => void this.woken.push(at),
          now: () => 0,
        },
      });
      const mailbox = defined(mailboxes[rank], 'a mailbox');
      return { rank, place, control, mailbox, windows: [first, first + WINDOW_BYTES] as const };
    });
    for (const { control, rank } of this.ranks) {
      for (const peer of this.ranks.filter((one) => one.rank !== rank)) {
        for (const [index, offset] of peer.windows.entries())
          control.addWindow({ rank: peer.rank, id: index + 1, offset, bytes: WINDOW_BYTES });
      }
    }
  }

  get nranks(): number {
    return this.ranks.length;
  }

  rank(rank: Rank): WorldRank {
    return defined(this.ranks[rank], 'a rank');
  }

  /** As `callSizes`. */
  sizes(call: WorldCall, rank: Rank): ReturnType<typeof callSizes> {
    return callSizes(call, { rank, nranks: this.nranks });
  }

  /** As `callBuffers`. */
  buffers(call: WorldCall, rank: Rank, shift: number): ReturnType<typeof callBuffers> {
    return callBuffers(call, this.place(rank), shift);
  }

  place(rank: Rank): CallPlace {
    return { rank, nranks: this.nranks, windows: this.rank(rank).windows };
  }

  /** The memory of a rank's device: they have one together. */
  bytesOf(): Uint8Array {
    return this.bytes;
  }

  /** The operation of one rank, as its program's thread makes it. */
  operation(
    call: WorldCall,
    rank: Rank,
    {
      input,
      output,
      sequence,
      text = describeWorldCall(call),
    }: {
      input: SharedBuffer;
      output: SharedBuffer;
      sequence: number;
      text?: string;
    },
  ): SharedOperation {
    const { place } = this.rank(rank);
    const elementBytes = TYPE_BYTES[call.type];
    const isAverage = call.op === 'avg';
    const kernels = this.#kernels as Readonly<Record<string, KernelSet[keyof KernelSet]>>;
    const reduce = kernels[reduceKernel(call.op, call.type)];
    const sizes = this.sizes(call, rank);
    const divide = isAverage ? kernels[averageKernel(call.type)] : undefined;
    const finish =
      divide &&
      ((at: number): void => {
        const scalars = averageScalars(call.type, this.nranks);
        divide(at, at, sizes.output / elementBytes, ...scalars);
      });
    const common = { digest: digestOf(text), text, input, output, elementBytes, reduce, finish };
    if (call.mode === 'small') {
      const operandBytes = call.collective === 'broadcast' ? sizes.output : sizes.input;
      const rule = this.#rule(call, rank, sizes.output);
      return new SmallOperation(place, { ...common, rule, operandBytes }, sequence);
    }
    const { collective, algorithm, root, count } = call;
    const topology = flatTopology(this.nranks);
    const choice = { collective, algorithm, root, count, elementBytes, topology };
    const plan = defined(planOf(choice, rank), 'a plan');
    return new PullOperation(place, { ...common, plan }, sequence);
  }

  #rule({ collective, root }: WorldCall, rank: Rank, bytes: number): SmallRule {
    if (collective === 'allGather') return { kind: 'gather' };
    if (collective === 'broadcast') return { kind: 'copy', root };
    return { kind: 'reduce', offset: collective === 'reduceScatter' ? rank * bytes : 0, bytes };
  }
}

function digestOf(text: string): number {
  let hash = 7;
  for (const letter of text) hash = (Math.imul(hash, 31) + letter.charCodeAt(0)) >>> 0;
  return hash;
}

/**
 * Goes on with operations, each rank's own, in random turns until every one has ended or failed: what each
 * has come to. `undefined`: those left cannot go on.
 */
export function drive(
  operations: ReadonlyMap<Rank, SharedOperation>,
  prng: Prng,
  until: (ended: ReadonlyMap<Rank, 'ended' | ProgramFault>) => boolean = () => false,
): ReadonlyMap<Rank, 'ended' | ProgramFault> {
  const outcomes = new Map<Rank, 'ended' | ProgramFault>();
  let idle = 0;
  while (outcomes.size < operations.size && !until(outcomes) && idle < 200) {
    const left = [...operations.keys()].filter((rank) => !outcomes.has(rank));
    const rank = left[prng.below(left.length)] as Rank;
    try {
      if (defined(operations.get(rank), 'an operation').advance()) outcomes.set(rank, 'ended');
      else idle++;
    } catch (reason) {
      if (!(reason instanceof ProgramFault)) throw reason;
      outcomes.set(rank, reason);
    }
    if (outcomes.has(rank)) idle = 0;
  }
  return outcomes;
}
