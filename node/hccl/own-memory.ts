/** Device memory that HCCL keeps for one communicator: receive slots, and what barrier and flush work on. */
import { FLUSH_BYTES } from './flush.ts';
import { slotPoolBytes } from './lanes.ts';

/** Elements that a barrier reduces: one at least for each chunk of its schedule. */
export const BARRIER_ELEMENTS = 64;
const BARRIER_BYTES = 4 * BARRIER_ELEMENTS;

/** Where the parts lie, from the start of the memory. */
export interface OwnMemoryLayout {
  readonly barrierOffset: number;
  /** Absent: nothing is flushed. */
  readonly flushOffset: number | undefined;
  readonly bytes: number;
}

/** The slots come first: peers know where. */
export function ownMemoryLayout(nranks: number, hasFlush: boolean): OwnMemoryLayout {
  const barrierOffset = slotPoolBytes(nranks);
  const end = barrierOffset + BARRIER_BYTES;
  return {
    barrierOffset,
    flushOffset: hasFlush ? end : undefined,
    bytes: hasFlush ? end + FLUSH_BYTES : end,
  };
}
