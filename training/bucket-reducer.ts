/**
 * Communication of a step: every bucket is all-reduced in place on a stream of its own beside the default
 * one, and an event behind it says when its sums are there. The device goes on computing meanwhile.
 */
import type * as Library from 'hlsim';
import { defined } from '../common/assert.ts';
import type { Clock } from '../common/clock.ts';
import { type Bucket, FLOAT_BYTES } from './buckets.ts';

/** The calls that this file makes: the package's, or those of a test. */
export type ReducerLibrary = Pick<
  typeof Library,
  | 'hcclAllReduce'
  | 'hcclFloat32'
  | 'hcclSum'
  | 'synEventCreate'
  | 'synEventDestroy'
  | 'synEventRecord'
  | 'synEventSynchronize'
  | 'synStreamCreate'
  | 'synStreamDestroy'
  | 'synStreamSynchronize'
>;

export interface ReducerInit {
  readonly library: ReducerLibrary;
  readonly comm: Library.HcclComm;
  readonly clock: Clock;
  /** Device address of the gradients' buffer. */
  readonly gradients: number;
  readonly buckets: readonly Bucket[];
}

export class BucketReducer {
  readonly #init: ReducerInit;
  readonly #stream: Library.HcclStream;
  /** One for each bucket. */
  readonly #events: readonly Library.SynEvent[];
  #begun: Promise<void>[] = [];
  #lastEndMs = 0;
  #busyMs = 0;

  private constructor(
    init: ReducerInit,
    stream: Library.HcclStream,
    events: readonly Library.SynEvent[],
  ) {
    this.#init = init;
    this.#stream = stream;
    this.#events = events;
  }

  static async open(init: ReducerInit): Promise<BucketReducer> {
    const { library, buckets } = init;
    const stream = await library.synStreamCreate();
    const events: Library.SynEvent[] = [];
    for (const _ of buckets) events.push(await library.synEventCreate());
    return new BucketReducer(init, stream, events);
  }

  /** Queues bucket `index`, whose gradients must be complete, behind those queued before. Does not wait. */
  begin(index: number): void {
    const begun = this.#reduce(index);
    // Its failure is told by `finish`, which may come much later.
    begun.catch(() => undefined);
    this.#begun.push(begun);
  }

  /**
   * Waits until everything that was begun has ended, and returns for how many milliseconds the stream had
   * something to do. Throws the first failure: what the buckets hold then is of no use.
   */
  async finish(): Promise<number> {
    await Promise.all(this.#begun.splice(0));
    await this.#init.library.synStreamSynchronize(this.#stream);
    const busyMs = this.#busyMs;
    this.#busyMs = 0;
    return busyMs;
  }

  async close(): Promise<void> {
    const { synEventDestroy, synStreamDestroy } = this.#init.library;
    for (const event of this.#events) await synEventDestroy(event);
    await synStreamDestroy(this.#stream);
  }

  async #reduce(index: number): Promise<void> {
    const { library, comm, clock, gradients, buckets } = this.#init;
    const { offset, count } = defined(buckets[index], `bucket ${index}`);
    const event = defined(this.#events[index], `the event of bucket ${index}`);
    const address = gradients + offset * FLOAT_BYTES;
    const { hcclAllReduce, hcclFloat32, hcclSum } = library;
    const startMs = clock.now();
    await Promise.all([
      hcclAllReduce(address, address, count, hcclFloat32, hcclSum, comm, this.#stream),
      // Posted at once: the calls of a process are taken up in their order.
      library.synEventRecord(event, this.#stream),
    ]);
    await library.synEventSynchronize(event);
    const endMs = clock.now();
    // The stream takes one after the other: this one began at the earliest when the last had ended.
    this.#busyMs += endMs - Math.max(startMs, this.#lastEndMs);
    this.#lastEndMs = endMs;
  }
}
