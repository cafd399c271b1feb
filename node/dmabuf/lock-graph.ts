/** A directed graph of lock classes, and the search for a cycle in it. */
export class LockGraph {
  readonly #after = new Map<string, Set<string>>();

  get edges(): readonly string[] {
    return [...this.#after].flatMap(([before, after]) =>
      [...after].map((name) => `${before} -> ${name}`),
    );
  }

  add(before: string, after: string): void {
    const known = this.#after.get(before);
    if (known === undefined) this.#after.set(before, new Set([after]));
    else known.add(after);
  }

  /** Names along a cycle, the first one again at the end; `undefined` if there is none. */
  findCycle(): readonly string[] | undefined {
    const done = new Set<string>();
    for (const name of this.#after.keys()) {
      const cycle = this.#search(name, [], done);
      if (cycle !== undefined) return cycle;
    }
    return undefined;
  }

  #search(name: string, path: readonly string[], done: Set<string>): string[] | undefined {
    const seen = path.indexOf(name);
    if (seen !== -1) return [...path.slice(seen), name];
    if (done.has(name)) return undefined;
    for (const next of this.#after.get(name) ?? []) {
      const cycle = this.#search(next, [...path, name], done);
      if (cycle !== undefined) return cycle;
    }
    done.add(name);
    return undefined;
  }
}
