/**
 * Max-min fair shares: of all messages under way, those with the smallest rate get as much as they can, then those
 * with the next smallest of what is left, and so on (Bertsekas and Gallager, Data Networks, section 6.5.2,
 * "progressive filling"). Links are filled up round by round: the link that has least for each of its messages
 * decides their rate.
 *
 * What a link has given away is a sum over rounds of rate times number of messages, never of one message after
 * the other: so it comes out the same, to the last bit, whether a link's messages are simulated one by one or one
 * stands for many. Only messages that have to do with a change, directly or by way of others, get new rates,
 * and only one whose rate is another is touched at all.
 */
import type { MomentQueue } from './moment-queue.ts';
import type { Plan } from './plan.ts';

/** Kind of the event that a message has left its hop; the detail is its `version`. */
export const FLOW_END = 2;

export class FairShares {
  readonly #plan: Plan;
  readonly #queue: MomentQueue;
  /** By hop: of the message that is on it. */
  readonly #remaining: Float64Array;
  readonly #rate: Float64Array;
  readonly #since: Float64Array;
  readonly #newRate: Float64Array;
  /** Counts changes of rate, so that ends that will not be are known. */
  readonly #version: Int32Array;
  /** Link that decided the rate. */
  readonly #bottleneck: Int32Array;
  readonly #hopMark: Int32Array;
  /** By place in `hops.links`: where the hop is in the link's list. */
  readonly #position: Int32Array;
  /** By link: places in `hops.links` of the messages on it. */
  readonly #onLink: Int32Array[];
  readonly #count: Int32Array;
  readonly #capacity: Float64Array;
  readonly #weight: Int32Array;
  readonly #given: Float64Array;
  readonly #open: Int32Array;
  readonly #share: Float64Array;
  readonly #filled: Int32Array;
  readonly #linkMark: Int32Array;
  readonly #hopOfPlace: Int32Array;
  readonly #changed: number[] = [];
  #mark = 0;

  constructor(plan: Plan, queue: MomentQueue) {
    const { hops, links } = plan;
    this.#plan = plan;
    this.#queue = queue;
    this.#remaining = new Float64Array(hops.count);
    this.#rate = new Float64Array(hops.count);
    this.#since = new Float64Array(hops.count);
    this.#newRate = new Float64Array(hops.count);
    this.#version = new Int32Array(hops.count);
    this.#bottleneck = new Int32Array(hops.count);
    this.#hopMark = new Int32Array(hops.count);
    this.#position = new Int32Array(hops.links.length);
    this.#hopOfPlace = new Int32Array(hops.links.length);
    for (let hop = 0; hop < hops.count; hop++) {
      const end = hops.firstLink[hop + 1] as number;
      for (let place = hops.firstLink[hop] as number; place < end; place++) {
        this.#hopOfPlace[place] = hop;
      }
    }
    const count = links.all.length;
    this.#onLink = links.all.map(() => EMPTY);
    this.#count = new Int32Array(count);
    this.#capacity = Float64Array.from(links.all, ({ link }) => link.bytesPerSecond);
    this.#weight = Int32Array.from(links.all, ({ weight }) => weight);
    this.#given = new Float64Array(count);
    this.#open = new Int32Array(count);
    this.#share = new Float64Array(count);
    this.#filled = new Int32Array(count);
    this.#linkMark = new Int32Array(count);
  }

  /** A message of more than 0 bytes sets out, now. Its rate is found by `settle`. */
  start(hop: number, bytes: number, now: number): void {
    this.#remaining[hop] = bytes;
    this.#rate[hop] = 0;
    this.#since[hop] = now;
    const { firstLink, links } = this.#plan.hops;
    for (let place = firstLink[hop] as number; place < (firstLink[hop + 1] as number); place++) {
      const link = links[place] as number;
      const count = this.#count[link] as number;
      let list = this.#onLink[link] as Int32Array;
      if (count === list.length) {
        const grown = new Int32Array(Math.max(4, 2 * count));
        grown.set(list);
        this.#onLink[link] = grown;
        list = grown;
      }
      list[count] = place;
      this.#position[place] = count;
      this.#count[link] = count + 1;
      this.#changed.push(link);
    }
  }

  /** Whether the event is the end of the message on the hop. */
  isEnd(hop: number, version: number): boolean {
    return this.#version[hop] === version;
  }

