/**
 * Seeded pseudo-random numbers (xoshiro128**, Blackman and Vigna 2018, seeded by splitmix32). The
 * only source of randomness for anything whose result must repeat: same seed, same bits.
 */
import { assert } from './assert.ts';

export class Prng {
  readonly #state = new Uint32Array(4);

  constructor(seed: number) {
    assert(Number.isSafeInteger(seed), `Expected an integer seed but found ${seed}`);
    let mix = seed >>> 0;
    for (let index = 0; index < 4; index++) {
      mix = (mix + 0x9e3779b9) >>> 0;
      let word = mix ^ (mix >>> 16);
      word = Math.imul(word, 0x21f0aaad);
      word ^= word >>> 15;
      word = Math.imul(word, 0x735a2d97);
      this.#state[index] = word ^ (word >>> 15);
    }
  }

  /** A uniform unsigned 32-bit integer. */
  uint32(): number {
    const [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = this.#state;
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
    const shifted = s1 << 9;
    const a = s2 ^ s0;
    const b = s3 ^ s1;
    this.#state[1] = s1 ^ a;
    this.#state[0] = s0 ^ b;
    this.#state[2] = a ^ shifted;
    this.#state[3] = rotateLeft(b, 11);
    return result;
  }

  /** Uniform in [0, 1). */
  float(): number {
    return this.uint32() / 2 ** 32;
  }

  /** Uniform integer in [0, bound). */
  below(bound: number): number {
    assert(bound > 0, `Expected a bound above 0 but found ${bound}`);
    return Math.floor(this.float() * bound);
  }

  /** Standard normal variate (Box and Muller 1958). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.float()));
    return radius * Math.cos(2 * Math.PI * this.float());
  }

  /** Shuffles `items` in place (Fisher and Yates) and returns it. */
  shuffle<T>(items: T[]): T[] {
    for (let last = items.length - 1; last > 0; last--) {
      const other = this.below(last + 1);
      const kept = items[last] as T;
      items[last] = items[other] as T;
      items[other] = kept;
    }
    return items;
  }
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
