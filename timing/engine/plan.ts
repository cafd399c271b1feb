/**
 * What is simulated: the ranks that stand for all, the connections between them, and the links below. A message
 * to a rank that is not simulated is one to the rank that stands for it.
 */

import type { Rank } from '../../collectives/schedule.ts';
import { assert, defined } from '../../common/assert.ts';
import type { Network } from '../network.ts';
import { FloatList, IntList } from './number-lists.ts';
import type { Renumbering } from './renumbering.ts';
import { NONE, type TemplateConnection, type Templates } from './templates.ts';
import { UsedLinks } from './used-links.ts';

/** A hop is a segment of the route of a connection. All numbers of links are those of `UsedLinks`. */
export interface Plan {
  readonly templates: Templates;
  readonly network: Network;
  /** Of the simulated ranks. */
  readonly instances: Instances;
  readonly connections: Connections;
  readonly hops: Hops;
  readonly links: UsedLinks;
  /** How many cores there are of those that simulated ranks share. */
  readonly cores: readonly number[];
  /** Which ranks are alike: of each class one is simulated. */
  readonly simulated: Renumbering;
}

/** By instance: a simulated rank. */
export interface Instances {
  readonly count: number;
  readonly rank: Int32Array;
  readonly template: Int32Array;
  /** Its first connection: they are in the order of the template's outgoing ones. */
  readonly firstConnection: Int32Array;
  readonly issueSeconds: Float64Array;
  readonly reduceBytesPerSecond: Float64Array;
  readonly copyBytesPerSecond: Float64Array;
  /** Index in `Plan.cores`, or `NONE`; and what a turn of the thread takes. */
  readonly cores: Int32Array;
  readonly turnSeconds: Float64Array;
}

/** By connection from a simulated rank. */
export interface Connections {
  readonly count: number;
  readonly source: Int32Array;
  /** The rank it goes to, and the instance that stands for it. */
  readonly destinationRank: Int32Array;
  readonly destination: Int32Array;
  /** The template's numbers of it at both ends. */
  readonly outgoing: Int32Array;
  readonly incoming: Int32Array;
  /** Its hops, in a row; one more than connections. */
  readonly firstHop: Int32Array;
}

/** By hop. */
export interface Hops {
  readonly count: number;
  readonly connection: Int32Array;
  readonly latencySeconds: Float64Array;
  /** Rate of its slowest link. */
  readonly bytesPerSecond: Float64Array;
  /** The slowest link. */
  readonly slowest: Int32Array;
  /** 1 if no other connection uses any of its links. */
  readonly isPrivate: Uint8Array;
  /** Its links; one more than hops. */
  readonly firstLink: Int32Array;
  readonly links: Int32Array;
}

interface PlanOptions {
  readonly templates: Templates;
  /** Ranks that share a template. */
  readonly programs: Renumbering;
  readonly network: Network;
  /** Ranks that are not simulated on their own. A part of `programs`. */
  readonly simulated: Renumbering;
}

export function planOf(options: PlanOptions): Plan {
  const { templates, network, simulated } = options;
  const templateOf = templatesByRank(templates);
  const { counts: cores, ...instances } = instancesOf(options, templateOf);
  const links = new UsedLinks(network, simulated);
  const ends = connectionsOf(options, instances, templateOf);
  const { firstHop, ...hops } = hopsOf(network, links, instances, ends);
  const connections = { ...ends, firstHop };
  countUses(templates, links, connections, hops);
  return { templates, network, instances, connections, hops, links, cores, simulated };
}

/** By rank of a template: its number. */
function templatesByRank({ templates }: Templates): ReadonlyMap<Rank, number> {
  return new Map(templates.map(({ rank }, number) => [rank, number]));
}

function instancesOf(
  { templates, programs, network, simulated }: PlanOptions,
  templateOf: ReadonlyMap<Rank, number>,
): Instances & { readonly counts: readonly number[] } {
  const ranks: Rank[] = [];
  for (let rank = 0; rank < network.nranks; rank++) {
    if (simulated.representative(rank) === rank) ranks.push(rank);
  }
  const template = Int32Array.from(ranks, (rank) =>
    defined(templateOf.get(programs.representative(rank)), `template of rank ${rank}`),
  );
  const firstConnection = new Int32Array(ranks.length + 1);
  for (let instance = 0; instance < ranks.length; instance++) {
    const { firstOutgoing, endOutgoing } = defined(
      templates.templates[template[instance] as number],
      'template',
    );
    firstConnection[instance + 1] =
      (firstConnection[instance] as number) + endOutgoing - firstOutgoing;
  }
  const cards = ranks.map((rank) => network.card(rank));
  const cores = new Map(
    cards.flatMap(({ host }) => (host === undefined ? [] : [[host.cores, host.count] as const])),
  );
  const names = [...cores.keys()];
  return {
    count: ranks.length,
    rank: Int32Array.from(ranks),
    template,
    firstConnection,
    issueSeconds: Float64Array.from(cards, (card) => card.issueSeconds),
    reduceBytesPerSecond: Float64Array.from(cards, (card) => card.reduceBytesPerSecond),
    copyBytesPerSecond: Float64Array.from(cards, (card) => card.copyBytesPerSecond),
    cores: Int32Array.from(cards, ({ host }) =>
      host === undefined ? NONE : names.indexOf(host.cores),
    ),
    turnSeconds: Float64Array.from(cards, ({ host }) => host?.turnSeconds ?? 0),
    counts: [...cores.values()],
  };
}

