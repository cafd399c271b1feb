/** Text that arrives in pieces, as lines. */

/** A longer line is handed on in parts, so that a program without newlines cannot fill the memory. */
export const LINE_LENGTH_MAX = 64 * 1024;

export class LineSplitter {
  readonly #line: (line: string) => void;
  #pending = '';

  constructor(line: (line: string) => void) {
    this.#line = line;
  }

  push(text: string): void {
    const parts = (this.#pending + text).split('\n');
    this.#pending = parts.pop() ?? '';
    for (const part of parts) this.#line(part.endsWith('\r') ? part.slice(0, -1) : part);
    if (this.#pending.length > LINE_LENGTH_MAX) this.flush();
  }

  /** Hands on what has no newline yet. */
  flush(): void {
    if (this.#pending === '') return;
    const rest = this.#pending;
    this.#pending = '';
    this.#line(rest);
  }
}
