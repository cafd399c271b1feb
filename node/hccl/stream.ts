/** Streams: queues of work that runs in order, and where its failures wait to be asked for. */
import { HCCL_DEFAULT_STREAM, type HcclStream } from './hccl.ts';

/** Streams of one process. */
export const HCCL_STREAMS_MAX = 64;
/** Calls, groups and waits queued on one stream; a further one waits until there is room. */
export const STREAM_DEPTH_MAX = 256;
/** A stream that was full has room again when no more than this are left: whoever waits is woken once for many. */
const REFILL_DEPTH = STREAM_DEPTH_MAX / 2;

export class Stream {
  #tail: Promise<void> = Promise.resolve();
  #queued = 0;
  #failure: Error | undefined;
  readonly #waitingForRoom: (() => void)[] = [];

  /** Waits until the stream takes one more piece of work, which then has its place. First come, first served. */
  async room(): Promise<void> {
    const isFull = this.#queued >= STREAM_DEPTH_MAX || this.#waitingForRoom.length > 0;
    if (!isFull) this.#queued++;
    else await new Promise<void>((resume) => this.#waitingForRoom.push(resume));
  }

  /**
   * Runs `task`, for which there is `room`, after everything queued before it. Returns when it has
   * ended; a failure of it waits for `synchronize`.
   */
  enqueue(task: () => Promise<void>): Promise<void> {
    const ended = this.#tail.then(task).then(this.#taskEnded, (reason: Error) => {
      this.#failure ??= reason;
      this.#taskEnded();
    });
    this.#tail = ended;
    return ended;
  }

  readonly #taskEnded = (): void => {
    this.#queued--;
    if (this.#queued <= REFILL_DEPTH) this.#refill();
  };

  #refill(): void {
    while (this.#queued < STREAM_DEPTH_MAX) {
      const next = this.#waitingForRoom.shift();
      if (next === undefined) return;
      this.#queued++;
      next();
    }
  }

  /** Resolves when everything that is queued now has ended, well or not. */
  get tail(): Promise<void> {
    return this.#tail;
  }

  /** Waits until the stream is empty; throws its first failure since the last call. */
  async synchronize(): Promise<void> {
    await this.#tail;
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
  }
}

/** The streams of one process; the default stream is always there. */
export class StreamTable {
  readonly #streams = new Map<HcclStream, Stream>([[HCCL_DEFAULT_STREAM, new Stream()]]);
  #next = HCCL_DEFAULT_STREAM + 1;

  /** `undefined` when the process has `HCCL_STREAMS_MAX`. */
  create(): HcclStream | undefined {
    if (this.#streams.size >= HCCL_STREAMS_MAX) return undefined;
    const stream = this.#next++;
    this.#streams.set(stream, new Stream());
    return stream;
  }

  get(stream: HcclStream): Stream | undefined {
    return this.#streams.get(stream);
  }

  delete(stream: HcclStream): void {
    this.#streams.delete(stream);
  }
}
