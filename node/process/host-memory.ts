/**
 * User memory that devices can reach: a bump allocator over the process's shared memory. Programs
 * allocate their few staging buffers once; there is no free.
 */
import { roundUp } from '../../common/math.ts';
import { currentProcess } from './current-process.ts';
import { errnoFailure } from './system-call.ts';

/** Cache line, and the alignment of every allocation. */
const ALIGNMENT_BYTES = 64;

export interface HostBuffer {
  /** User address, for hlthunk_host_memory_map. */
  readonly address: number;
  readonly bytes: Uint8Array;
}

let next = ALIGNMENT_BYTES;

/** `length` bytes of zeroed user memory. Throws ENOMEM when the process's memory is used up. */
export function hostMemoryAlloc(length: number): HostBuffer {
  const { memory } = currentProcess();
  const address = next;
  if (!Number.isSafeInteger(length) || length < 0 || address + length > memory.byteLength) {
    throw errnoFailure(
      'ENOMEM',
      `expected at most ${memory.byteLength - address} bytes of user memory but found a request for ${length}`,
    );
  }
  next = roundUp(address + length, ALIGNMENT_BYTES);
  return { address, bytes: new Uint8Array(memory, address, length) };
}
