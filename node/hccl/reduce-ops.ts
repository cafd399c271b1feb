/** Reductions of one communicator: HCCL's own, and those that the program has created. */
import { hcclError, invalidArgument } from './failure.ts';
import {
  HCCL_DATA_TYPES,
  HCCL_REDUCE_OPS,
  HCCL_USER_OPS_FROM,
  HCCL_USER_OPS_MAX,
  type HcclRedOp,
  hcclAvg,
} from './hccl.ts';

/** What one rank does in a reduction. Ranks must agree in `agreedOp`. */
export type Reduction =
  | { readonly kind: 'plain'; readonly agreedOp: number }
  /** A sum whose result is divided by the number of ranks. */
  | { readonly kind: 'average'; readonly agreedOp: number }
  /** A sum to which this rank contributes `scalar` times its input. */
  | { readonly kind: 'preMulSum'; readonly agreedOp: number; readonly scalar: number };

interface UserOp {
  readonly scalar: number;
  readonly dataType: number;
}

const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  uint64: [0, Number.MAX_SAFE_INTEGER],
};

export class ReduceOps {
  readonly #created = new Map<HcclRedOp, UserOp>();
  #next = HCCL_USER_OPS_FROM;

  /**
   * hcclRedOpCreatePreMulSum. Throws hcclInvalidArgument for a scalar that the type does not have,
   * hcclInvalidUsage beyond `HCCL_USER_OPS_MAX`.
   */
  create(scalar: number, dataType: number): HcclRedOp {
    checkScalar(scalar, dataType);
    if (this.#created.size >= HCCL_USER_OPS_MAX) {
      const message = `Expected at most ${HCCL_USER_OPS_MAX} user-created reductions: destroy one first`;
      throw hcclError({ result: 'hcclInvalidUsage', message });
    }
    const op = this.#next++;
    this.#created.set(op, { scalar, dataType });
    return op;
  }

  /** hcclRedOpDestroy. Calls that are queued keep it. Throws hcclInvalidArgument if there is none. */
  destroy(op: HcclRedOp): void {
    if (this.#created.delete(op)) return;
    throw invalidArgument(`Expected a user-created reduction but found ${op}`);
  }

  /** Throws hcclInvalidArgument if `op` is no reduction, or one for another data type. */
  find(op: number, dataType: number): Reduction {
    const created = this.#created.get(op);
    if (created === undefined) return builtIn(op, this.#created.keys());
    if (created.dataType === dataType) {
      return { kind: 'preMulSum', agreedOp: HCCL_USER_OPS_FROM, scalar: created.scalar };
    }
    throw invalidArgument(
      `Expected reduction ${op} to be used with data type ${created.dataType} but found ${dataType}`,
    );
  }
}

function builtIn(op: number, created: Iterable<number>): Reduction {
  if (op < HCCL_USER_OPS_FROM && HCCL_REDUCE_OPS.has(op)) {
    return { kind: op === hcclAvg ? 'average' : 'plain', agreedOp: op };
  }
  const known = [...HCCL_REDUCE_OPS.keys()].filter((one) => one < HCCL_USER_OPS_FROM);
  throw invalidArgument(`Expected a reduction of ${[...known, ...created]} but found ${op}`);
}

function checkScalar(scalar: number, dataType: number): void {
  const type = HCCL_DATA_TYPES.get(dataType);
  if (type === undefined) {
    const known = [...HCCL_DATA_TYPES.keys()];
    throw invalidArgument(`Expected a data type of ${known} but found ${dataType}`);
  }
  const range = RANGES[type.name];
  if (range === undefined) return;
  const [least, most] = range;
  if (Number.isInteger(scalar) && scalar >= least && scalar <= most) return;
  throw invalidArgument(
    `Expected a scalar of ${type.name} from ${least} to ${most} but found ${scalar}`,
  );
}
