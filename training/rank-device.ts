/**
 * One rank's device, as a program uses it: submits jobs and waits for them, moves bytes between user
 * memory and HBM through one staging buffer, and remembers what it allocated.
 */
import type * as Library from 'hlsim';
import { HlsimError } from '../common/errors.ts';

/** The calls that this file makes: the package's, or those of a test. */
export type DeviceLibrary = Pick<
  typeof Library,
  | 'hlthunk_command_submission'
  | 'hlthunk_wait_for_cs'
  | 'hlthunk_host_memory_map'
  | 'hlthunk_memory_unmap'
  | 'hostMemoryAlloc'
  | 'allocateDevice'
  | 'freeDevice'
>;

/** Longest that one submission may take: far above what the largest buffers need. */
const SUBMISSION_DEADLINE_US = 120_000_000;

export class RankDevice {
  readonly #library: DeviceLibrary;
  readonly #fd: number;
  readonly #staging: Uint8Array;
  readonly #stagingAddress: number;
  readonly #allocations: number[] = [];

  private constructor(
    library: DeviceLibrary,
    fd: number,
    staging: Uint8Array,
    stagingAddress: number,
  ) {
    this.#library = library;
    this.#fd = fd;
    this.#staging = staging;
    this.#stagingAddress = stagingAddress;
  }

  /** `stagingBytes`: longer uploads and downloads go in parts of this length. */
  static async open(library: DeviceLibrary, fd: number, stagingBytes: number): Promise<RankDevice> {
    const { address, bytes } = library.hostMemoryAlloc(stagingBytes);
    const stagingAddress = await library.hlthunk_host_memory_map(fd, address, stagingBytes);
    return new RankDevice(library, fd, bytes, stagingAddress);
  }

  /** The address of `bytes` (at least one page's worth is taken) of HBM. Freed by `close`. */
  async allocate(bytes: number): Promise<number> {
    const address = await this.#library.allocateDevice(this.#fd, Math.max(1, bytes));
    this.#allocations.push(address);
    return address;
  }

  /** Runs the jobs as one submission, to its end. Throws `HLSIM_TIMEOUT`, `HLSIM_INTERNAL`. */
  async run(jobs: readonly Library.Job[]): Promise<void> {
    if (jobs.length > 0) await this.wait(await this.submit(jobs));
  }

  /** Queues the jobs, at least one, behind what was submitted before: the number of the submission. */
  submit(jobs: readonly Library.Job[]): Promise<number> {
    return this.#library.hlthunk_command_submission(this.#fd, jobs);
  }

  /** Waits for the end of a submission. Throws `HLSIM_TIMEOUT`, `HLSIM_INTERNAL`. */
  async wait(sequence: number): Promise<void> {
    const { hlthunk_wait_for_cs } = this.#library;
    const status = await hlthunk_wait_for_cs(this.#fd, sequence, SUBMISSION_DEADLINE_US);
    if (status === 'COMPLETED') return;
    const code = status === 'ABORTED' ? 'HLSIM_INTERNAL' : 'HLSIM_TIMEOUT';
    throw new HlsimError(
      code,
      `Expected command submission ${sequence} to complete within ${SUBMISSION_DEADLINE_US / 1e6} s but found it ${status}`,
    );
  }

  /** Copies to HBM at `address`, by DMA. */
  async upload(data: Uint8Array, address: number): Promise<void> {
    for (const { offset, bytes } of this.#parts(data.byteLength)) {
      this.#staging.set(data.subarray(offset, offset + bytes));
      await this.#copy(this.#stagingAddress, address + offset, bytes);
    }
  }

  /** A copy of `bytes` bytes of HBM at `address`, by DMA. */
  async download(address: number, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    const data = new Uint8Array(bytes);
    for (const { offset, bytes: part } of this.#parts(bytes)) {
      await this.#copy(address + offset, this.#stagingAddress, part);
      data.set(this.#staging.subarray(0, part), offset);
    }
    return data;
  }

  /** Gives everything back. Not needed where the process ends: the kernel does the same. */
  async close(): Promise<void> {
    for (const address of this.#allocations.splice(0).reverse()) {
      await this.#library.freeDevice(this.#fd, address);
    }
    await this.#library.hlthunk_memory_unmap(this.#fd, this.#stagingAddress);
  }

  #copy(source: number, destination: number, bytes: number): Promise<void> {
    return this.run([{ kind: 'dma', source, destination, bytes }]);
  }

  *#parts(length: number): Generator<{ readonly offset: number; readonly bytes: number }> {
    const { byteLength } = this.#staging;
    for (let offset = 0; offset < length; offset += byteLength) {
      yield { offset, bytes: Math.min(byteLength, length - offset) };
    }
  }
}
