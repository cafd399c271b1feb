/** Whether launches of one sweep came to the same bits. */
import { assert } from '../common/assert.ts';
import type { BenchRow } from './results.ts';

export interface DigestComparison {
  readonly launches: number;
  /** Results of one launch: rows times placements times ranks. */
  readonly results: number;
  /** Which of them differ, in words. */
  readonly differing: readonly string[];
}

/** Compares every later launch with the first. */
export function compareDigests(launches: readonly (readonly BenchRow[])[]): DigestComparison {
  const named = launches.map((rows) => rows.flatMap(digestsOf));
  const [first, ...later] = named;
  assert(first !== undefined, 'Expected a launch to compare');
  const differing = first.filter(({ name, digest }, index) =>
    later.some((other) => other[index]?.name !== name || other[index]?.digest !== digest),
  );
  return {
    launches: launches.length,
    results: first.length,
    differing: differing.map(({ name }) => name),
  };
}

interface NamedDigest {
  readonly name: string;
  readonly digest: string;
}

function digestsOf(row: BenchRow): NamedDigest[] {
  const places = [
    { words: 'out of place', figures: row.outOfPlace },
    { words: 'in place', figures: row.inPlace },
  ];
  return places.flatMap(({ words, figures }) =>
    (figures?.digests ?? []).map((digest, rank) => ({
      name: `${row.size} B ${row.type} ${row.redop} ${words} on rank ${rank}`,
      digest,
    })),
  );
}
