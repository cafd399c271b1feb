// The hash that test data is made of: Wellons, "Prospecting for hash functions", 2018 (lowbias32), over the element's
// index, its rank and a seed. Written once more in TypeScript, in `../../pattern.ts`.

const ELEMENT: i32 = 0x9e3779b1;
const RANK: i32 = 0x85ebca77;
const SEED: i32 = 0xc2b2ae3d;
const MIX_1: i32 = 0x7feb352d;
const MIX_2: i32 = 0x846ca68b;

@unmanaged
export class Hash {
  /** What rank and seed add to the hash of every element. */
  @inline
  share(rank: u32, seed: u32): i32 {
    return (rank as i32) * RANK + (seed as i32) * SEED;
  }

  /** The hashes of the elements with these indices. */
  @inline
  of(indices: v128, share: i32): v128 {
    let x = i32x4.add(i32x4.mul(indices, i32x4.splat(ELEMENT)), i32x4.splat(share));
    x = v128.xor(x, i32x4.shr_u(x, 16));
    x = i32x4.mul(x, i32x4.splat(MIX_1));
    x = v128.xor(x, i32x4.shr_u(x, 15));
    return i32x4.mul(x, i32x4.splat(MIX_2));
  }
}
