/**
 * Deals the steps of one rank to thread blocks, each of which sends to one rank and receives from one,
 * where a channel of ours may have many peers. The thread blocks of a channel share its lane.
 *
 * A step that receives from one peer and sends to another needs a thread block with both. Where several
 * such pairs have a peer in common, the pair with most steps gets it; the steps of the others become
 * two, one that receives and stores and one that sends.
 */
import { defined } from '../../common/assert.ts';
import { type Step, type StepKind, sends } from '../program.ts';
import type { Place, Rank } from '../schedule.ts';

/** A step of a rank's program, with where it was. */
export interface ChannelStep {
  readonly channel: number;
  readonly lane: number;
  readonly step: Step;
}

/** A step and the thread block that does it. */
export interface DealtStep {
  readonly block: number;
  readonly step: Step;
}

export interface Block {
  readonly channel: number;
  readonly lane: number;
  /** -1: none. */
  send: Rank;
  recv: Rank;
}

/** Gives scratch for data that was passed on without being stored: `count` chunks like those there. */
export type TakeScratch = (like: Place, count: number) => Place;

const NONE = -1;

/** `steps` in an order in which they may run one by one; so are those that come back. */
export function dealToThreadBlocks(
  steps: readonly ChannelStep[],
  takeScratch: TakeScratch,
): { readonly blocks: readonly Block[]; readonly steps: readonly DealtStep[] } {
  const dealer = new Dealer(takeScratch);
  dealer.pairPeers(steps);
  const dealt = steps.flatMap((step) => dealer.deal(step));
  return { blocks: dealer.blocks, steps: dealt };
}

class Dealer {
  readonly blocks: Block[] = [];
  readonly #takeScratch: TakeScratch;
  /** Where the latest step of each channel went: local ones follow it. */
  readonly #latest = new Map<number, number>();

  constructor(takeScratch: TakeScratch) {
    this.#takeScratch = takeScratch;
  }

  /** Makes a thread block of every pair of peers that steps receive from and send to, while they last. */
  pairPeers(steps: readonly ChannelStep[]): void {
    const pairs = new Map<string, { readonly first: ChannelStep; uses: number }>();
    for (const ordered of steps) {
      const { recvFrom, sendTo } = ordered.step;
      if (recvFrom === undefined || sendTo === undefined) continue;
      const key = `${ordered.channel} ${recvFrom} ${sendTo}`;
      const pair = pairs.get(key) ?? { first: ordered, uses: 0 };
      pair.uses++;
      pairs.set(key, pair);
    }
    for (const { first } of [...pairs.values()].sort((a, b) => b.uses - a.uses)) {
      const { channel, lane, step } = first;
      const [recv, send] = [step.recvFrom ?? NONE, step.sendTo ?? NONE];
      if (this.#find(channel, 'recv', recv) >= 0 || this.#find(channel, 'send', send) >= 0)
        continue;
      this.blocks.push({ channel, lane, send, recv });
    }
  }

  deal(ordered: ChannelStep): DealtStep[] {
    const { channel, step } = ordered;
    const { recvFrom, sendTo } = step;
    if (recvFrom === undefined || sendTo === undefined) {
      return [this.#placed(ordered, this.#blockFor(ordered))];
    }
    const receiving = this.#find(channel, 'recv', recvFrom);
    if (receiving >= 0 && receiving === this.#find(channel, 'send', sendTo)) {
      return [this.#placed(ordered, receiving)];
    }
    return this.#apart(step).flatMap((part) => this.deal({ ...ordered, step: part }));
  }

  #placed({ channel, step }: ChannelStep, block: number): DealtStep {
    this.#latest.set(channel, block);
    return { block, step };
  }

  /** The thread block of a step that has at most one peer. */
  #blockFor({ channel, lane, step }: ChannelStep): number {
    const { recvFrom, sendTo } = step;
    const peer = recvFrom ?? sendTo;
    if (peer === undefined) return this.#latest.get(channel) ?? this.#add(channel, lane, {});
    const end = sends(step.kind) ? 'send' : 'recv';
    const found = this.#find(channel, end, peer);
    if (found >= 0) return found;
    // The two directions of one pair of ranks share a thread block.
    const other = this.#find(channel, end === 'send' ? 'recv' : 'send', peer);
    const block = this.blocks[other];
    if (block === undefined || block[end] !== NONE)
      return this.#add(channel, lane, { [end]: peer });
    block[end] = peer;
    return other;
  }

  #find(channel: number, end: 'send' | 'recv', peer: Rank): number {
    return this.blocks.findIndex((block) => block.channel === channel && block[end] === peer);
  }

  #add(channel: number, lane: number, ends: { send?: Rank; recv?: Rank }): number {
    this.blocks.push({ channel, lane, send: NONE, recv: NONE, ...ends });
    return this.blocks.length - 1;
  }

  /** A step that receives and sends, as one that receives and stores and one that sends that. */
  #apart(step: Step): [Step, Step] {
    const { kind, count, recvFrom, sendTo, landing, src, dst, depends } = step;
    const stored = dst ?? this.#takeScratch(defined(src, `src of ${kind}`), count);
    const [peer, target] = [defined(recvFrom, 'recvFrom'), defined(sendTo, 'sendTo')];
    const receive: StepKind = kind === 'recvCopySend' ? 'recv' : 'recvReduceCopy';
    const operand = src === undefined ? {} : { src };
    return [
      { kind: receive, count, recvFrom: peer, ...operand, dst: stored, depends },
      {
        kind: 'send',
        count,
        sendTo: target,
        landing: defined(landing, `landing of ${kind}`),
        src: stored,
        depends: [],
      },
    ];
  }
}
