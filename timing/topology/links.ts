/** Links by number, made when they are asked for. */
import type { Link, LinkNumber, LinkPlace } from '../network.ts';
import type { LinkSpec } from './file.ts';
import { type InnerLink, type Layout, linkRate } from './layout.ts';
import type { Modifications } from './modified.ts';
import type { Members } from './ranks.ts';
import { cardOfEnd, type TemplateLink } from './template.ts';
import { impossible, type ParameterValues } from './values.ts';

export interface LinkTableInit {
  readonly layout: Layout;
  readonly members: Members;
  readonly values: ParameterValues;
  readonly modifications: Modifications;
  readonly inner: readonly InnerLink[];
}

export class LinkTable {
  readonly count: number;
  readonly #init: LinkTableInit;
  readonly #outer: number;
  readonly #rates = new Map<LinkSpec, { readonly rate: number; readonly latency: number }>();

  constructor(init: LinkTableInit) {
    const { layout, inner } = init;
    this.#init = init;
    this.#outer = layout.boxLinks;
    this.count = this.#outer + layout.outerLinks.length + inner.length;
  }

  link(number: LinkNumber): Link {
    const { layout, inner } = this.#init;
    if (number >= 0 && number < this.#outer) return this.#boxLink(number);
    const outer = layout.outerLinks[number - this.#outer];
    if (outer !== undefined) {
      const { spec, name } = outer;
      const place = { at: 'network' } as const;
      return { name, kind: spec.kind, role: name, place, ...this.#numbers(spec, number) };
    }
    const inside = inner[number - this.#outer - layout.outerLinks.length];
    if (inside === undefined) {
      throw impossible(`Expected a link below ${this.count} but found ${number}`);
    }
    const { name, bytesPerSecond } = inside;
    return {
      ...{ name, kind: 'spine', role: name, place: { at: 'network' }, bytesPerSecond },
      latencySeconds: 0,
    };
  }

  /** What of the file made the link: `undefined` for the inside of a switch. */
  spec(number: LinkNumber): LinkSpec | undefined {
    const { layout } = this.#init;
    if (number >= this.#outer) return layout.outerLinks[number - this.#outer]?.spec;
    const box = layout.boxOfLink(number);
    return layout.template(box).links[number - (layout.linkBase[box] ?? 0)]?.spec;
  }

  #boxLink(number: LinkNumber): Link {
    const { layout } = this.#init;
    const box = layout.boxOfLink(number);
    const { links, cards } = layout.template(box);
    const link = links[number - (layout.linkBase[box] ?? 0)];
    if (link === undefined) throw impossible(`Expected a link but found none of number ${number}`);
    const name = `box${box}/${link.name}`;
    const place = this.#place(link, box, cards.length);
    // Whose card or box takes no part is nobody's, and has only its name.
    const role = place.at === 'network' ? name : link.role;
    return { name, kind: link.spec.kind, role, place, ...this.#numbers(link.spec, number) };
  }

  #place(link: TemplateLink, box: number, cards: number): LinkPlace {
    const { layout, members } = this.#init;
    const base = layout.cardBase[box] ?? 0;
    const [from, to] = [cardOfEnd(link.from, cards), cardOfEnd(link.to, cards)];
    const rankOf = (card: number): number | undefined => members.rank(base + card);
    if (from !== undefined && to !== undefined) {
      const [src, dst] = [rankOf(from), rankOf(to)];
      // Both directions of a half-duplex link are one link, which is no pair's.
      if (src === undefined || dst === undefined || link.isHalfDuplex) return { at: 'network' };
      return { at: 'pair', from: src, to: dst };
    }
    const card = from ?? to;
    if (card !== undefined) {
      const rank = rankOf(card);
      return rank === undefined ? { at: 'network' } : { at: 'card', rank };
    }
    const index = members.boxIndex(box);
    return index === undefined ? { at: 'network' } : { at: 'box', box: index };
  }

  #numbers(
    spec: LinkSpec,
    number: LinkNumber,
  ): { readonly bytesPerSecond: number; readonly latencySeconds: number } {
    const { values, modifications } = this.#init;
    const known = this.#rates.get(spec);
    const numbers = known ?? { rate: linkRate(spec, values), latency: values.time(spec.latency) };
    if (known === undefined) this.#rates.set(spec, numbers);
    const part = modifications.linkPart.get(number) ?? 1;
    return { bytesPerSecond: numbers.rate * part, latencySeconds: numbers.latency };
  }
}
