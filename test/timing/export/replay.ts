/** Carries out exported operations, as a simulator would that knows nothing of hlsim. */

export interface ReadOperation {
  readonly label: string;
  readonly kind: 'send' | 'recv' | 'calc';
  readonly bytes: number;
  readonly peer?: number;
  readonly tag?: number;
  readonly needs: readonly string[];
}

export interface Replayed {
  /** `0>1`: bytes of all messages from rank 0 to rank 1. */
  readonly traffic: Readonly<Record<string, number>>;
  readonly messages: number;
}

/**
 * Every operation goes as soon as what it needs is done, a receive once its message was sent. Throws if a
 * label or a message is there twice, if the sizes of the two ends differ, if a message is left over, or if
 * not everything can be carried out.
 */
export function replay(ranks: readonly (readonly ReadOperation[])[]): Replayed {
  const sent = new Map<string, number>();
  const traffic: Record<string, number> = {};
  const done = ranks.map(() => new Set<string>());
  const left = ranks.map((operations) => new Set(operations));
  let messages = 0;
  for (const [rank, operations] of ranks.entries()) {
    const labels = new Set(operations.map(({ label }) => label));
    if (labels.size !== operations.length) throw new Error(`Rank ${rank} has a label twice`);
    for (const { needs } of operations) {
      for (const need of needs) if (!labels.has(need)) throw new Error(`No label ${need}`);
    }
  }
  const go = (rank: number, { label, kind, bytes, peer, tag, needs }: ReadOperation): boolean => {
    if (!needs.every((need) => done[rank]?.has(need))) return false;
    if (kind === 'send') {
      const name = `${rank} ${peer} ${tag}`;
      if (sent.has(name)) throw new Error(`Message ${name} is there twice`);
      sent.set(name, bytes);
      const link = `${rank}>${peer}`;
      traffic[link] = (traffic[link] ?? 0) + bytes;
      messages++;
    } else if (kind === 'recv') {
      const name = `${peer} ${rank} ${tag}`;
      const found = sent.get(name);
      if (found === undefined) return false;
      if (found !== bytes) throw new Error(`Message ${name} has ${found} bytes, not ${bytes}`);
      // A message may be taken once.
      sent.set(name, -1);
    }
    done[rank]?.add(label);
    return true;
  };
  for (let moved = true; moved; ) {
    moved = false;
    for (const [rank, operations] of left.entries()) {
      for (const operation of operations) {
        if (!go(rank, operation)) continue;
        operations.delete(operation);
        moved = true;
      }
    }
  }
  const stuck = left.reduce((sum, operations) => sum + operations.size, 0);
  if (stuck > 0) throw new Error(`${stuck} operations can never go`);
  for (const [name, bytes] of sent) if (bytes !== -1) throw new Error(`Nobody takes ${name}`);
  return { traffic, messages };
}
