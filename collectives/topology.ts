/** Who sits in which box: `boxes` hosts with `ranksPerBox` devices each, ranks numbered box by box. */
import { assert } from '../common/assert.ts';

export interface Topology {
  readonly boxes: number;
  readonly ranksPerBox: number;
}

/** `nranks` boxes of one rank each. */
export function flatTopology(nranks: number): Topology {
  return { boxes: nranks, ranksPerBox: 1 };
}

export function ranksIn(topology: Topology): number {
  return topology.boxes * topology.ranksPerBox;
}

export function boxOf(topology: Topology, rank: number): number {
  assert(
    rank >= 0 && rank < ranksIn(topology),
    `Expected a rank below ${ranksIn(topology)} but found ${rank}`,
  );
  return Math.floor(rank / topology.ranksPerBox);
}
