/**
 * Atomic operations on 8 bytes (InfiniBand Architecture Specification, volume 1, section 9.4.5): what
 * their frames carry, what they do to memory, and the answers that a responder keeps, so that a
 * request that comes again is answered and not executed again. Integers are little-endian.
 *
 * They are atomic among the requests of this NIC (IBV_ATOMIC_HCA), not against the device's own work.
 */
import { assert } from '../../common/assert.ts';
import type { FrameHeader } from '../transport/frame.ts';
import { NIC_LIMITS } from './limits.ts';
import type { IbvSendWr } from './work-request.ts';

export const ATOMIC_BYTES = 8;

/** Payload of a request: compare and swap, or what to add. */
export function encodeOperands(wr: IbvSendWr): Uint8Array {
  const cas = wr.opcode === 'IBV_WR_ATOMIC_CMP_AND_SWP';
  const bytes = new Uint8Array(cas ? 2 * ATOMIC_BYTES : ATOMIC_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt.asUintN(64, wr.compare_add ?? 0n), true);
  if (cas) view.setBigUint64(ATOMIC_BYTES, BigInt.asUintN(64, wr.swap ?? 0n), true);
  return bytes;
}

/** Executes the request on the 8 bytes of `memory`, given as views; returns what stood there. */
export function executeAtomic(
  type: FrameHeader['type'],
  operands: Uint8Array,
  memory: readonly Uint8Array[],
): Uint8Array {
  const original = joined(memory);
  const before = new DataView(original.buffer).getBigUint64(0, true);
  const view = new DataView(operands.buffer, operands.byteOffset, operands.byteLength);
  const first = view.getBigUint64(0, true);
  const after = new Uint8Array(ATOMIC_BYTES);
  const result = new DataView(after.buffer);
  if (type === 'ATOMIC_FAA') {
    result.setBigUint64(0, BigInt.asUintN(64, before + first), true);
  } else {
    assert(type === 'ATOMIC_CAS', `Expected an atomic request but found a ${type}`);
    result.setBigUint64(0, before === first ? view.getBigUint64(ATOMIC_BYTES, true) : before, true);
  }
  let offset = 0;
  for (const part of memory) {
    part.set(after.subarray(offset, offset + part.byteLength));
    offset += part.byteLength;
  }
  return original;
}

function joined(views: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ATOMIC_BYTES);
  let offset = 0;
  for (const view of views) {
    bytes.set(view, offset);
    offset += view.byteLength;
  }
  assert(offset === ATOMIC_BYTES, `Expected ${ATOMIC_BYTES} bytes but found ${offset}`);
  return bytes;
}

/**
 * Answers to the last atomic requests, by sequence number. A requester never has more than
 * `max_qp_rd_atom` of them unanswered, so an older one is known to have arrived.
 */
export class SavedReplies {
  readonly #replies = new Map<number, Uint8Array>();

  save(psn: number, reply: Uint8Array): void {
    // The number may have been used 2^32 frames ago.
    this.#replies.delete(psn);
    this.#replies.set(psn, reply);
    if (this.#replies.size <= NIC_LIMITS.max_qp_rd_atom) return;
    for (const oldest of this.#replies.keys()) {
      this.#replies.delete(oldest);
      return;
    }
  }

  get(psn: number): Uint8Array | undefined {
    return this.#replies.get(psn);
  }

  clear(): void {
    this.#replies.clear();
  }
}
