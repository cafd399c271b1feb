// The operations as types, to be handed to `elementwise.ts`: each takes its arithmetic from the element type L.

/** Numbers of the operations, as in hcclRedOp_t. */
export const SUM: u32 = 0;
export const PROD: u32 = 1;
export const MIN: u32 = 2;
export const MAX: u32 = 3;
export const AVG: u32 = 4;

@unmanaged
export class Sum<L> {
  @inline
  of(a: v128, b: v128): v128 {
    return changetype<L>(0).sum(a, b);
  }
}

@unmanaged
export class Prod<L> {
  @inline
  of(a: v128, b: v128): v128 {
    return changetype<L>(0).prod(a, b);
  }
}

@unmanaged
export class Min<L> {
  @inline
  of(a: v128, b: v128): v128 {
    return changetype<L>(0).min(a, b);
  }
}

@unmanaged
export class Max<L> {
  @inline
  of(a: v128, b: v128): v128 {
    return changetype<L>(0).max(a, b);
  }
}

/** a times a vector of factors, in the precision that the element type computes in. */
@unmanaged
export class Scale<L> {
  @inline
  of(a: v128, factor: v128): v128 {
    return changetype<L>(0).scale(a, factor);
  }
}

/** The operation that `op` names; `AVG` is a sum until the end. */
export function reduced<L>(op: u32, a: v128, b: v128): v128 {
  const lanes = changetype<L>(0);
  switch (op) {
    case PROD:
      return lanes.prod(a, b);
    case MIN:
      return lanes.min(a, b);
    case MAX:
      return lanes.max(a, b);
    default:
      return lanes.sum(a, b);
  }
}
