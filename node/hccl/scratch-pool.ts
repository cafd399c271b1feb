/**
 * Device memory that a communicator's programs work in beside the callers' buffers: scratch chunks,
 * slots of further lanes, staged messages. One region for all operations, since one runs at a time.
 */

import { KiB } from '../../common/bytes.ts';
import { SystemCallError } from '../process/system-call.ts';
import type { DeviceSession } from './device-session.ts';
import type { LocalBuffer } from './operation.ts';

/** The least that is allocated: one page of device memory. */
const SCRATCH_BYTES_MIN = 64 * KiB;

export class ScratchPool {
  readonly #session: Pick<DeviceSession, 'allocate' | 'release'>;
  #buffer: LocalBuffer | undefined;

  constructor(session: Pick<DeviceSession, 'allocate' | 'release'>) {
    this.#session = session;
  }

  /** The buffer if it has `bytes`: for callers who would rather not wait. */
  find(bytes: number): LocalBuffer | undefined {
    return this.#buffer !== undefined && this.#buffer.bytes >= bytes ? this.#buffer : undefined;
  }

  /**
   * A buffer of at least `bytes`, for one operation: the next `reserve` may move it. Throws
   * hcclOutOfMemory if the device has too little.
   */
  async reserve(bytes: number): Promise<LocalBuffer> {
    const found = this.find(bytes);
    if (found !== undefined) return found;
    await this.release();
    // More than is asked for, so that it need not grow with every call; but not at any price.
    const roomy = Math.max(SCRATCH_BYTES_MIN, 2 ** Math.ceil(Math.log2(bytes)));
    const made = await this.#allocate(roomy).catch((reason: unknown) => {
      const isTooMuch = reason instanceof SystemCallError && reason.code === 'hcclOutOfMemory';
      if (!isTooMuch || roomy === bytes) throw reason;
      return this.#allocate(bytes);
    });
    this.#buffer = made;
    return made;
  }

  async #allocate(bytes: number): Promise<LocalBuffer> {
    const { address, mr } = await this.#session.allocate(bytes, 'scratch memory');
    return { address, bytes, mr };
  }

  /** Gives the memory back. */
  async release(): Promise<void> {
    const buffer = this.#buffer;
    this.#buffer = undefined;
    if (buffer !== undefined) await this.#session.release(buffer.address);
  }
}
