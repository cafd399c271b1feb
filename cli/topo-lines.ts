/** What `hlsim topo` prints of a topology. */
import type { Network, Parameter } from '../timing/network.ts';
import { cutsOf } from '../timing/topology/cuts.ts';
import { formatRate, formatTime } from '../timing/topology/quantities.ts';
import type { LinkSummary, TopologySummary } from '../timing/topology/summary.ts';
import { renderTable } from './table.ts';
import { counted } from './wording.ts';

/** Longer texts are cut in the table of parameters; --json has them whole. */
const SOURCE_LENGTH_MAX = 90;

const SYMMETRY_WORDS: Readonly<Record<Network['symmetry'], string>> = {
  ranks: 'all cards are alike',
  cards: 'all boxes are alike, and all cards in a box',
  boxes: 'all boxes are alike, but not the cards in a box',
  none: 'no two cards are known to be alike',
};

/** One line: what it is, and how many of everything. */
export function verdictLine(summary: TopologySummary, network: Network): string {
  const boxes = summary.boxes.reduce((sum, { count }) => sum + count, 0);
  return [
    `${summary.name}: ${counted(network.nranks, 'card')} in ${counted(boxes, 'box', 'boxes')}`,
    `${counted(network.linkCount, 'link')} (each direction one)`,
    SYMMETRY_WORDS[network.symmetry],
    statusWords(summary.parameters),
  ].join('; ');
}

export function topologyLines(summary: TopologySummary, network: Network): string[] {
  const { description } = summary;
  return [
    verdictLine(summary, network),
    ...(description === undefined ? [] : [description]),
    '',
    boxTable(summary),
    '',
    linkTable(summary.links),
    ...switchLines(summary),
    '',
    ...cutLines(network),
    '',
    parameterTable(summary.parameters, network),
    '* is not needed by any route: it has no part in predictions unless messages go another way.',
  ];
}

/** Everything, for machines. */
export function topologyJson(summary: TopologySummary, network: Network): object {
  const used = new Set(network.parameters.map(({ name }) => name));
  return {
    ...summary,
    parameters: summary.parameters.map((one) => ({ ...one, used: used.has(one.name) })),
    ranks: network.nranks,
    topology: network.topology,
    linkCount: network.linkCount,
    symmetry: network.symmetry,
  };
}

function statusWords(parameters: readonly Parameter[]): string {
  const words = (['published', 'derived', 'assumed'] as const).flatMap((status) => {
    const count = parameters.filter((parameter) => parameter.status === status).length;
    return count === 0 ? [] : [`${count} ${status}`];
  });
  return `${counted(parameters.length, 'parameter')}: ${words.join(', ')}`;
}

function boxTable({ boxes }: TopologySummary): string {
  const rows = boxes.map(({ kind, count, cards }) => {
    const words = cards.map((some) => `${some.count} ${some.kind}`).join(', ');
    return [kind, `${count}`, words];
  });
  return renderTable(['BOX', 'COUNT', 'CARDS EACH'], rows);
}

function linkTable(links: readonly LinkSummary[]): string {
  const rows = links.map((link) => [
    link.kind,
    link.box ?? '(outside)',
    `${link.from} - ${link.to}`,
    `${link.count}`,
    `${link.ports}`,
    `${formatRate(link.bytesPerSecond)}${DUPLEX_WORDS[link.duplex]}`,
    formatTime(link.latencySeconds),
  ]);
  return renderTable(['LINK', 'IN', 'JOINS', 'COUNT', 'CABLES EACH', 'RATE', 'LATENCY'], rows);
}

const DUPLEX_WORDS = { full: ' each way', half: ' for both ways', none: ' one way' } as const;

function switchLines({ switches }: TopologySummary): string[] {
  return switches.map(({ name, count, taper }) => {
    const limit =
      taper === undefined ? 'does not block' : `passes ${Number((100 * taper).toPrecision(4))} %`;
    return `${count === 1 ? 'Switch' : `${count} switches`} ${name}: ${limit}`;
  });
}

/** What all messages of a card, and of a box, have to go through. */
function cutLines(network: Network): string[] {
  const seen = new Set<string>();
  const lines: string[] = [];
  for (const { direction, what, bytesPerSecond } of cutsOf(network).groups) {
    const scope = `${direction} ${what.includes('/')}`;
    if (seen.has(scope)) continue;
    seen.add(scope);
    const words = direction === 'out' ? 'out of' : 'into';
    lines.push(`At most ${formatRate(bytesPerSecond)} ${words} ${what}`);
  }
  return lines;
}

function parameterTable(parameters: readonly Parameter[], network: Network): string {
  const used = new Set(network.parameters.map(({ name }) => name));
  const rows = parameters.map(({ name, text, status, source }) => [
    used.has(name) ? name : `${name}*`,
    text,
    status,
    source.length <= SOURCE_LENGTH_MAX ? source : `${source.slice(0, SOURCE_LENGTH_MAX - 1)}…`,
  ]);
  return renderTable(['PARAMETER', 'VALUE', 'STATUS', 'SOURCE'], rows);
}
