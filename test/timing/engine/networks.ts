/** Small networks of the kinds that matter to the engine: who shares what with whom. */
import type { Topology } from '../../../collectives/topology.ts';
import type { Card, Link, Network, NetworkSymmetry, Route } from '../../../timing/network.ts';

export interface TestNetworkOptions {
  readonly boxes?: number;
  readonly ranksPerBox?: number;
  /** Applied to the links' rates, by name. */
  readonly rate?: (name: string, bytesPerSecond: number) => number;
  readonly latency?: (name: string, seconds: number) => number;
  readonly card?: Partial<Card>;
  readonly symmetry?: NetworkSymmetry;
}

interface Draft {
  readonly links: Link[];
  readonly topology: Topology;
  add(link: Link): number;
}

const CARD: Card = {
  name: '',
  issueSeconds: 1.3e-6,
  reduceBytesPerSecond: 1.1e12,
  copyBytesPerSecond: 0.9e12,
};
const GB = 1e9;
const MICRO = 1e-6;

function draft({ boxes = 1, ranksPerBox = 1, rate, latency }: TestNetworkOptions): Draft {
  const links: Link[] = [];
  return {
    links,
    topology: { boxes, ranksPerBox },
    add: (link) =>
      links.push({
        ...link,
        bytesPerSecond: rate?.(link.name, link.bytesPerSecond) ?? link.bytesPerSecond,
        latencySeconds: latency?.(link.name, link.latencySeconds) ?? link.latencySeconds,
      }) - 1,
  };
}

function finish(
  { links, topology }: Draft,
  name: string,
  { card, symmetry }: TestNetworkOptions,
  natural: NetworkSymmetry,
  route: (src: number, dst: number) => Route,
): Network {
  return {
    name,
    nranks: topology.boxes * topology.ranksPerBox,
    topology,
    linkCount: links.length,
    symmetry: symmetry ?? natural,
    parameters: [],
    link: (link) => {
      const found = links[link];
      if (found === undefined) throw new Error(`No link ${link}`);
      return found;
    },
    route,
    card: (rank) => ({ ...CARD, name: `card${rank}`, ...card }),
  };
}

/** Cards with a port each way to a switch that blocks nothing. */
export function flatNetwork(nranks: number, options: TestNetworkOptions = {}): Network {
  const made = draft({ ...options, boxes: nranks, ranksPerBox: 1 });
  const [up, down] = (['up', 'down'] as const).map((role) =>
    Array.from({ length: nranks }, (_, rank) =>
      made.add({
        name: `card${rank}/${role}`,
        kind: 'scaleOut',
        role,
        place: { at: 'card', rank },
        bytesPerSecond: 25 * GB,
        latencySeconds: 0.7 * MICRO,
      }),
    ),
  ) as [number[], number[]];
  return finish(made, `flat ${nranks}`, options, 'ranks', (src, dst) => [
    { links: [up[src] as number, down[dst] as number] },
  ]);
}

/** Boxes of a full mesh; between boxes by whatever `across` makes. */
function meshBoxes(
  name: string,
  options: TestNetworkOptions,
  natural: NetworkSymmetry,
  across: (made: Draft) => (src: number, dst: number) => Route,
): Network {
  const made = draft(options);
  const { boxes, ranksPerBox } = made.topology;
  const nranks = boxes * ranksPerBox;
  const mesh = new Map<number, number>();
  for (let from = 0; from < nranks; from++) {
    const first = from - (from % ranksPerBox);
    for (let to = first; to < first + ranksPerBox; to++) {
      if (from === to) continue;
      const link = made.add({
        name: `card${from}>card${to}`,
        kind: 'scaleUp',
        role: '',
        place: { at: 'pair', from, to },
        bytesPerSecond: 37.5 * GB,
        latencySeconds: 0.9 * MICRO,
      });
      mesh.set(from * nranks + to, link);
    }
  }
  const outside = across(made);
  return finish(made, name, options, natural, (src, dst) => {
    const link = mesh.get(src * nranks + dst);
    return link === undefined ? outside(src, dst) : [{ links: [link] }];
  });
}

function perCard(made: Draft, kind: string, gigabytes: number, micros: number) {
  const nranks = made.topology.boxes * made.topology.ranksPerBox;
  return (role: 'up' | 'down'): number[] =>
    Array.from({ length: nranks }, (_, rank) =>
      made.add({
        name: `card${rank}/${kind}/${role}`,
        kind,
        role,
        place: { at: 'card', rank },
        bytesPerSecond: gigabytes * GB,
        latencySeconds: micros * MICRO,
      }),
    );
}

function perBox(made: Draft, kind: string, gigabytes: number, micros: number) {
  return (role: 'up' | 'down'): number[] =>
    Array.from({ length: made.topology.boxes }, (_, box) =>
      made.add({
        name: `box${box}/${kind}/${role}`,
        kind,
        role,
        place: { at: 'box', box },
        bytesPerSecond: gigabytes * GB,
        latencySeconds: micros * MICRO,
      }),
    );
}

/** Every card has a port of its own to the other boxes. */
export function portBoxes(options: TestNetworkOptions): Network {
  return meshBoxes('ports', options, 'cards', (made) => {
    const port = perCard(made, 'scaleOut', 36.9, 2.1);
    const [up, down] = [port('up'), port('down')];
    return (src, dst) => [{ links: [up[src] as number, down[dst] as number] }];
  });
}

/** The cards of a box share its host's NIC, and messages are stored in host memory at both ends. */
export function hostBoxes(options: TestNetworkOptions): Network {
  const ranksPerBox = options.ranksPerBox ?? 1;
  return meshBoxes('host NICs', options, 'cards', (made) => {
    const pcie = perCard(made, 'pcie', 13.3, 1.7);
    const nic = perBox(made, 'hostNic', 12.1, 3.3);
    const [out, into, up, down] = [pcie('up'), pcie('down'), nic('up'), nic('down')];
    const box = (rank: number): number => Math.floor(rank / ranksPerBox);
    return (src, dst) => [
      { links: [out[src] as number] },
      { links: [up[box(src)] as number, down[box(dst)] as number] },
      { links: [into[dst] as number] },
    ];
  });
}

/** A spine that is too thin for all ports at once. */
export function taperedBoxes(options: TestNetworkOptions): Network {
  return meshBoxes('tapered', options, 'cards', (made) => {
    const port = perCard(made, 'scaleOut', 36.9, 2.1);
    const [up, down] = [port('up'), port('down')];
    const { boxes, ranksPerBox } = made.topology;
    const spine = made.add({
      name: 'spine',
      kind: 'spine',
      role: '',
      place: { at: 'network' },
      bytesPerSecond: (36.9 * GB * boxes * ranksPerBox) / 3.7,
      latencySeconds: 0.3 * MICRO,
    });
    return (src, dst) => [{ links: [up[src] as number, spine, down[dst] as number] }];
  });
}
