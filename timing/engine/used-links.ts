/**
 * The links that messages of the simulated ranks go over. Where ranks are alike, so are links: one entry here
 * stands for all those that a renumbering takes to each other.
 */
import { defined } from '../../common/assert.ts';
import type { Link, LinkNumber, Network } from '../network.ts';
import type { Renumbering } from './renumbering.ts';

export interface UsedLink {
  /** One of those that it stands for. */
  readonly number: LinkNumber;
  readonly link: Link;
  /**
   * How many messages of all ranks cross the link, for one that a simulated rank sends over it or one that it
   * stands for.
   */
  readonly weight: number;
  /** Connections of all ranks that cross it. */
  connections: number;
  /** Payload of all ranks that crosses it. */
  bytes: number;
}

export class UsedLinks {
  readonly all: UsedLink[] = [];
  readonly #network: Network;
  readonly #alike: Renumbering;
  readonly #byNumber = new Map<LinkNumber, number>();
  readonly #byPlace = new Map<string, number>();
  /** Elements of the group that leave a box where it is. */
  readonly #boxWeight: number;

  constructor(network: Network, alike: Renumbering) {
    this.#network = network;
    this.#alike = alike;
    this.#boxWeight = stabilizerOfBox(network, alike);
  }

  /** Index of the entry for a link of the network. */
  indexOf(number: LinkNumber): number {
    let index = this.#byNumber.get(number);
    if (index === undefined) {
      index = this.#find(number);
      this.#byNumber.set(number, index);
    }
    return index;
  }

  at(index: number): UsedLink {
    return defined(this.all[index], `used link ${index}`);
  }

  #find(number: LinkNumber): number {
    const link = this.#network.link(number);
    if (this.#alike.size === 1) return this.#add(number, link, 1);
    const { key, weight } = this.#orbit(number, link);
    const known = this.#byPlace.get(key);
    if (known !== undefined) return known;
    const index = this.#add(number, link, weight);
    this.#byPlace.set(key, index);
    return index;
  }

  #add(number: LinkNumber, link: Link, weight: number): number {
    return this.all.push({ number, link, weight, connections: 0, bytes: 0 }) - 1;
  }

  /** A name that all links of one class have, and how many elements of the group leave each where it is. */
  #orbit(number: LinkNumber, { kind, role, place }: Link): { key: string; weight: number } {
    const alike = this.#alike;
    const named = (at: string): string => `${kind} ${role} ${place.at} ${at}`;
    switch (place.at) {
      case 'card':
        return { key: named(`${alike.representative(place.rank)}`), weight: 1 };
      case 'pair': {
        const back = alike.inverse(alike.elementOf(place.from));
        const to = alike.apply(back, place.to);
        return { key: named(`${alike.representative(place.from)} ${to}`), weight: 1 };
      }
      case 'box': {
        const { ranksPerBox } = this.#network.topology;
        const first = alike.representative(place.box * ranksPerBox);
        return { key: named(`${Math.floor(first / ranksPerBox)}`), weight: this.#boxWeight };
      }
      case 'network':
        return { key: named(`${number}`), weight: alike.size };
    }
  }
}

function stabilizerOfBox({ topology: { ranksPerBox } }: Network, alike: Renumbering): number {
  let weight = 0;
  for (let element = 0; element < alike.size; element++) {
    if (alike.apply(element, 0) < ranksPerBox) weight++;
  }
  return weight;
}
