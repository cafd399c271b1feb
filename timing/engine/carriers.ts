/** What carries messages in the models that serve first come first. See docs/time-model.md for their sources. */
import type { Carriers } from './first-come-wires.ts';
import type { Instances, Plan } from './plan.ts';

/** Nanoseconds in a second. */
export const NANO = 1e9;
/** What a link's rate is to be multiplied by where GB is taken for 2^30 bytes. */
export const BINARY_GIGA = 2 ** 30 / 1e9;

/** Every link on its own: busy for floor(S/B), through after floor(latency + S/B), in nanoseconds. */
export function linksInTurn({ hops, links, connections }: Plan): Carriers {
  const rate = Float64Array.from(
    links.all,
    ({ link }) => (link.bytesPerSecond * BINARY_GIGA) / NANO,
  );
  const latency = Float64Array.from(links.all, ({ link }) => link.latencySeconds * NANO);
  const hopOf = new Int32Array(hops.links.length);
  for (let hop = 0; hop < hops.count; hop++) {
    hopOf.fill(hop, hops.firstLink[hop], hops.firstLink[hop + 1]);
  }
  const linkOf = (place: number): number => hops.links[place] as number;
  const firstOf = (connection: number): number =>
    hops.firstLink[connections.firstHop[connection] as number] as number;
  return {
    count: links.all.length,
    firstOf,
    endOf: (connection) => firstOf(connection + 1),
    unitOf: linkOf,
    busy: (place, bytes) => Math.floor(bytes / (rate[linkOf(place)] as number)),
    through: (place, bytes) => {
      const link = linkOf(place);
      return Math.floor((latency[link] as number) + bytes / (rate[link] as number));
    },
    hopOf: (place) => hopOf[place] as number,
    linkOf,
  };
}

/**
 * The sender's interface: a send costs o, the message is there o + (s-1)G + L + o after it began, and the next
 * one begins g + (s-1)G after it. o and g are the card's issue time, L the latency of the way, G the time of a
 * byte on its slowest link.
 */
export function interfaces(plan: Plan, overhead: Float64Array): Carriers {
  const { connections, hops } = plan;
  const latency = new Float64Array(connections.count);
  const perByte = new Float64Array(connections.count);
  const link = new Int32Array(connections.count);
  for (let hop = 0; hop < hops.count; hop++) {
    const connection = hops.connection[hop] as number;
    latency[connection] = (latency[connection] as number) + (hops.latencySeconds[hop] as number);
    const time = 1 / (hops.bytesPerSecond[hop] as number);
    if (time <= (perByte[connection] as number)) continue;
    perByte[connection] = time;
    link[connection] = hops.slowest[hop] as number;
  }
  const sourceOf = (connection: number): number => connections.source[connection] as number;
  const sending = (connection: number, bytes: number): number =>
    (overhead[sourceOf(connection)] as number) +
    Math.max(0, bytes - 1) * (perByte[connection] as number);
  return {
    count: plan.instances.count,
    firstOf: (connection) => connection,
    endOf: (connection) => connection + 1,
    unitOf: sourceOf,
    busy: sending,
    through: (connection, bytes) =>
      sending(connection, bytes) +
      (latency[connection] as number) +
      (overhead[connections.destination[connection] as number] as number),
    hopOf: (connection) => connections.firstHop[connection] as number,
    linkOf: (connection) => link[connection] as number,
  };
}

/** The instances in whole nanoseconds: what they issue takes floor(issue), and rates are per nanosecond. */
export function inNanoseconds(instances: Instances): Instances {
  const perNano = (rates: Float64Array): Float64Array => rates.map((rate) => rate / NANO);
  return {
    ...instances,
    issueSeconds: instances.issueSeconds.map((seconds) => Math.floor(seconds * NANO)),
    reduceBytesPerSecond: perNano(instances.reduceBytesPerSecond),
    copyBytesPerSecond: perNano(instances.copyBytesPerSecond),
  };
}
