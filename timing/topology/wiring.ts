/** Which of two sets of things a link of the file joins. */
import { defined } from '../../common/assert.ts';
import { HlsimError } from '../../common/errors.ts';
import type { LinkSpec } from './file.ts';

/** As many as a network may have links: more than any pairing that is of use. */
const PAIRS_MAX = 65_536;

/** Things of one name: `card`, `bus`, `spine`. */
export interface EndSet<End> {
  readonly name: string;
  readonly ends: readonly End[];
}

/**
 * The pairs that are joined:
 * - a set with itself: every pair once (`mesh`, unless `ring` is asked for: each with the next);
 * - one thing with each of many; `all`: each with each;
 * - two sets of one size: each with its own; of sizes where one is a multiple of the other: in blocks.
 *
 * @param room so many pairs may still be made; checked before the first is
 * @throws HlsimError `HLSIM_TOPOLOGY_UNREADABLE` for ends that are not there or cannot be paired,
 * `HLSIM_TOPOLOGY_IMPOSSIBLE` for more pairs than there is room for
 */
export function joinEnds<End>(
  spec: LinkSpec,
  sets: ReadonlyMap<string, EndSet<End>>,
  where: string,
  room: number = PAIRS_MAX,
): (readonly [End, End])[] {
  const from = chosen(spec.from, sets, where);
  const to = chosen(spec.to, sets, where);
  const count = pairCount(spec, from.length, to.length);
  if (count > room) {
    throw new HlsimError(
      'HLSIM_TOPOLOGY_IMPOSSIBLE',
      `Expected the link ${spec.kind} from ${spec.from} to ${spec.to} of ${where} to be at most ${room} cables, as many as are left, but found ${count}: use a switch`,
    );
  }
  if (spec.from === spec.to) return amongThemselves(spec, from, where);
  const others = new Set(to);
  if (from.some((end) => others.has(end))) {
    throw refuse(spec, where, 'two different ends, or one name twice, but found both ends in one');
  }
  if (spec.wiring === 'mesh' || spec.wiring === 'ring') {
    throw refuse(spec, where, `one name at both ends of a ${spec.wiring} but found two`);
  }
  if (spec.wiring === 'all') return from.flatMap((one) => to.map((other) => [one, other] as const));
  return inBlocks(spec, from, to, where);
}

/** No less than the pairs that would be made. */
function pairCount(spec: LinkSpec, from: number, to: number): number {
  if (spec.wiring === 'all') return from * to;
  if (spec.from !== spec.to || spec.wiring === 'ring') return Math.max(from, to);
  return (from * (from - 1)) / 2;
}

function amongThemselves<End>(
  spec: LinkSpec,
  ends: readonly End[],
  where: string,
): (readonly [End, End])[] {
  if (ends.length < 2) return [];
  const at = (index: number): End => defined(ends[index % ends.length], `end ${index}`);
  if (spec.wiring === 'ring') {
    const cables = ends.length === 2 ? 1 : ends.length;
    return Array.from({ length: cables }, (_, index) => [at(index), at(index + 1)] as const);
  }
  if (spec.wiring === 'all') throw refuse(spec, where, 'two names for wiring all but found one');
  return ends.flatMap((one, index) => ends.slice(index + 1).map((other) => [one, other] as const));
}

function inBlocks<End>(
  spec: LinkSpec,
  from: readonly End[],
  to: readonly End[],
  where: string,
): (readonly [End, End])[] {
  const [many, few] = from.length >= to.length ? [from, to] : [to, from];
  if (many.length % few.length !== 0) {
    throw refuse(
      spec,
      where,
      `as many of one end as of the other, or a multiple, but found ${from.length} and ${to.length}`,
    );
  }
  const block = many.length / few.length;
  return many.map((one, index) => {
    const other = defined(few[Math.floor(index / block)], `end ${index}`);
    return many === from ? ([one, other] as const) : ([other, one] as const);
  });
}

/** All of a name, or one: `card3`. */
function chosen<End>(
  name: string,
  sets: ReadonlyMap<string, EndSet<End>>,
  where: string,
): readonly End[] {
  const all = sets.get(name);
  if (all !== undefined) return all.ends;
  const match = /^(.*\D)(\d+)$/.exec(name);
  const set = match === null ? undefined : sets.get(match[1] ?? '');
  const one = set?.ends[Number(match?.[2])];
  if (one !== undefined) return [one];
  const names = [...sets.keys()].slice(0, 20).join(', ');
  const found = set === undefined ? '' : `, of which there are ${set.ends.length}`;
  throw new HlsimError(
    'HLSIM_TOPOLOGY_UNREADABLE',
    `Expected the links of ${where} to end at one of ${names} but found ${JSON.stringify(name)}${found}`,
  );
}

function refuse(spec: LinkSpec, where: string, expected: string): HlsimError {
  return new HlsimError(
    'HLSIM_TOPOLOGY_UNREADABLE',
    `Expected the link ${spec.kind} from ${spec.from} to ${spec.to} of ${where} to have ${expected}`,
  );
}
