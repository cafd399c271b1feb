/**
 * The format does not say how big a scratch chunk is: it has all chunks of one size. Where the steps
 * leave each scratch chunk with data of one size only, on all ranks, it has that size, and the file does
 * for any count; else for counts that make all chunks the same size.
 */
import type { CollectiveShape } from '../collective.ts';
import { type Program, placeOf, type Step } from '../program.ts';
import type { Place, Rank } from '../schedule.ts';
import { sizeOf } from '../verifier/chunk-size.ts';

/** The logical chunk of every scratch chunk; `undefined` if not all chunks that meet are of one size. */
export function scratchSizes(
  programs: readonly Program[],
  scratchChunks: number,
): readonly number[] | undefined {
  const sizes = new Sizes(scratchChunks);
  for (const { a, b, count } of [...localMeetings(programs), ...messages(programs)]) {
    if (!sizes.meet(programs, a, b, count)) return undefined;
  }
  return sizes.list();
}

interface Site {
  readonly rank: Rank;
  readonly place: Place;
}

/** Two runs of chunks between which data goes. */
interface Meeting {
  readonly a: Site;
  readonly b: Site;
  readonly count: number;
}

function* localMeetings(programs: readonly Program[]): Generator<Meeting> {
  for (const { rank, channels } of programs) {
    for (const { src, dst, count } of channels.flatMap(({ steps }) => steps)) {
      if (src === undefined || dst === undefined) continue;
      yield { a: { rank, place: src }, b: { rank, place: dst }, count };
    }
  }
}

/** The n-th message of a connection goes from its n-th send to its n-th receive. */
function* messages(programs: readonly Program[]): Generator<Meeting> {
  const sent = new Map<string, Meeting['a'][]>();
  for (const [rank, lane, step] of stepsOf(programs)) {
    if (step.sendTo === undefined) continue;
    const key = `${rank} ${step.sendTo} ${lane}`;
    const site = { rank, place: placeOf(step) };
    const known = sent.get(key);
    if (known === undefined) sent.set(key, [site]);
    else known.push(site);
  }
  const taken = new Map<string, number>();
  for (const [rank, lane, step] of stepsOf(programs)) {
    if (step.recvFrom === undefined) continue;
    const key = `${step.recvFrom} ${rank} ${lane}`;
    const index = taken.get(key) ?? 0;
    taken.set(key, index + 1);
    const a = sent.get(key)?.[index];
    if (a !== undefined) yield { a, b: { rank, place: placeOf(step) }, count: step.count };
  }
}

function* stepsOf(programs: readonly Program[]): Generator<[Rank, number, Step]> {
  for (const { rank, channels } of programs) {
    for (const { lane, steps } of channels) {
      for (const step of steps) yield [rank, lane, step];
    }
  }
}

/** Scratch chunks in groups of one size, each with its logical chunk as soon as one is known. */
class Sizes {
  readonly #parent: number[];
  readonly #logical: (number | undefined)[];

  constructor(count: number) {
    this.#parent = Array.from({ length: count }, (_, index) => index);
    this.#logical = Array.from({ length: count });
  }

  /** Whether the sizes of `count` chunks from `a` and from `b` on can be the same. */
  meet(programs: readonly CollectiveShape[], a: Site, b: Site, count: number): boolean {
    for (let offset = 0; offset < count; offset++) {
      const [left, right] = [a, b].map((site) => this.#find(programs, site, offset));
      if (left === undefined || right === undefined) return false;
      if (!this.#unite(left, right)) return false;
    }
    return true;
  }

  /** A chunk that nothing meets may have any size. */
  list(): number[] {
    return this.#parent.map((_, index) => this.#logical[this.#root(index)] ?? 0);
  }

  #find(
    programs: readonly CollectiveShape[],
    { rank, place }: Site,
    offset: number,
  ): Size | undefined {
    const chunk = place.chunk + offset;
    if (place.buffer === 'scratch') {
      // Ends that disagree in their counts may point behind the last one.
      return chunk < this.#parent.length ? { group: this.#root(chunk) } : undefined;
    }
    const shape = programs[rank] as CollectiveShape;
    // Chunks of one size have one number, which is that of a logical chunk of this size.
    return { logical: sizeOf(shape, rank, place.buffer, chunk) };
  }

  #unite(a: Size, b: Size): boolean {
    if ('logical' in a) return 'logical' in b ? a.logical === b.logical : this.#unite(b, a);
    const known = this.#logical[a.group];
    const other = 'logical' in b ? b.logical : this.#logical[b.group];
    if (known !== undefined && other !== undefined && known !== other) return false;
    const logical = known ?? other;
    if ('group' in b) this.#parent[a.group] = b.group;
    this.#logical['group' in b ? b.group : a.group] = logical;
    return true;
  }

  #root(index: number): number {
    let root = index;
    while (this.#parent[root] !== root) root = this.#parent[root] as number;
    let current = index;
    while (current !== root) {
      const next = this.#parent[current] as number;
      this.#parent[current] = root;
      current = next;
    }
    return root;
  }
}

type Size = { readonly logical: number } | { readonly group: number };
