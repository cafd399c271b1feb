/**
 * A topology as an SVG picture: boxes with their cards, links coloured by their kind, switches, rates. Of many
 * boxes a few are shown. The picture stands by itself: no font, script or style from elsewhere.
 */

import { escapeXml } from '../../collectives/picture-style.ts';
import { defined } from '../../common/assert.ts';
import { type HowMany, kindsOfBoxes } from './box-kinds.ts';
import type { LinkSpec, TopologyFile } from './file.ts';
import { Layout, linkRate, type OuterEnd } from './layout.ts';
import {
  arcHeight,
  CARD_HEIGHT,
  CARD_WIDTH,
  type DrawnBox,
  type DrawnSwitch,
  HEADER_HEIGHT,
  type PictureLayout,
  pictureLayout,
  type Spot,
  SWITCH_HEIGHT,
} from './picture-layout.ts';
import { LINK_LOOKS, TOPOLOGY_STYLE } from './picture-style.ts';
import { formatRate, formatTime } from './quantities.ts';
import { type Members, membersOf } from './ranks.ts';
import { type LinkSummary, summaryOf, type TopologySummary } from './summary.ts';
import { ParameterValues } from './values.ts';

const MARGIN = 28;
const STROKE_LEAST = 1.2;
const STROKE_MOST = 4.5;

/** @throws HlsimError `HLSIM_TOPOLOGY_IMPOSSIBLE`, as `networkOf`, but for missing routes */
export function drawTopology(file: TopologyFile, options: HowMany = {}): string {
  return new TopologyPicture(file, options).svg();
}

class TopologyPicture {
  readonly #layout: Layout;
  readonly #members: Members;
  readonly #values: ParameterValues;
  readonly #summary: TopologySummary;
  readonly #at: PictureLayout;
  readonly #kinds: readonly string[];
  readonly #widest: number;

  constructor(file: TopologyFile, options: HowMany) {
    this.#layout = new Layout(file, kindsOfBoxes(file, options));
    this.#members = membersOf(this.#layout, options.cards);
    this.#values = new ParameterValues(file, {});
    this.#summary = summaryOf(file, options);
    const { links } = this.#summary;
    this.#kinds = [...new Set(links.map(({ kind }) => kind))];
    this.#widest = Math.max(1, ...links.map(({ bytesPerSecond }) => bytesPerSecond));
    this.#at = pictureLayout(this.#layout, links.length + 1);
  }

