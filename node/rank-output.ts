/**
 * What one rank prints, on its way to the coordinator. It shares a connection with the heartbeats, so
 * it goes in few messages and at a bounded rate; a program that prints faster is made to wait, as
 * one that writes into a full pipe is.
 */
import { type Deferred, deferred } from '../common/deferred.ts';
import type { Scheduler } from '../common/scheduler.ts';

export type OutputStream = 'stdout' | 'stderr';

/** Output is collected for this long, then sent together. */
export const OUTPUT_INTERVAL_MS = 20;
/** Characters of one rank that are sent per interval. */
export const OUTPUT_CHARACTERS_PER_INTERVAL = 256 * 1024;
/** Longest text of one message. */
export const OUTPUT_CHARACTERS_PER_MESSAGE = 64 * 1024;
/** Characters that may wait; more makes the program wait. */
export const OUTPUT_CHARACTERS_WAITING_MAX = 512 * 1024;

interface Piece {
  readonly stream: OutputStream;
  text: string;
}

export class RankOutput {
  readonly #scheduler: Scheduler;
  readonly #send: (stream: OutputStream, text: string) => void;
  readonly #pieces: Piece[] = [];
  readonly #waitingForRoom: Deferred<void>[] = [];
  readonly #waitingForEnd: Deferred<void>[] = [];
  #waitingCharacters = 0;
  #timer: 'idle' | 'running' = 'idle';

  constructor(scheduler: Scheduler, send: (stream: OutputStream, text: string) => void) {
    this.#scheduler = scheduler;
    this.#send = send;
  }

  /** Takes a text; resolves when more may come. */
  write(stream: OutputStream, text: string): Promise<void> {
    const last = this.#pieces.at(-1);
    if (last?.stream === stream) last.text += text;
    else this.#pieces.push({ stream, text });
    this.#waitingCharacters += text.length;
    this.#schedule();
    if (this.#waitingCharacters <= OUTPUT_CHARACTERS_WAITING_MAX) return Promise.resolve();
    const room = deferred<void>();
    this.#waitingForRoom.push(room);
    return room.promise;
  }

  /** Resolves when everything has been sent. */
  flushed(): Promise<void> {
    if (this.#waitingCharacters === 0) return Promise.resolve();
    const end = deferred<void>();
    this.#waitingForEnd.push(end);
    return end.promise;
  }

  #schedule(): void {
    if (this.#timer === 'running' || this.#waitingCharacters === 0) return;
    this.#timer = 'running';
    this.#scheduler.after(OUTPUT_INTERVAL_MS, () => {
      this.#timer = 'idle';
      this.#sendSome();
      this.#schedule();
    });
  }

  #sendSome(): void {
    let budget = OUTPUT_CHARACTERS_PER_INTERVAL;
    for (let piece = this.#pieces[0]; piece !== undefined && budget > 0; piece = this.#pieces[0]) {
      const text = piece.text.slice(0, Math.min(budget, OUTPUT_CHARACTERS_PER_MESSAGE));
      this.#send(piece.stream, text);
      budget -= text.length;
      this.#waitingCharacters -= text.length;
      piece.text = piece.text.slice(text.length);
      if (piece.text === '') this.#pieces.shift();
    }
    if (this.#waitingCharacters <= OUTPUT_CHARACTERS_WAITING_MAX) {
      for (const room of this.#waitingForRoom.splice(0)) room.resolve();
    }
    if (this.#waitingCharacters === 0) {
      for (const end of this.#waitingForEnd.splice(0)) end.resolve();
    }
  }
}
