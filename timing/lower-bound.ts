/**
 * The least time that any algorithm can take on a network, to print beside every prediction.
 *
 * It holds for the model `flow` (and for real boxes, as far as the network is right), by these arguments:
 *
 * - **Bandwidth of a cut.** At least b bytes must leave a group of ranks (`topology/traffic.ts`), over links that
 *   carry c bytes a second together (`topology/cuts.ts`): their flows take b/c or more, as links share nothing
 *   but their own rate. The first of these flows can begin only after a step was issued; the last one's message
 *   is there only after the latency of its route, whose least is taken, and the step that receives it is issued
 *   after that. All this comes one after the other, so it is added.
 * - **Work of all cuts together.** In the same way for all messages between cards, or between boxes: at least w
 *   bytes in all, over links that carry no more than c together.
 * - **Reduction.** n contributions to an element need n - 1 reductions, on n cards: all their reduction units are
 *   busy for the whole work by their whole rate, or longer. Every reduction takes something that was received,
 *   so it begins no earlier than a first message can be there.
 *
 * The greatest of all is the bound. Nothing is said of how many messages must follow each other: one may be
 * enough for every collective, if every rank sends to all others at once.
 */

import type { Network } from './network.ts';
import { type Cuts, cutsOf } from './topology/cuts.ts';
import { formatRate } from './topology/quantities.ts';
import { type CollectiveCall, type Traffic, trafficOf } from './topology/traffic.ts';

export interface LowerBound {
  readonly seconds: number;
  /** What decides: `out of box0/card0 at 262.5 GB/s`. */
  readonly cut: string;
  /** Of `seconds`, what does not depend on the size. */
  readonly latencySeconds: number;
  /** The rest. */
  readonly bandwidthSeconds: number;
}

const NOTHING: LowerBound = {
  seconds: 0,
  cut: 'nothing has to move',
  latencySeconds: 0,
  bandwidthSeconds: 0,
};

/** `call.nranks` is `network.nranks`. `custom` promises nothing, so its bound is 0. */
export function lowerBound(call: CollectiveCall, network: Network): LowerBound {
  if (call.collective === 'custom' || network.nranks < 2) return NOTHING;
  const traffic = trafficOf(call);
  const cuts = cutsOf(network);
  let best = NOTHING;
  for (const bound of bounds(traffic, cuts)) if (bound.seconds > best.seconds) best = bound;
  return best;
}

function* bounds(traffic: Traffic, cuts: Cuts): Generator<LowerBound> {
  // One step is issued to send, and one, later, to receive.
  const issues = 2 * cuts.issueSeconds;
  const rated = (
    what: string,
    bytes: number,
    cut: { readonly latencySeconds: number; readonly bytesPerSecond: number },
  ): LowerBound => {
    if (bytes === 0 && !traffic.isBarrier) return NOTHING;
    const latencySeconds = issues + cut.latencySeconds;
    const bandwidthSeconds = bytes / cut.bytesPerSecond;
    const seconds = latencySeconds + bandwidthSeconds;
    const text = `${what} at ${formatRate(cut.bytesPerSecond)}`;
    return { seconds, cut: text, latencySeconds, bandwidthSeconds };
  };
  for (const cut of cuts.groups) {
    const move = traffic[cut.direction];
    let bytes = 0;
    for (const group of cut.groups) bytes = Math.max(bytes, move(group));
    yield rated(`${cut.direction === 'out' ? 'out of' : 'into'} ${cut.what}`, bytes, cut);
  }
  for (const cut of cuts.partitions) {
    yield rated(`between ${cut.what}`, traffic.between(cut.groups), cut);
  }
  const bytesPerSecond = cuts.reduceBytesPerSecond;
  const latencySeconds = Math.min(
    Number.MAX_VALUE,
    ...cuts.partitions.map((cut) => cut.latencySeconds),
  );
  if (cuts.partitions.length === 0) return;
  yield rated('reduction on all cards', traffic.reduced, { bytesPerSecond, latencySeconds });
}
