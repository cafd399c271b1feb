/**
 * What a topology file says: parameters, kinds of cards, kinds of boxes, the boxes, the switches between
 * them, and links. docs/topologies.md is the reference for people.
 */
import { z } from 'zod';
import { parseQuantity } from './quantities.ts';

/** Cards of one box kind. */
export const CARDS_PER_BOX_MAX = 1024;
/** As HCCL's own limit of ranks, twice. */
export const CARDS_MAX = 16_384;
export const BOXES_MAX = CARDS_MAX;
/** Parallel cables that one link of the file stands for. */
const PORTS_MAX = 1024;
const SWITCHES_MAX = 4096;
const NODES_MAX = 256;
const NAME_LENGTH_MAX = 64;
const TEXT_LENGTH_MAX = 1000;
const PARAMETERS_MAX = 1000;
const LINKS_MAX = 20_000;

const PARAMETER_NAME = /^[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z][A-Za-z0-9]*)*$/;
/** No digit at the end: `card3` is the fourth of `card`. */
const NODE_NAME = /^(?:[A-Za-z][A-Za-z0-9_-]*[A-Za-z]|[A-Za-z])$/;
const KIND_NAME = /^[A-Za-z][A-Za-z0-9_-]*$/;

/** The error of each schema completes `Expected ... to be`. */
function matching(pattern: RegExp, expected: string): z.ZodString {
  return z.string({ error: expected }).max(NAME_LENGTH_MAX, expected).regex(pattern, expected);
}

function wholeNumber(from: number, to: number): z.ZodNumber {
  const expected = `a whole number from ${from} to ${to}`;
  return z.number({ error: expected }).int(expected).min(from, expected).max(to, expected);
}

function record<T extends z.ZodType>(
  names: z.ZodString,
  values: T,
  [from, to]: readonly [number, number],
  what: string,
): z.ZodRecord<z.ZodString, T> {
  return z.record(names, values, { error: `${what} by name` }).refine((entries) => {
    const count = Object.keys(entries).length;
    return count >= from && count <= to;
  }, `${from} to ${to} ${what}, by name`);
}

const sentence = (what: string): z.ZodString =>
  z.string({ error: what }).min(1, what).max(TEXT_LENGTH_MAX, `${what} of at most 1000 letters`);
const parameterName = matching(
  PARAMETER_NAME,
  'the name of a parameter: words with dots between, such as scaleUp.rate',
);
const nodeName = matching(
  NODE_NAME,
  'a name of letters, digits, - and _ that ends with a letter, such as bus',
);
const kindName = matching(
  KIND_NAME,
  'a name that begins with a letter, then letters, digits, - and _',
);
const VALUE = 'a rate such as 37.5GB/s, a time such as 700ns, or a number such as 0.98 or 98%';

/** Value with its quantity, source and status. */
export const parameterSchema = z.strictObject(
  {
    value: z.union([z.string(), z.number()], { error: VALUE }).transform((given, context) => {
      const read = parseQuantity(String(given));
      if (read !== undefined) return { text: String(given), ...read };
      context.addIssue({ code: 'custom', message: VALUE });
      return z.NEVER;
    }),
    source: sentence('a text that says where the value is from'),
    status: z.enum(['published', 'derived', 'assumed'], {
      error: 'one of published, derived, assumed',
    }),
  },
  { error: 'the fields value, source, status' },
);

const cardKind = z.strictObject(
  {
    issue: parameterName,
    reduce: parameterName,
    copy: parameterName,
    /** The cores that do all this, and what a turn of an event loop takes there. */
    cores: nodeName.optional(),
    turn: parameterName.optional(),
  },
  { error: 'the fields issue, reduce, copy, and cores and turn if cards share cores' },
);

const end = z
  .string({ error: 'the name of a card, a node or a switch' })
  .min(1, 'the name of a card, a node or a switch')
  .max(2 * NAME_LENGTH_MAX, 'the name of a card, a node or a switch');

const link = z.strictObject(
  {
    kind: kindName,
    from: end,
    to: end,
    wiring: z.enum(['mesh', 'ring', 'all'], { error: 'one of mesh, ring, all' }).optional(),
    ports: wholeNumber(1, PORTS_MAX).default(1),
    duplex: z.enum(['full', 'half', 'none'], { error: 'one of full, half, none' }).default('full'),
    rate: parameterName,
    latency: parameterName,
    efficiency: parameterName.optional(),
  },
  { error: 'the fields kind, from, to, rate, latency' },
);
const links = z
  .array(link, { error: 'a list of links' })
  .max(LINKS_MAX, `at most ${LINKS_MAX} links`);

const cardsOfBox = z.strictObject(
  { kind: kindName, count: wholeNumber(1, CARDS_PER_BOX_MAX) },
  { error: 'the fields kind, count' },
);

const boxKind = z.strictObject(
  {
    cards: z
      .union([cardsOfBox, z.array(cardsOfBox).min(1).max(CARDS_PER_BOX_MAX)], {
        error: 'the fields kind and count, or a list of them',
      })
      .transform((given) => (Array.isArray(given) ? given : [given])),
    nodes: record(
      nodeName,
      z.strictObject(
        {
          count: wholeNumber(1, NODES_MAX).default(1),
          /** Where the host-bounce path stores messages. */
          memory: z.boolean({ error: 'true or false' }).default(false),
        },
        { error: 'the fields count, memory, or {}' },
      ),
      [0, NODES_MAX],
      'nodes',
    ).default({}),
    links: links.default([]),
  },
  { error: 'the fields cards, nodes, links' },
);

const switchSet = z.strictObject(
  {
    count: wholeNumber(1, SWITCHES_MAX).optional(),
    /** One switch for every so many boxes, in the order of the boxes. */
    boxesEach: wholeNumber(1, BOXES_MAX).optional(),
    /** Of the rates of everything that enters it, what it can pass on. */
    taper: parameterName.optional(),
  },
  { error: 'the fields count, boxesEach, taper, or {}' },
);

const cores = z.strictObject({ count: parameterName }, { error: 'the field count' });

export const topologySchema = z.strictObject(
  {
    name: kindName,
    description: sentence('a text').optional(),
    parameters: record(parameterName, parameterSchema, [1, PARAMETERS_MAX], 'parameters'),
    /** Cores that cards share, of which every one works for one card at a time. */
    cores: record(nodeName, cores, [0, NODES_MAX], 'sets of cores').default({}),
    cards: record(kindName, cardKind, [1, NODES_MAX], 'kinds of cards'),
    boxKinds: record(kindName, boxKind, [1, NODES_MAX], 'kinds of boxes'),
    boxes: z
      .array(
        z.strictObject(
          { kind: kindName, count: wholeNumber(1, BOXES_MAX).default(1) },
          { error: 'the fields kind, count' },
        ),
        { error: 'a list of boxes' },
      )
      .min(1, 'a list of at least one box')
      .max(BOXES_MAX, `a list of at most ${BOXES_MAX} boxes`),
    switches: record(nodeName, switchSet, [0, NODES_MAX], 'switches').default({}),
    links: links.default([]),
  },
  { error: 'the fields name, parameters, cores, cards, boxKinds, boxes, switches, links' },
);

type Checked = z.output<typeof topologySchema>;
export type LinkSpec = Checked['links'][number];
export type BoxKind = Checked['boxKinds'][string];
export type CardKind = Checked['cards'][string];
export type SwitchSet = Checked['switches'][string];
export type FileParameter = Checked['parameters'][string];

/** A file that was read; the names in it all have what they name, and every quantity is of its kind. */
export type TopologyFile = Checked;
