import { describe, expect, it } from 'vitest';
import { type AlgorithmVerdict, algorithmLines, verifyAll } from '../../cli/verify-all.ts';
import { ALGORITHMS } from '../../collectives/algorithms.ts';

async function verdictsOf(ranksMax: number): Promise<AlgorithmVerdict[]> {
  const verdicts: AlgorithmVerdict[] = [];
  const before = () => Promise.resolve();
  for await (const verdict of verifyAll({ ranksMax, depth: undefined, before })) {
    verdicts.push(verdict);
  }
  return verdicts;
}

describe('verifyAll', () => {
  it('proves every collective of every row, for both placements', async () => {
    const verdicts = await verdictsOf(5);
    const asked = ALGORITHMS.flatMap(({ name, collectives }) =>
      collectives.map((collective) => `${name} ${collective}`),
    );
    expect(verdicts.map(({ algorithm, collective }) => `${algorithm} ${collective}`)).toEqual(
      asked,
    );
    for (const { refuted } of verdicts) expect(refuted).toEqual([]);
    const ring = verdicts.find(({ algorithm }) => algorithm === 'ring');
    expect(ring).toMatchObject({ ranks: [1, 2, 3, 4, 5], proofs: 10 });
  });

  it('can be stopped between two proofs', async () => {
    const before = () => Promise.reject(new Error('stop'));
    const all = verifyAll({ ranksMax: 5, depth: undefined, before });
    await expect(all.next()).rejects.toThrow('stop');
  });
});

describe('algorithmLines', () => {
  it('shows ranges of ranks, and a sentence for each thing that was refuted', () => {
    const refuted = [
      { ranks: 8, boxes: 1, placement: 'inPlace', finding: 'Rank 0: it is wrong' },
    ] as const;
    const lines = algorithmLines([
      { algorithm: 'ring', collective: 'allReduce', ranks: [1, 2, 3, 8], proofs: 8, refuted },
    ]);
    expect(lines.join('\n').split('\n')).toEqual([
      'COLLECTIVE  ALGORITHM  RANKS   PROVED  REFUTED',
      'allReduce   ring       1-3, 8  7       1',
      'ring allReduce, 8 ranks in 1 box, in place: Rank 0: it is wrong',
    ]);
  });

  it('shows the first and the last of very many ranges', () => {
    const ranks = Array.from({ length: 32 }, (_, index) => 2 * index + 2);
    const [table] = algorithmLines([
      { algorithm: 'pairs', collective: 'allGather', ranks, proofs: 64, refuted: [] },
    ]);
    expect(table).toContain('  2, 4, 6, 8, 10, 12, 14, ... 64  64');
  });
});