function connectionsOf(
  options: PlanOptions,
  instances: Instances,
  templateOf: ReadonlyMap<Rank, number>,
): Omit<Connections, 'firstHop'> {
  const { templates, programs, simulated, network } = options;
  const matches = matchesOf(options, templateOf);
  const count = instances.firstConnection[instances.count] as number;
  const [source, destinationRank] = [new Int32Array(count), new Int32Array(count)];
  const [destination, outgoing] = [new Int32Array(count), new Int32Array(count)];
  const incoming = new Int32Array(count);
  const instanceOf = new Int32Array(network.nranks);
  for (let instance = 0; instance < instances.count; instance++) {
    instanceOf[instances.rank[instance] as number] = instance;
  }
  let connection = 0;
  for (let instance = 0; instance < instances.count; instance++) {
    const template = defined(templates.templates[instances.template[instance] as number], 'it');
    const element = programs.elementOf(instances.rank[instance] as number);
    for (let out = template.firstOutgoing; out < template.endOutgoing; out++) {
      const { peer } = templates.outgoing[out] as TemplateConnection;
      const rank = programs.apply(element, peer);
      source[connection] = instance;
      destinationRank[connection] = rank;
      destination[connection] = instanceOf[simulated.representative(rank)] as number;
      outgoing[connection] = out;
      incoming[connection] = matches[out] as number;
      connection++;
    }
  }
  return { count, source, destinationRank, destination, outgoing, incoming };
}

/** By outgoing connection of the templates: what it is to the template of the rank that it goes to. */
function matchesOf(
  { templates, programs }: PlanOptions,
  templateOf: ReadonlyMap<Rank, number>,
): Int32Array {
  const matches = new Int32Array(templates.outgoing.length);
  const incoming = templates.templates.map(({ firstIncoming, endIncoming }) => {
    const numbers = new Map<string, number>();
    for (let number = firstIncoming; number < endIncoming; number++) {
      const { peer, lane } = templates.incoming[number] as TemplateConnection;
      numbers.set(`${peer} ${lane}`, number);
    }
    return numbers;
  });
  for (const { rank, firstOutgoing, endOutgoing } of templates.templates) {
    for (let number = firstOutgoing; number < endOutgoing; number++) {
      const { peer, lane, messages } = templates.outgoing[number] as TemplateConnection;
      const back = programs.inverse(programs.elementOf(peer));
      const target = defined(templateOf.get(programs.representative(peer)), `rank ${peer}`);
      const match = defined(
        incoming[target]?.get(`${programs.apply(back, rank)} ${lane}`),
        `the other end of the connection from ${rank} to ${peer}`,
      );
      assert(
        templates.incoming[match]?.messages === messages,
        `Expected rank ${peer} to take ${messages} messages of rank ${rank}`,
      );
      matches[number] = match;
    }
  }
  return matches;
}

function hopsOf(
  network: Network,
  used: UsedLinks,
  instances: Instances,
  connections: Omit<Connections, 'firstHop'>,
): Hops & { readonly firstHop: Int32Array } {
  const connection = new IntList();
  const [latency, rate] = [new FloatList(), new FloatList()];
  const [slowest, firstLink, links] = [new IntList(), new IntList(), new IntList()];
  const firstHop = new Int32Array(connections.count + 1);
  for (let number = 0; number < connections.count; number++) {
    const source = instances.rank[connections.source[number] as number] as number;
    const route = network.route(source, connections.destinationRank[number] as number);
    for (const segment of route) {
      let [seconds, slowestRate, slowestLink] = [0, Number.POSITIVE_INFINITY, 0];
      firstLink.push(links.length);
      for (const link of segment.links) {
        const index = used.indexOf(link);
        const { bytesPerSecond, latencySeconds } = used.at(index).link;
        links.push(index);
        seconds += latencySeconds;
        if (bytesPerSecond >= slowestRate) continue;
        slowestRate = bytesPerSecond;
        slowestLink = index;
      }
      connection.push(number);
      latency.push(seconds);
      rate.push(slowestRate);
      slowest.push(slowestLink);
    }
    firstHop[number + 1] = connection.length;
  }
  firstLink.push(links.length);
  return {
    count: connection.length,
    connection: connection.items(),
    latencySeconds: latency.items(),
    bytesPerSecond: rate.items(),
    slowest: slowest.items(),
    isPrivate: new Uint8Array(connection.length),
    firstLink: firstLink.items(),
    links: links.items(),
    firstHop,
  };
}

/** Counts who uses the links, and sees from that which hops nobody else has anything to do with. */
function countUses(
  templates: Templates,
  used: UsedLinks,
  { outgoing }: Connections,
  { count, connection, firstLink, links, isPrivate }: Hops,
): void {
  for (let hop = 0; hop < count; hop++) {
    const { bytes } = templates.outgoing[
      outgoing[connection[hop] as number] as number
    ] as TemplateConnection;
    for (let at = firstLink[hop] as number; at < (firstLink[hop + 1] as number); at++) {
      const link = used.at(links[at] as number);
      link.connections += link.weight;
      link.bytes += bytes * link.weight;
    }
  }
  for (let hop = 0; hop < count; hop++) {
    isPrivate[hop] = 1;
    for (let at = firstLink[hop] as number; at < (firstLink[hop + 1] as number); at++) {
      if (used.at(links[at] as number).connections > 1) isPrivate[hop] = 0;
    }
  }
}
