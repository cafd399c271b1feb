/**
 * Which ranks contributed to a value, and how often: as small numbers. Equal sets have the same number,
 * and what two of them make together is worked out once (hash-consing: Ershov, "On programming of
 * arithmetic operations", Commun. ACM 1(8), 1958).
 */
import { HlsimError } from '../../common/errors.ts';
import type { Rank } from '../schedule.ts';

/** Contributions of one rank that are counted; more are as many. */
export const COUNT_MAX = 255;

/**
 * Sets at most, and bytes that their counts may take: a ring of 700 ranks makes an eighth of the one and
 * a third of the other. The pair of two numbers is exact in a double.
 */
const SETS_MAX = 2 ** 22;
const BYTES_MAX = 2 ** 30;
/** Sums that are remembered: behind that, all are worked out again. */
const SUMS_MAX = 2 ** 22;

export class ContributorSets {
  readonly nranks: number;
  /** Counts by rank, of one set after the other. */
  #counts: Uint8Array;
  #length = 0;
  /** By hash, the newest set that has it; then by set, the one before it with the same hash. */
  readonly #newest = new Map<number, number>();
  readonly #older: (number | undefined)[] = [];
  /** By set, whether it counts a rank more than once. */
  readonly #repeats: boolean[] = [];
  readonly #sums = new Map<number, number>();
  readonly #weights: Int32Array;
  /** The set of all ranks, each once. */
  readonly all: number;

  constructor(nranks: number) {
    this.nranks = nranks;
    this.#weights = Int32Array.from({ length: nranks }, (_, rank) => mixed(rank + 1));
    this.#counts = new Uint8Array(nranks * (nranks + 2));
    for (let rank = 0; rank < nranks; rank++) {
      this.#draft()[rank] = 1;
      this.#intern();
    }
    this.#draft().fill(1);
    this.all = this.#intern();
  }

  /** The set of one rank, once. */
  single(rank: Rank): number {
    return rank;
  }

  /** All that is in `a` and all that is in `b`. */
  sum(a: number, b: number): number {
    const pair = a < b ? a * SETS_MAX + b : b * SETS_MAX + a;
    let sum = this.#sums.get(pair);
    if (sum === undefined) {
      sum = this.#newSum(a, b);
      if (this.#sums.size >= SUMS_MAX) this.#sums.clear();
      this.#sums.set(pair, sum);
    }
    return sum;
  }

  /** How often the rank is in it, up to `COUNT_MAX`. */
  count(set: number, rank: Rank): number {
    return this.#counts[set * this.nranks + rank] as number;
  }

  /** Whether it has some rank more than once. */
  repeats(set: number): boolean {
    return this.#repeats[set] as boolean;
  }

  #newSum(a: number, b: number): number {
    const draft = this.#draft();
    const counts = this.#counts;
    const [first, second] = [a * this.nranks, b * this.nranks];
    for (let rank = 0; rank < draft.length; rank++) {
      const count = (counts[first + rank] as number) + (counts[second + rank] as number);
      draft[rank] = count > COUNT_MAX ? COUNT_MAX : count;
    }
    return this.#intern();
  }

  /** The counts of the set that may come next. */
  #draft(): Uint8Array {
    const start = this.#length * this.nranks;
    if (start + this.nranks > this.#counts.length) {
      const larger = new Uint8Array(this.#counts.length * 2);
      if (larger.length > BYTES_MAX) throw tooManySets(this.#length, this.nranks);
      larger.set(this.#counts);
      this.#counts = larger;
    }
    return this.#counts.subarray(start, start + this.nranks).fill(0);
  }

  /** The number of the set in the draft: a new one, unless there is one like it. */
  #intern(): number {
    const start = this.#length * this.nranks;
    let hash = 0;
    let repeats = false;
    for (let rank = 0; rank < this.nranks; rank++) {
      const count = this.#counts[start + rank] as number;
      if (count > 1) repeats = true;
      hash = (hash + Math.imul(count, this.#weights[rank] as number)) | 0;
    }
    const newest = this.#newest.get(hash);
    for (let set = newest; set !== undefined; set = this.#older[set]) {
      if (this.#isSame(set * this.nranks, start)) return set;
    }
    if (this.#length >= SETS_MAX) throw tooManySets(this.#length, this.nranks);
    const set = this.#length++;
    this.#newest.set(hash, set);
    this.#older.push(newest);
    this.#repeats.push(repeats);
    return set;
  }

  #isSame(a: number, b: number): boolean {
    for (let rank = 0; rank < this.nranks; rank++) {
      if (this.#counts[a + rank] !== this.#counts[b + rank]) return false;
    }
    return true;
  }
}

function tooManySets(sets: number, nranks: number): HlsimError {
  return new HlsimError(
    'HLSIM_PROGRAM_UNREADABLE',
    `Expected the reductions of a schedule to make few different sums but found more than ${sets} of ${nranks} ranks: ` +
      'such a schedule is too large to be proved',
  );
}

/** Spreads small numbers over all 32 bits (the finaliser of MurmurHash3, Appleby 2011). */
function mixed(value: number): number {
  let bits = Math.imul(value, 0x9e3779b1);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