  /** The message on the hop has left. Returns the link that decided its rate. */
  end(hop: number): number {
    this.#version[hop] = (this.#version[hop] as number) + 1;
    const { firstLink, links } = this.#plan.hops;
    for (let place = firstLink[hop] as number; place < (firstLink[hop + 1] as number); place++) {
      const link = links[place] as number;
      const last = (this.#count[link] as number) - 1;
      const list = this.#onLink[link] as Int32Array;
      const position = this.#position[place] as number;
      const moved = list[last] as number;
      list[position] = moved;
      this.#position[moved] = position;
      this.#count[link] = last;
      this.#changed.push(link);
    }
    return this.#bottleneck[hop] as number;
  }

  /** All that happens at this moment has happened: gives every message its rate. */
  settle(now: number): void {
    if (this.#changed.length === 0) return;
    this.#mark++;
    const { flows, links } = this.#concerned();
    this.#fill(flows.length, links);
    for (const hop of flows) this.#setRate(hop, now);
  }

  /** The messages and links that what has changed can have an effect on. */
  #concerned(): { flows: number[]; links: number[] } {
    const { firstLink, links: linksOf } = this.#plan.hops;
    const flows: number[] = [];
    const links: number[] = [];
    const reach = (link: number): void => {
      if (this.#linkMark[link] === this.#mark) return;
      this.#linkMark[link] = this.#mark;
      if (this.#count[link] !== 0) links.push(link);
    };
    for (const link of this.#changed) reach(link);
    this.#changed.length = 0;
    for (let index = 0; index < links.length; index++) {
      const link = links[index] as number;
      const list = this.#onLink[link] as Int32Array;
      const count = this.#count[link] as number;
      for (let position = 0; position < count; position++) {
        const hop = this.#hopOfPlace[list[position] as number] as number;
        if (this.#hopMark[hop] === this.#mark) continue;
        this.#hopMark[hop] = this.#mark;
        flows.push(hop);
        const end = firstLink[hop + 1] as number;
        for (let place = firstLink[hop] as number; place < end; place++) {
          reach(linksOf[place] as number);
        }
      }
    }
    return { flows, links };
  }

  #fill(flows: number, links: readonly number[]): void {
    for (const link of links) {
      this.#given[link] = 0;
      this.#open[link] = (this.#count[link] as number) * (this.#weight[link] as number);
    }
    let left = flows;
    let open = links;
    while (left > 0) {
      let level = Number.POSITIVE_INFINITY;
      for (const link of open) {
        const share =
          ((this.#capacity[link] as number) - (this.#given[link] as number)) /
          (this.#open[link] as number);
        this.#share[link] = share;
        if (share < level) level = share;
      }
      for (const link of open) if (this.#share[link] === level) left -= this.#freeze(link, level);
      for (const link of open) {
        const filled = this.#filled[link] as number;
        this.#given[link] = (this.#given[link] as number) + level * filled;
        this.#open[link] = (this.#open[link] as number) - filled;
        this.#filled[link] = 0;
      }
      open = open.filter((link) => this.#open[link] !== 0);
    }
  }

  /** The link is full: its messages that have no rate yet have this one. Returns how many. */
  #freeze(link: number, level: number): number {
    const { firstLink, links } = this.#plan.hops;
    const list = this.#onLink[link] as Int32Array;
    const count = this.#count[link] as number;
    let frozen = 0;
    for (let position = 0; position < count; position++) {
      const hop = this.#hopOfPlace[list[position] as number] as number;
      if (this.#hopMark[hop] !== this.#mark) continue;
      this.#hopMark[hop] = -this.#mark;
      this.#newRate[hop] = level;
      if (level !== this.#rate[hop]) this.#bottleneck[hop] = link;
      frozen++;
      const end = firstLink[hop + 1] as number;
      for (let place = firstLink[hop] as number; place < end; place++) {
        const crossed = links[place] as number;
        this.#filled[crossed] =
          (this.#filled[crossed] as number) + (this.#weight[crossed] as number);
      }
    }
    return frozen;
  }

  #setRate(hop: number, now: number): void {
    const rate = this.#newRate[hop] as number;
    const before = this.#rate[hop] as number;
    if (rate === before) return;
    const done = before * (now - (this.#since[hop] as number));
    const remaining = Math.max(0, (this.#remaining[hop] as number) - done);
    this.#remaining[hop] = remaining;
    this.#since[hop] = now;
    this.#rate[hop] = rate;
    const version = (this.#version[hop] as number) + 1;
    this.#version[hop] = version;
    this.#queue.add(now + remaining / rate, FLOW_END, hop, version, 0);
  }
}

const EMPTY = new Int32Array(0);
