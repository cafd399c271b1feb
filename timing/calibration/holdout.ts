/**
 * Which points are kept from the fit. A rule is conditions with `;` between, and a point is held out if any
 * of them holds: `ranks=3,8;algorithm!=ring`. `every=5` holds out each fifth point.
 */
import { wordOfCollective } from '../../collectives/names.ts';
import { parseSize } from '../../common/bytes.ts';
import { HlsimError } from '../../common/errors.ts';
import { type MeasuredPoint, nameOfPoint } from './point.ts';

/** Whether the point at `index`, from 0, is held out. */
export type Holdout = (point: MeasuredPoint, index: number) => boolean;

const OPERATORS = ['!=', '>=', '<=', '=', '>', '<'] as const;
type Operator = (typeof OPERATORS)[number];

const RULE_LENGTH_MAX = 1000;

/** Fields with words. */
const WORDS: Readonly<Record<string, (point: MeasuredPoint) => string>> = {
  algorithm: nameOfPoint,
  schedule: nameOfPoint,
  collective: ({ collective }) => wordOfCollective(collective),
  measure: ({ measure }) => measure,
};

/** Fields with numbers. Without `boxes`, a point has as many as it has ranks. */
const NUMBERS: Readonly<Record<string, (point: MeasuredPoint) => number>> = {
  ranks: ({ nranks }) => nranks,
  boxes: ({ boxes, nranks }) => boxes ?? nranks,
  size: ({ bytes }) => bytes,
};

export const HOLDOUT_FORMS =
  'conditions with ; between, such as ranks=3,8;algorithm!=ring, size>1M or every=5';

/** @throws HlsimError `HLSIM_USAGE` for what is no rule */
export function parseHoldout(text: string): Holdout {
  if (text.length > RULE_LENGTH_MAX) throw noRule(`a text of ${text.length} letters`);
  const conditions = text.split(';').map((part) => conditionOf(part.trim()));
  return (point, index) => conditions.some((holds) => holds(point, index));
}

function conditionOf(text: string): Holdout {
  const operator = OPERATORS.find((one) => text.includes(one));
  if (operator === undefined) throw noRule(JSON.stringify(text));
  const at = text.indexOf(operator);
  const [name, values] = [text.slice(0, at).trim(), text.slice(at + operator.length).trim()];
  if (name === 'every') return everyOf(operator, values, text);
  const parts = values.split(',').map((value) => value.trim());
  if (parts.some((part) => part === '')) throw noRule(JSON.stringify(text));
  const wordOf = Object.hasOwn(WORDS, name) ? WORDS[name] : undefined;
  if (wordOf !== undefined) return wordsOf(operator, parts, wordOf, text);
  const numberOf = Object.hasOwn(NUMBERS, name) ? NUMBERS[name] : undefined;
  if (numberOf !== undefined) return numbersOf(operator, parts, numberOf, text);
  const known = [...Object.keys(WORDS), ...Object.keys(NUMBERS), 'every'];
  throw noRule(`${JSON.stringify(name)}, which is none of ${known.join(', ')}`);
}

function everyOf(operator: Operator, value: string, text: string): Holdout {
  const every = /^\d{1,9}$/.test(value) ? Number(value) : 0;
  if (operator !== '=' || every < 2) {
    throw noRule(`${JSON.stringify(text)}, where every= takes a whole number of at least 2`);
  }
  return (_, index) => index % every === every - 1;
}

function wordsOf(
  operator: Operator,
  values: readonly string[],
  wordOf: (point: MeasuredPoint) => string,
  text: string,
): Holdout {
  if (operator !== '=' && operator !== '!=') {
    throw noRule(`${JSON.stringify(text)}, where words take = or !=`);
  }
  return (point) => values.includes(wordOf(point)) === (operator === '=');
}

function numbersOf(
  operator: Operator,
  values: readonly string[],
  numberOf: (point: MeasuredPoint) => number,
  text: string,
): Holdout {
  const numbers = values.map((value) => {
    const number = parseSize(value);
    if (number === undefined) throw noRule(`${JSON.stringify(value)} in ${JSON.stringify(text)}`);
    return number;
  });
  const [first = 0, ...others] = numbers;
  if (operator === '=' || operator === '!=') {
    return (point) => numbers.includes(numberOf(point)) === (operator === '=');
  }
  if (others.length > 0) {
    throw noRule(`${JSON.stringify(text)}, where ${operator} takes one number`);
  }
  return (point) => isOrdered(numberOf(point), operator, first);
}

function isOrdered(value: number, operator: Operator, limit: number): boolean {
  switch (operator) {
    case '>':
      return value > limit;
    case '<':
      return value < limit;
    case '>=':
      return value >= limit;
    default:
      return value <= limit;
  }
}

function noRule(found: string): HlsimError {
  return new HlsimError(
    'HLSIM_USAGE',
    `Expected what to hold out as ${HOLDOUT_FORMS} but found ${found}`,
  );
}
