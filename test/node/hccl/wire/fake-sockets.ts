/**
 * Wires without an operating system: pipes of bytes in one process, of which each call takes or gives as much
 * as the test lets it.
 */
import { assert, defined } from '../../../../common/assert.ts';
import {
  type ProgramSockets,
  READABLE,
  WRITABLE,
} from '../../../../node/hccl/wire/program-sockets.ts';

const ENDED = -1;
const BROKEN = -2;

/** One direction of a connection: `capacity` bytes that were sent and not yet received. */
export class Pipe {
  readonly #bytes: Uint8Array;
  #first = 0;
  #count = 0;
  /** `ended`: what is in it still arrives. `broken`: nothing does. */
  state: 'open' | 'ended' | 'broken' = 'open';
  /** Bytes that have gone through it. */
  received = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  get held(): number {
    return this.#count;
  }

  get room(): number {
    return this.#bytes.length - this.#count;
  }

  /** Takes as many of the bytes as there is room for; how many. */
  put(bytes: Uint8Array): number {
    const length = Math.min(bytes.length, this.room);
    const start = (this.#first + this.#count) % this.#bytes.length;
    const before = Math.min(length, this.#bytes.length - start);
    this.#bytes.set(bytes.subarray(0, before), start);
    this.#bytes.set(bytes.subarray(before, length), 0);
    this.#count += length;
    return length;
  }

  /** Puts all of them, whatever its capacity: what a peer sends that does as it likes. */
  putAll(bytes: Uint8Array): void {
    assert(this.put(bytes) === bytes.length, `Expected room for ${bytes.length} bytes`);
  }

  /** Gives up to `into.length` of the first bytes; how many. */
  take(into: Uint8Array): number {
    const length = Math.min(into.length, this.#count);
    const before = Math.min(length, this.#bytes.length - this.#first);
    into.set(this.#bytes.subarray(this.#first, this.#first + before));
    into.set(this.#bytes.subarray(0, length - before), before);
    this.#first = (this.#first + length) % this.#bytes.length;
    this.#count -= length;
    this.received += length;
    return length;
  }

  get isReadable(): boolean {
    return this.#count > 0 || this.state !== 'open';
  }

  get isWritable(): boolean {
    return this.room > 0 || this.state !== 'open';
  }
}

/** What somebody waits for. */
export interface Polled {
  readonly fd: number;
  readonly events: number;
}

export class FakeSockets {
  readonly #pipes: Pipe[] = [];
  /** Bytes that one call moves at most; 1 at least. */
  readonly #piece: () => number;
  /** Calls of `receive` and `transmit`. */
  calls = 0;

  constructor(piece: () => number = () => Number.POSITIVE_INFINITY) {
    this.#piece = piece;
  }

  /** A number for a new pipe, the same at both ends. */
  open(capacity: number): number {
    return this.#pipes.push(new Pipe(capacity)) - 1;
  }

  pipe(fd: number): Pipe {
    return defined(this.#pipes[fd], 'a pipe');
  }

  isReady({ fd, events }: Polled): boolean {
    const pipe = this.pipe(fd);
    assert(events === READABLE || events === WRITABLE, 'Expected one event');
    return events === READABLE ? pipe.isReadable : pipe.isWritable;
  }

  /** As the program's thread has them. `slept` hears what every wait is for that may last. */
  on(
    memory: SharedArrayBuffer,
    slept: (polled: readonly Polled[], timeoutMs: number) => void = () => undefined,
  ): ProgramSockets {
    const at = (offset: number, bytes: number) => {
      assert(bytes >= 0, `Expected a length but found ${bytes}`);
      return new Uint8Array(memory, offset, Math.min(bytes, this.#piece()));
    };
    return {
      receive: (fd, offset, bytes) => {
        assert(bytes > 0, 'Expected a read of at least one byte: 0 would look like nothing');
        this.calls++;
        const pipe = this.pipe(fd);
        if (pipe.state === 'broken') return BROKEN;
        const found = pipe.take(at(offset, bytes));
        return found === 0 && pipe.state === 'ended' ? ENDED : found;
      },
      transmit: (fd, head, headBytes, body, bodyBytes) => {
        assert(headBytes + bodyBytes > 0, 'Expected something to send');
        this.calls++;
        const pipe = this.pipe(fd);
        if (pipe.state !== 'open') return BROKEN;
        const sent = pipe.put(at(head, headBytes));
        // A piece may end in the head, with it, or in the body.
        return sent < headBytes ? sent : sent + pipe.put(at(body, bodyBytes));
      },
      pollSet: (capacity) => {
        const polled: Polled[] = [];
        return {
          set: (index, fd, events) => {
            assert(index < capacity, `Expected an index below ${capacity} but found ${index}`);
            polled[index] = { fd, events };
          },
          wait: (count, timeoutMs) => {
            const some = polled.slice(0, count);
            if (timeoutMs > 0) slept(some, timeoutMs);
            return some.filter((one) => this.isReady(one)).length;
          },
        };
      },
    };
  }
}
