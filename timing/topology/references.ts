/** That the names in a topology file have what they name, and that every quantity is of its kind. */
import type { BoxKind, LinkSpec, TopologyFile } from './file.ts';
import { QUANTITY_FORMS, type Quantity } from './quantities.ts';

/** What the cards of a box are called in its links. */
const CARD = 'card';

/** Names of the fields that lead to a value. */
export type Path = readonly (string | number)[];

/** Throws; `problem` follows the name of the field. */
type Refuse = (path: Path, problem: string) => never;

/** Refuses the first name without a thing, and the first parameter of the wrong quantity. */
export function checkReferences(file: TopologyFile, refuse: Refuse): void {
  const uses = new ParameterUses(file, refuse);
  for (const [name, { count }] of Object.entries(file.cores)) {
    uses.check(['cores', name, 'count'], count, 'fraction');
  }
  checkCards(file, refuse, uses);
  checkSwitches(file, refuse, uses);
  for (const [name, kind] of Object.entries(file.boxKinds)) {
    const path = ['boxKinds', name];
    checkBoxKind(file, kind, path, refuse);
    checkLinks(kind.links, [...path, 'links'], uses);
  }
  for (const [index, { kind }] of file.boxes.entries()) {
    if (Object.hasOwn(file.boxKinds, kind)) continue;
    refuse(['boxes', index, 'kind'], `to be ${oneOf(file.boxKinds)} but found ${kind}`);
  }
  checkLinks(file.links, ['links'], uses);
}

function checkCards({ cards, cores }: TopologyFile, refuse: Refuse, uses: ParameterUses): void {
  for (const [name, card] of Object.entries(cards)) {
    const path = ['cards', name];
    uses.check([...path, 'issue'], card.issue, 'time');
    uses.check([...path, 'reduce'], card.reduce, 'rate');
    uses.check([...path, 'copy'], card.copy, 'rate');
    if (card.cores === undefined && card.turn === undefined) continue;
    if (card.cores === undefined || !Object.hasOwn(cores, card.cores)) {
      refuse([...path, 'cores'], `to be ${oneOf(cores)} but found ${card.cores ?? 'nothing'}`);
    }
    if (card.turn !== undefined) uses.check([...path, 'turn'], card.turn, 'time');
  }
}

function checkSwitches({ switches }: TopologyFile, refuse: Refuse, uses: ParameterUses): void {
  for (const [name, { count, boxesEach, taper }] of Object.entries(switches)) {
    const path = ['switches', name];
    if (name === CARD || name === 'box') {
      refuse(path, 'to have another name: card and box are not for switches');
    }
    if (count !== undefined && boxesEach !== undefined) {
      refuse(path, 'to have either count or boxesEach but found both');
    }
    if (taper !== undefined) uses.check([...path, 'taper'], taper, 'fraction');
  }
}

function checkBoxKind(file: TopologyFile, kind: BoxKind, path: Path, refuse: Refuse): void {
  for (const [index, { kind: card }] of kind.cards.entries()) {
    if (Object.hasOwn(file.cards, card)) continue;
    refuse([...path, 'cards', index, 'kind'], `to be ${oneOf(file.cards)} but found ${card}`);
  }
  for (const node of Object.keys(kind.nodes)) {
    if (node !== CARD && !Object.hasOwn(file.switches, node)) continue;
    refuse([...path, 'nodes', node], 'to have a name of its own but found one that is taken');
  }
}

function checkLinks(links: readonly LinkSpec[], path: Path, uses: ParameterUses): void {
  for (const [index, link] of links.entries()) {
    uses.check([...path, index, 'rate'], link.rate, 'rate');
    uses.check([...path, index, 'latency'], link.latency, 'time');
    if (link.efficiency !== undefined) {
      uses.check([...path, index, 'efficiency'], link.efficiency, 'fraction');
    }
  }
}

class ParameterUses {
  readonly #file: TopologyFile;
  readonly #refuse: Refuse;

  constructor(file: TopologyFile, refuse: Refuse) {
    this.#file = file;
    this.#refuse = refuse;
  }

  check(path: Path, name: string, quantity: Quantity): void {
    const { parameters } = this.#file;
    const found = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
    if (found?.value.quantity === quantity) return;
    if (found === undefined) {
      this.#refuse(path, `to be the name of a parameter of the file but found ${name}`);
    }
    this.#refuse(
      path,
      `to be a parameter with ${QUANTITY_FORMS[quantity]} but ${name} is ${found.value.text}`,
    );
  }
}

function oneOf(names: Readonly<Record<string, unknown>>): string {
  return `one of ${Object.keys(names).slice(0, 20).join(', ')}`;
}
