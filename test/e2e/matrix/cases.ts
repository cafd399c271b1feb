/**
 * The cases of the numeric matrix: not every combination of algorithm, ranks, counts, types, operations,
 * placement and channels, but a set in which every pair of values of two of them that can go together
 * does, made by a greedy generator. The same cases every time.
 */
import type { DataTypeWord, ReduceOperationWord } from '../../../bench/data-types.ts';
import type { Place } from '../../../bench/layout.ts';
import type { CollectiveWord } from '../../../collectives/names.ts';
import { assert, defined } from '../../../common/assert.ts';
import { Prng } from '../../../common/prng.ts';
import type { Cluster, Way } from './ways.ts';

export interface MatrixCase {
  /** Position in the list; also seeds the operands. */
  readonly id: number;
  readonly collective: CollectiveWord;
  readonly algorithm: string;
  readonly cluster: Cluster;
  readonly count: number;
  readonly dataType: DataTypeWord;
  readonly reduceOp: ReduceOperationWord | 'none';
  readonly place: Place;
  readonly channels: number;
}

/** What is varied. Of a way: what it can be combined with; only cluster and place depend on each other. */
const FACTORS = ['way', 'cluster', 'place', 'count', 'dataType', 'reduceOp', 'channels'] as const;
type Factor = (typeof FACTORS)[number];

/** A value of each factor; of `way` its index. */
type Choice = Partial<Record<Factor, string | number>>;

const SEED = 20_260_101;
/** Cases that are tried for each that is taken. */
const CANDIDATES = 3;

export function pairwiseCases(ways: readonly Way[]): MatrixCase[] {
  const prng = new Prng(SEED);
  const open = new Set(possiblePairs(ways));
  const cases: MatrixCase[] = [];
  while (open.size > 0) {
    const [target] = open;
    const chosen = bestOf(ways, defined(target, 'a pair'), open, prng);
    for (const pair of pairsOf(chosen)) open.delete(pair);
    cases.push(caseOf(ways, chosen, cases.length));
  }
  return cases;
}

/** Every pair of values that one case can have, as `pairsOf` names them. */
function possiblePairs(ways: readonly Way[]): string[] {
  const pairs = new Set<string>();
  for (const [index, way] of ways.entries()) {
    for (const { cluster, place } of way.sites) {
      const site = { way: index, cluster, place };
      for (const pair of pairsOf(site)) pairs.add(pair);
      for (const one of free(way)) {
        for (const pair of pairsOf({ ...site, ...one })) pairs.add(pair);
      }
    }
    for (const one of free(way)) {
      for (const other of free(way)) {
        for (const pair of pairsOf({ ...one, ...other })) pairs.add(pair);
      }
    }
  }
  return [...pairs];
}

/** Single values of the factors that depend on nothing but the way. */
function free(way: Way): Choice[] {
  return [
    ...way.counts.map((count) => ({ count })),
    ...way.dataTypes.map((dataType) => ({ dataType })),
    ...way.reduceOps.map((reduceOp) => ({ reduceOp })),
    ...way.channels.map((channels) => ({ channels })),
  ];
}

/** Of each two factors that have a value. */
function pairsOf(choice: Choice): string[] {
  const values = FACTORS.filter((factor) => choice[factor] !== undefined).map(
    (factor) => `${factor} ${choice[factor]}`,
  );
  return values.flatMap((one, index) => values.slice(index + 1).map((other) => `${one}|${other}`));
}

/** The case with the most open pairs, of some that have this one. */
function bestOf(ways: readonly Way[], pair: string, open: ReadonlySet<string>, prng: Prng): Choice {
  let best: { readonly choice: Choice; readonly gain: number } | undefined;
  for (let attempt = 0; attempt < CANDIDATES; attempt++) {
    const choice = completed(ways, valuesOf(pair), open, prng);
    const gain = gainOf(choice, open);
    if (best === undefined || gain > best.gain) best = { choice, gain };
  }
  return defined(best, 'a candidate').choice;
}

function gainOf(choice: Choice, open: ReadonlySet<string>): number {
  return pairsOf(choice).filter((pair) => open.has(pair)).length;
}

function valuesOf(pair: string): Choice {
  const values = pair.split('|').map((value) => {
    const [factor = '', text = ''] = value.split(' ');
    const isNumber = ['way', 'count', 'channels'].includes(factor);
    return [factor, isNumber ? Number(text) : text];
  });
  return Object.fromEntries(values) as Choice;
}

/** A value for every factor, one after the other, each that brings the most open pairs. */
function completed(
  ways: readonly Way[],
  given: Choice,
  open: ReadonlySet<string>,
  prng: Prng,
): Choice {
  const fitting = ways.flatMap((way, index) =>
    (given.way ?? index) === index && allows(way, given) ? [index] : [],
  );
  assert(fitting.length > 0, 'Expected a way that allows the pair');
  const way = given.way ?? defined(fitting[prng.below(fitting.length)], 'a way');
  let choice: Choice = { ...given, way };
  for (const factor of prng.shuffle([...FACTORS])) {
    if (choice[factor] !== undefined) continue;
    choice = prng
      .shuffle(valuesFor(defined(ways[Number(way)], 'a way'), factor, choice))
      .map((value) => ({ ...choice, [factor]: value }))
      .reduce((best, next) => (gainOf(next, open) > gainOf(best, open) ? next : best));
  }
  return choice;
}

/** Whether a case of the way can have these values. */
function allows(way: Way, choice: Choice): boolean {
  return FACTORS.every(
    (factor) =>
      factor === 'way' ||
      choice[factor] === undefined ||
      valuesFor(way, factor, { ...choice, [factor]: undefined }).includes(choice[factor]),
  );
}

function valuesFor(way: Way, factor: Factor, choice: Choice): (string | number)[] {
  const { cluster, place } = choice;
  switch (factor) {
    case 'way':
      return [];
    case 'cluster':
      return way.sites
        .filter((site) => (place ?? site.place) === site.place)
        .map((site) => site.cluster);
    case 'place':
      return way.sites
        .filter((site) => (cluster ?? site.cluster) === site.cluster)
        .map((site) => site.place);
    case 'count':
      return [...way.counts];
    case 'dataType':
      return [...way.dataTypes];
    case 'reduceOp':
      return [...way.reduceOps];
    case 'channels':
      return [...way.channels];
    default:
      return factor satisfies never;
  }
}

function caseOf(ways: readonly Way[], choice: Choice, id: number): MatrixCase {
  const { way, ...values } = choice;
  const { collective, algorithm } = defined(ways[Number(way)], 'a way');
  return { id, collective, algorithm, ...values } as MatrixCase;
}
