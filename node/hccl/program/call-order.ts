/**
 * The order of the calls of one thread. Some wait for an answer of the host, and those behind them that are
 * about the same wait too. Calls of different communicators on different streams do not wait for each other:
 * each may be made by somebody else in this thread.
 */

/** What a call is about. */
export type OrderKey = 'all' | `comm ${number}` | `stream ${number}`;

export class CallOrder {
  /** The last call about each that has not ended. */
  readonly #last = new Map<OrderKey, Promise<void>>();

  /** Those that a call has to wait for. They never reject. */
  before(keys: readonly OrderKey[]): readonly Promise<void>[] {
    if (keys.includes('all')) return [...this.#last.values()];
    return [...keys, 'all' as const].flatMap((key) => this.#last.get(key) ?? []);
  }

  /** Runs after everything about the same that waits now. */
  run<T>(keys: readonly OrderKey[], task: () => Promise<T>): Promise<T> {
    const before = this.before(keys);
    const run = before.length === 0 ? task() : Promise.all(before).then(task);
    const ended = run.then(
      () => undefined,
      () => undefined,
    );
    for (const key of keys) this.#last.set(key, ended);
    void ended.then(() => {
      for (const key of keys) if (this.#last.get(key) === ended) this.#last.delete(key);
    });
    return run;
  }
}
