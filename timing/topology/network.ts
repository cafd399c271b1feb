/** A topology file becomes a network. */
import { defined } from '../../common/assert.ts';
import type { Card, CardHost, Link, LinkNumber, Network, Parameter, Route } from '../network.ts';
import { kindsOfBoxes } from './box-kinds.ts';
import type { NetworkChange } from './changes.ts';
import type { TopologyFile } from './file.ts';
import { innerLinks, Layout } from './layout.ts';
import { LinkTable } from './links.ts';
import { modificationsOf } from './modified.ts';
import { type Members, membersOf } from './ranks.ts';
import { type Routing, routingOf } from './routing.ts';
import { symmetryOf } from './symmetry.ts';
import { type ParameterOverrides, ParameterValues } from './values.ts';

export interface NetworkOptions {
  /** So many boxes, where the file has boxes of one kind; unless given, those of the file. */
  readonly boxes?: number | undefined;
  /** The first so many cards, or these; unless given, all. A file of one kind has boxes enough for them. */
  readonly cards?: number | readonly number[] | undefined;
  /** Between boxes: straight (unless given), or stored in the memory of both hosts. */
  readonly path?: 'direct' | 'bounce' | undefined;
  readonly changes?: readonly NetworkChange[] | undefined;
  /** Numbers in place of the file's, by the parameter's name. */
  readonly overrides?: ParameterOverrides | undefined;
}

/**
 * The network of a topology.
 *
 * @throws HlsimError `HLSIM_TOPOLOGY_IMPOSSIBLE` if it cannot be: no route, a rate of 0, cards that are not
 * there, too many of anything
 */
export function networkOf(file: TopologyFile, options: NetworkOptions = {}): Network {
  const values = new ParameterValues(file, options.overrides ?? {});
  const layout = new Layout(file, kindsOfBoxes(file, options));
  const members = membersOf(layout, options.cards);
  const modifications = modificationsOf(layout, members.nranks, options.changes ?? []);
  const inner = innerLinks(layout, values);
  const init = { layout, members, values, modifications, inner };
  const table = new LinkTable(init);
  const path = options.path ?? 'direct';
  const routing = routingOf({ ...init, path });
  const link = (number: LinkNumber): Link => table.link(number);
  const route = (src: number, dst: number): Route => routing.route(src, dst);
  const cards = new CardTable(layout, members, values, modifications.cardSlow);
  const [firstBox = 0] = members.boxes;
  const ranksInBox = members.cardsIn(firstBox).length;
  const symmetry = symmetryOf({
    topology: members.topology,
    areBoxesAlike: areOfOneClass(routing, members),
    areCardsAlike: cards.areAlike(ranksInBox),
    route,
    link,
  });
  return {
    name: nameOf(file, members, path),
    nranks: members.nranks,
    topology: members.topology,
    linkCount: table.count,
    symmetry,
    parameters: usedParameters(file, values, {
      links: routing.usedLinks(),
      switches: routing.usedSwitches(),
      specOf: (number) => table.spec(number),
      cardKinds: cards.kinds(),
    }),
    link,
    route,
    card: (rank) => cards.card(rank),
  };
}

function nameOf(file: TopologyFile, { nranks, boxes }: Members, path: string): string {
  const bounce = path === 'bounce' ? ', through host memory' : '';
  const word = boxes.length === 1 ? 'box' : 'boxes';
  const cards = nranks === 1 ? 'card' : 'cards';
  return `${file.name}: ${nranks} ${cards} in ${boxes.length} ${word}${bounce}`;
}

function areOfOneClass({ classes }: Routing, { boxes, topology }: Members): boolean {
  const [first = 0] = boxes;
  const isEven = boxes.length === topology.boxes;
  return isEven && boxes.every((box) => classes.classOf[box] === classes.classOf[first]);
}

/** What cards do by themselves, by rank. */
class CardTable {
  readonly #layout: Layout;
  readonly #members: Members;
  readonly #values: ParameterValues;
  readonly #slow: ReadonlyMap<number, number>;

  constructor(
    layout: Layout,
    members: Members,
    values: ParameterValues,
    slow: ReadonlyMap<number, number>,
  ) {
    this.#layout = layout;
    this.#members = members;
    this.#values = values;
    this.#slow = slow;
    for (let rank = 0; rank < members.nranks; rank += 1) if (slow.has(rank)) this.card(rank);
    for (const kind of this.kinds()) this.#check(kind);
  }

  card(rank: number): Card {
    const kind = this.#kind(this.#kindOf(rank));
    const slow = this.#slow.get(rank) ?? 1;
    return {
      name: this.#layout.cardName(this.#members.card(rank)),
      issueSeconds: this.#values.time(kind.issue) * slow,
      reduceBytesPerSecond: this.#values.rate(kind.reduce) / slow,
      copyBytesPerSecond: this.#values.rate(kind.copy) / slow,
      ...(kind.cores === undefined ? {} : { host: this.#host(kind.cores, kind.turn, slow) }),
    };
  }

  #host(cores: string, turn: string | undefined, slow: number): CardHost {
    const { count } = defined(this.#layout.file.cores[cores], `cores ${cores}`);
    const turnSeconds = turn === undefined ? 0 : this.#values.time(turn) * slow;
    return { cores, count: this.#values.count(count), turnSeconds };
  }

  /** Kinds that take part. */
  kinds(): Set<string> {
    const kinds = new Set<string>();
    for (let rank = 0; rank < this.#members.nranks; rank += 1) kinds.add(this.#kindOf(rank));
    return kinds;
  }

  /** Whether the first ranks are of one kind and equally slow. */
  areAlike(ranks: number): boolean {
    for (let rank = 1; rank < ranks; rank += 1) {
      if (this.#kindOf(rank) !== this.#kindOf(0)) return false;
      if ((this.#slow.get(rank) ?? 1) !== (this.#slow.get(0) ?? 1)) return false;
    }
    return true;
  }

  #check(name: string): void {
    const { reduce, copy, cores, turn } = this.#kind(name);
    this.#values.rate(reduce);
    this.#values.rate(copy);
    if (cores !== undefined) this.#host(cores, turn, 1);
  }

  #kind(name: string) {
    return defined(this.#layout.file.cards[name], `card kind ${name}`);
  }

  #kindOf(rank: number): string {
    const card = this.#members.card(rank);
    const box = this.#layout.boxOfCard(card);
    const kinds = this.#layout.template(box).cards;
    return defined(kinds[card - (this.#layout.cardBase[box] ?? 0)], `the kind of card ${card}`);
  }
}

/** Those that a route or a card needs, in the order of the file. */
function usedParameters(
  file: TopologyFile,
  values: ParameterValues,
  used: {
    readonly links: Iterable<LinkNumber>;
    readonly switches: ReadonlySet<string>;
    readonly specOf: (link: LinkNumber) => ReturnType<LinkTable['spec']>;
    readonly cardKinds: ReadonlySet<string>;
  },
): Parameter[] {
  const names = new Set<string | undefined>();
  for (const kind of used.cardKinds) {
    const { issue, reduce, copy, cores, turn } = defined(file.cards[kind], kind);
    const count = cores === undefined ? undefined : file.cores[cores]?.count;
    for (const name of [issue, reduce, copy, turn, count]) names.add(name);
  }
  for (const number of used.links) {
    const spec = used.specOf(number);
    for (const name of [spec?.rate, spec?.latency, spec?.efficiency]) names.add(name);
  }
  for (const name of used.switches) names.add(file.switches[name]?.taper);
  return Object.keys(file.parameters)
    .filter((name) => names.has(name))
    .map((name) => values.parameter(name));
}