  svg(): string {
    const { width, height, boxes } = this.#at;
    const { name, cards } = this.#summary;
    const count = this.#layout.boxes;
    const title = escapeXml(`${name}: ${cards} cards in ${count} ${count === 1 ? 'box' : 'boxes'}`);
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
      `<title>${title}</title>`,
      `<style>${TOPOLOGY_STYLE}</style>`,
      `<rect class="ground" width="${width}" height="${height}"/>`,
      `<text class="title" x="${MARGIN}" y="${MARGIN + 12}">${title}</text>`,
      ...this.#description(),
      ...this.#switchLinks(),
      ...boxes.map((box) => boxFrame(box, this.#layout)),
      ...boxes.flatMap((box) => this.#outwardLinks(box)),
      ...boxes.flatMap((box) => [...this.#innerLinks(box), ...this.#nodes(box)]),
      ...this.#boxToBoxLinks(),
      ...this.#more(),
      ...this.#switches(),
      ...this.#legend(),
      '</svg>',
      '',
    ].join('\n');
  }

  #description(): string[] {
    const { description } = this.#summary;
    if (description === undefined) return [];
    const most = Math.floor((this.#at.width - 2 * MARGIN) / 7.3);
    const text = description.length > most ? `${description.slice(0, most - 1)}…` : description;
    return [
      `<text class="label" x="${MARGIN}" y="${HEADER_HEIGHT - 26}">${escapeXml(text)}</text>`,
    ];
  }

  /** Class and width of a line. */
  #look(spec: LinkSpec): string {
    const index = this.#kinds.indexOf(spec.kind) % LINK_LOOKS.length;
    const share = Math.sqrt(linkRate(spec, this.#values) / this.#widest);
    const width = STROKE_LEAST + (STROKE_MOST - STROKE_LEAST) * share;
    return `class="link link${index}" stroke-width="${width.toFixed(2)}"`;
  }

  #line(spec: LinkSpec, path: string, words: string): string {
    return `<g><title>${escapeXml(words)}</title><path ${this.#look(spec)} d="${path}"/></g>`;
  }

  /** Cables between cards as arcs above them, other links as straight lines. */
  #innerLinks({ box, nodes }: DrawnBox): string[] {
    const template = this.#layout.template(box);
    const cards = [...nodes.keys()].filter((node) => node < template.cards.length);
    const drawn = new Set<string>();
    return template.links.flatMap(({ spec, from, to, name }) => {
      if (from.at !== 'node' || to.at !== 'node') return [];
      const [a, b] = [nodes.get(from.node), nodes.get(to.node)];
      const pair = [from.node, to.node].sort((x, y) => x - y).join(' ');
      if (a === undefined || b === undefined || drawn.has(`${spec.kind} ${pair}`)) return [];
      drawn.add(`${spec.kind} ${pair}`);
      const span = Math.abs(cards.indexOf(from.node) - cards.indexOf(to.node));
      const areCards = Math.max(from.node, to.node) < template.cards.length;
      const path = areCards ? arc(a, b, arcHeight(span)) : straight(a, b);
      return [this.#line(spec, path, `${name}: ${this.#words(spec)}`)];
    });
  }

  #words(spec: LinkSpec): string {
    return `${spec.kind}, ${formatRate(linkRate(spec, this.#values))}, ${formatTime(this.#values.time(spec.latency))}`;
  }

  /** One line for all of a box's links of one kind to one switch. */
  #outwardLinks(drawn: DrawnBox): string[] {
    const bundles = new Map<
      string,
      { spec: LinkSpec; number: number; count: number; xs: number[] }
    >();
    for (const { spec, from, to } of this.#layout.template(drawn.box).links) {
      const [outer, inner] = from.at === 'switch' ? [from, to] : [to, from];
      if (outer.at !== 'switch' || inner.at !== 'node') continue;
      if (from.at === 'switch' && spec.duplex === 'full') continue;
      const number = this.#layout.switchOf(outer, drawn.box);
      const key = `${spec.kind} ${spec.from} ${number}`;
      const bundle = bundles.get(key) ?? { spec, number, count: 0, xs: [] };
      bundle.count += 1;
      const spot = drawn.nodes.get(inner.node);
      if (spot !== undefined) bundle.xs.push(spot.x);
      bundles.set(key, bundle);
    }
    const some = [...bundles.values()].filter(({ number }) => this.#at.switches.has(number));
    return some.flatMap(({ spec, number, count, xs }, index) => {
      const to = defined(this.#at.switches.get(number), 'a switch');
      const x = xs.length === 0 ? drawn.left + drawn.width / 2 : mean(xs);
      const spread = some.length > 1 ? (index - (some.length - 1) / 2) * 14 : 0;
      const from = { x: x + spread, y: to.isBelow ? drawn.top + drawn.height : drawn.top };
      const end = { x: nearest(to, from.x), y: to.y + (to.isBelow ? -1 : 1) * (SWITCH_HEIGHT / 2) };
      const line = this.#line(spec, straight(from, end), `${count} x ${this.#words(spec)}`);
      // Of many lines beside each other only the first one says what they are.
      if (some.length > 3 && index > 0) return [line];
      const rate = formatRate(linkRate(spec, this.#values));
      return [
        line,
        label(
          between(from, end, 0.3 + 0.2 * (index % 3)),
          count === 1 ? rate : `${count} × ${rate}`,
        ),
      ];
    });
  }

  #switchLinks(): string[] {
    const drawn = new Set<string>();
    let labels = 0;
    return this.#layout.outerLinks.flatMap(({ spec, from, to, name }) => {
      if (from.at !== 'switch' || to.at !== 'switch') return [];
      const [a, b] = [this.#at.switches.get(from.number), this.#at.switches.get(to.number)];
      const pair = [from.number, to.number].sort((x, y) => x - y).join(' ');
      if (a === undefined || b === undefined || drawn.has(`${spec.kind} ${pair}`)) return [];
      drawn.add(`${spec.kind} ${pair}`);
      const line = this.#line(spec, straight(a, b), `${name}: ${this.#words(spec)}`);
      labels += 1;
      if (labels > 4) return [line];
      return [line, label(between(a, b, 0.45), formatRate(linkRate(spec, this.#values)))];
    });
  }

  #boxToBoxLinks(): string[] {
    const spotOf = (end: OuterEnd): Spot | undefined => {
      if (end.at === 'switch') return this.#at.switches.get(end.number);
      return this.#at.boxes.find(({ box }) => box === end.box)?.nodes.get(end.node);
    };
    return this.#layout.outerLinks.flatMap(({ spec, from, to, name }) => {
      if (from.at === 'switch' && to.at === 'switch') return [];
      const [a, b] = [spotOf(from), spotOf(to)];
      if (a === undefined || b === undefined || a.x > b.x) return [];
      return [this.#line(spec, arc(a, b, 70), `${name}: ${this.#words(spec)}`)];
    });
  }

  #nodes({ box, nodes, hiddenCards }: DrawnBox): string[] {
    const { nodeNames, cards } = this.#layout.template(box);
    const texts = [...nodes].map(([node, spot]) => {
      if (node < cards.length) return this.#card(box, node, spot);
      const words = nodeNames[node] ?? '';
      const width = Math.max(CARD_WIDTH + 8, words.length * 7.4 + 12);
      const title = `box${box}/${words}`;
      return block(spot, { width, height: CARD_HEIGHT, kind: 'node', words, title });
    });
    const shown = [...nodes].filter(([node]) => node < cards.length);
    const [before, last] = shown.slice(-2).map(([, spot]) => spot);
    if (hiddenCards > 0 && last !== undefined && before !== undefined) {
      texts.push(label({ x: (last.x + before.x) / 2, y: last.y + 4 }, `… ${hiddenCards}`));
    }
    return texts;
  }

  #card(box: number, card: number, spot: Spot): string {
    const rank = this.#members.rank((this.#layout.cardBase[box] ?? 0) + card);
    const kind = rank === undefined ? 'absent' : 'card';
    const role = rank === undefined ? 'takes no part' : `rank ${rank}`;
    const title = `box${box}/card${card}, ${this.#layout.template(box).cards[card]}, ${role}`;
    const words = `${rank ?? '–'}`;
    return block(spot, { width: CARD_WIDTH, height: CARD_HEIGHT, kind, words, title });
  }

  #more(): string[] {
    const { more, boxes } = this.#at;
    const [first] = boxes;
    if (more === undefined || first === undefined) return [];
    const { left, width, count } = more;
    const middle = { x: left + width / 2, y: first.top + first.height / 2 };
    return [
      `<text class="name" x="${middle.x}" y="${middle.y - 4}">…</text>`,
      `<text class="name" x="${middle.x}" y="${middle.y + 14}">${count} more</text>`,
    ];
  }

  #switches(): string[] {
    const { switches, hiddenSwitches } = this.#at;
    const texts = [...switches].map(([number, spot]) => {
      const { name, set } = defined(this.#layout.switches[number], 'a switch');
      const taper = this.#summary.switches.find((one) => one.name === set)?.taper;
      const limit = taper === undefined ? '' : `, passes ${Number((100 * taper).toPrecision(3))} %`;
      const title = `switch ${name}${limit === '' ? ', does not block' : limit}`;
      const words = `${name}${limit}`;
      const width = Math.max(spot.width, words.length * 7.4 + 16);
      return block(spot, { width, height: SWITCH_HEIGHT, kind: 'switch', words, title });
    });
    const notes = [...hiddenSwitches].map(([set, count]) => `${count} more ${set}`);
    if (notes.length === 0) return texts;
    const x = this.#at.width - MARGIN;
    const text = `not shown: ${escapeXml(notes.join(', '))}`;
    return [
      ...texts,
      `<text class="label" text-anchor="end" x="${x}" y="${MARGIN + 12}">${text}</text>`,
    ];
  }

  #legend(): string[] {
    const { legendTop } = this.#at;
    const widest = Math.max(...this.#kinds.map((kind) => kind.length), 0) * 7.4;
    const lines = this.#summary.links.map((link, index) => {
      const y = legendTop + index * 20;
      const look = this.#kinds.indexOf(link.kind) % LINK_LOOKS.length;
      return (
        `<path class="link link${look}" stroke-width="3" d="M${MARGIN} ${y - 4}H${MARGIN + 36}"/>` +
        `<text class="label" x="${MARGIN + 46}" y="${y}">${escapeXml(link.kind)}</text>` +
        `<text class="label" x="${MARGIN + 56 + widest}" y="${y}">${escapeXml(legendWords(link))}</text>`
      );
    });
    const y = legendTop + this.#summary.links.length * 20;
    const assumed = this.#summary.parameters.filter(({ status }) => status === 'assumed').length;
    const all = this.#summary.parameters.length;
    lines.push(
      `<text class="label" x="${MARGIN}" y="${y}">${assumed} of ${all} numbers are assumed, see hlsim topo show</text>`,
    );
    return lines;
  }
}

function legendWords({ from, to, ports, duplex, ...link }: LinkSummary): string {
  const cables = ports === 1 ? '' : `${ports} cables, `;
  const ways = { full: 'each way', half: 'for both ways', none: 'one way' }[duplex];
  const rate = formatRate(link.bytesPerSecond);
  return `${from} - ${to}: ${cables}${rate} ${ways}, ${formatTime(link.latencySeconds)}, ${link.count} in all`;
}

function boxFrame({ box, left, top, width, height }: DrawnBox, layout: Layout): string {
  const long = `box ${box} · ${layout.template(box).kind}`;
  // In narrow boxes the number alone.
  const words = escapeXml(long.length * 7.3 + 20 > width ? `box ${box}` : long);
  return (
    `<rect class="box" x="${left}" y="${top}" width="${width.toFixed(1)}" height="${height.toFixed(1)}" rx="10"/>` +
    `<text class="label" x="${left + 12}" y="${top + 20}">${words}</text>`
  );
}

function block(
  { x, y }: Spot,
  look: {
    readonly width: number;
    readonly height: number;
    readonly kind: string;
    readonly words: string;
    readonly title: string;
  },
): string {
  const { width, height, kind, words, title } = look;
  const [left, top] = [(x - width / 2).toFixed(1), (y - height / 2).toFixed(1)];
  return (
    `<g><title>${escapeXml(title)}</title>` +
    `<rect class="${kind}" x="${left}" y="${top}" width="${width.toFixed(1)}" height="${height}" rx="6"/>` +
    `<text class="name" x="${x.toFixed(1)}" y="${(y + 4).toFixed(1)}">${escapeXml(words)}</text></g>`
  );
}

function label({ x, y }: Spot, words: string): string {
  const width = words.length * 6.7 + 8;
  return (
    `<rect class="halo" x="${(x - width / 2).toFixed(1)}" y="${(y - 12).toFixed(1)}" width="${width.toFixed(1)}" height="16" rx="4"/>` +
    `<text class="rate" x="${x.toFixed(1)}" y="${y.toFixed(1)}">${escapeXml(words)}</text>`
  );
}

function arc(a: Spot, b: Spot, height: number): string {
  const top = Math.min(a.y, b.y) - CARD_HEIGHT / 2;
  // The highest point of such a curve is at three quarters of its handles.
  const handle = (top - height * (4 / 3)).toFixed(1);
  const [left, right] = [a.x.toFixed(1), b.x.toFixed(1)];
  return `M${left} ${(a.y - CARD_HEIGHT / 2).toFixed(1)}C${left} ${handle} ${right} ${handle} ${right} ${(b.y - CARD_HEIGHT / 2).toFixed(1)}`;
}

function straight(a: Spot, b: Spot): string {
  return `M${a.x.toFixed(1)} ${a.y.toFixed(1)}L${b.x.toFixed(1)} ${b.y.toFixed(1)}`;
}

function between(a: Spot, b: Spot, part: number): Spot {
  return { x: a.x + (b.x - a.x) * part, y: a.y + (b.y - a.y) * part + 4 };
}

/** Where a line from `x` meets the switch. */
function nearest({ x, width }: DrawnSwitch, from: number): number {
  const reach = width / 2 - 12;
  return Math.max(x - reach, Math.min(x + reach, from));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
