/**
 * The hardware as the time model sees it: ranks on cards, directed links with rate and latency, and the
 * way from each card to each other. Made from topology files (`topology/`), read by the event engine
 * (`engine/`), by the lower bounds and by the pictures.
 */
import type { Rank } from '../collectives/schedule.ts';
import type { Topology } from '../collectives/topology.ts';

/** Number of a link: 0 up to `Network.linkCount` - 1. */
export type LinkNumber = number;

/**
 * Whose a link is. Where ranks are alike, so are the links that stand at the same place beside them:
 * renumbering the ranks takes a link to the one with the same `kind` and `role` at the renumbered place.
 */
export type LinkPlace =
  /** For traffic from one card to another alone. */
  | { readonly at: 'pair'; readonly from: Rank; readonly to: Rank }
  /** For one card's traffic: its port to a switch, say. */
  | { readonly at: 'card'; readonly rank: Rank }
  /** For one box's traffic: its host NIC, say. */
  | { readonly at: 'box'; readonly box: number }
  /** For everybody: a spine, or anything in a network without regularity. */
  | { readonly at: 'network' };

/** One direction of a cable, bus or port. */
export interface Link {
  /** Unique: `box0/card1>card2`. */
  readonly name: string;
  /** Class of links, as the topology calls it: `scaleUp`, `scaleOut`, `pcie`, `hostNic`, `spine`. */
  readonly kind: string;
  /** Tells links of one kind at one place apart: `up`, `down`, `read`. */
  readonly role: string;
  readonly place: LinkPlace;
  /** More than 0. */
  readonly bytesPerSecond: number;
  readonly latencySeconds: number;
}

/**
 * A part of the way that a message takes in one go: all of its links carry it at once, at the rate of the
 * slowest share, and the sum of their latencies later it is there. Where a route has several segments, a
 * message is stored between them (host memory, in the bounce path).
 */
export interface Segment {
  readonly links: readonly LinkNumber[];
}

export type Route = readonly Segment[];

/** What a card takes for work of its own. */
export interface Card {
  /** `box0/card3`. */
  readonly name: string;
  /** From the moment that a step may begin to its beginning. */
  readonly issueSeconds: number;
  /** Bytes of result a second that a reduction of two operands makes. */
  readonly reduceBytesPerSecond: number;
  /** Bytes a second that a copy within its memory moves. */
  readonly copyBytesPerSecond: number;
  /** Absent: it has hardware of its own for all that it does. */
  readonly host?: CardHost;
}

/** Where a card's issue, reductions and copies are the work of one thread on cores that others share. */
export interface CardHost {
  /** Cards that name the same cores share them. */
  readonly cores: string;
  /** So many threads are carried out at full speed at a time; more than 0. */
  readonly count: number;
  /** Work of a turn of the thread's event loop, beside all that is done in it. */
  readonly turnSeconds: number;
}

/** One number of the hardware, where it comes from, and how far it can be trusted. */
export interface Parameter {
  /** `scaleUp.rate`. */
  readonly name: string;
  /** As the file has it: `37.5GB/s`. */
  readonly text: string;
  readonly source: string;
  readonly status: 'published' | 'derived' | 'assumed';
}

/**
 * Which renumberings of the ranks leave the network as it is.
 * - `ranks`: all of them.
 * - `cards`: those that keep together what is in one box.
 * - `boxes`: those that exchange whole boxes and leave every rank its index in the box.
 * - `none`: none that is known.
 */
export type NetworkSymmetry = 'ranks' | 'cards' | 'boxes' | 'none';

export interface Network {
  readonly name: string;
  readonly nranks: number;
  /** Who sits in which box, for algorithms that ask; every rank in its own where boxes are not alike. */
  readonly topology: Topology;
  readonly linkCount: number;
  readonly symmetry: NetworkSymmetry;
  /** Every parameter that this network was made with. */
  readonly parameters: readonly Parameter[];
  /** May be made on demand: callers keep what they need often. */
  link(link: LinkNumber): Link;
  /** From `src` to `dst`, two different ranks. Always there: a network without a way is refused when it is made. */
  route(src: Rank, dst: Rank): Route;
  card(rank: Rank): Card;
}
