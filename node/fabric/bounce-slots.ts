/**
 * Slots of host memory in one registered region: where messages wait to be sent, and where they land.
 * A slot holds a message header and one segment.
 */
import { assert } from '../../common/assert.ts';
import { isErrno } from '../../common/errno.ts';
import type { IbvPd } from '../verbs/context.ts';
import { type IbvAccessFlag, type IbvMr, ibv_dereg_mr, ibv_reg_mr } from '../verbs/mr.ts';
import type { IbvSge } from '../verbs/work-request.ts';
import { MESSAGE_HEADER_BYTES, SEGMENT_BYTES } from './message-header.ts';

export const SLOT_BYTES = MESSAGE_HEADER_BYTES + SEGMENT_BYTES;

export class BounceSlots {
  readonly #bytes: Uint8Array;
  readonly #mr: IbvMr;
  readonly #free: number[] = [];

  constructor(pd: IbvPd, count: number, access: readonly IbvAccessFlag[]) {
    this.#bytes = new Uint8Array(count * SLOT_BYTES);
    const mr = ibv_reg_mr(pd, this.#bytes, 0, access);
    assert(!isErrno(mr), `Expected host memory to be registered but found ${String(mr)}`);
    this.#mr = mr;
    for (let slot = count - 1; slot >= 0; slot--) this.#free.push(slot);
  }

  get free(): number {
    return this.#free.length;
  }

  take(): number {
    const slot = this.#free.pop();
    assert(slot !== undefined, 'Expected a free slot');
    return slot;
  }

  give(slot: number): void {
    this.#free.push(slot);
  }

  /** The first `length` bytes of a slot. */
  bytes(slot: number, length = SLOT_BYTES): Uint8Array {
    return this.#bytes.subarray(slot * SLOT_BYTES, slot * SLOT_BYTES + length);
  }

  sge(slot: number, length = SLOT_BYTES): IbvSge {
    return { lkey: this.#mr.lkey, address: slot * SLOT_BYTES, length };
  }

  close(): void {
    void ibv_dereg_mr(this.#mr);
  }
}
