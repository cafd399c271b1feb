/** Which ranks of a communicator sit in one box, for schedules that have two levels. */
import { flatTopology, type Topology } from '../../collectives/topology.ts';

/**
 * Boxes of equal size with consecutive ranks, by the host of each rank; if the communicator is not made
 * like that, every rank has a box of its own.
 */
export function topologyOf(hostOfRank: readonly string[]): Topology {
  const nranks = hostOfRank.length;
  const next = hostOfRank.findIndex((host) => host !== hostOfRank[0]);
  const ranksPerBox = next < 0 ? nranks : next;
  const boxes = nranks / ranksPerBox;
  const firsts = new Set(hostOfRank.filter((_, rank) => rank % ranksPerBox === 0));
  const isRegular = hostOfRank.every(
    (host, rank) => host === hostOfRank[rank - (rank % ranksPerBox)],
  );
  if (!Number.isInteger(boxes) || firsts.size !== boxes || !isRegular) return flatTopology(nranks);
  return { boxes, ranksPerBox };
}
