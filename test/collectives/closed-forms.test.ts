/**
 * The closed forms of the table are those of the literature: each row quotes its source's formula, and
 * computes it anew. (That programs cost exactly that: `cost.test.ts`.)
 *
 * Thakur, Rabenseifner and Gropp, Int. J. High Perform. Comput. Appl. 19 (2005); MPICH, comments of
 * src/mpi/coll; Bruck et al., IEEE Trans. Parallel Distrib. Syst. 8 (1997).
 */
import { describe, expect, it } from 'vitest';
import type { CollectiveName } from '../../collectives/collective.ts';
import { optionsOf, rowFor } from '../../collectives/table.ts';
import { flatTopology } from '../../collectives/topology.ts';
import { ceilLog2, floorLog2, isPowerOfTwo } from '../../common/math.ts';

/** Start-ups, bytes sent and bytes reduced, the last two as fractions of n. */
type Formula = (p: number) => readonly [alphas: number, bytes: number, reduced?: number];

interface Quoted {
  readonly collective: CollectiveName;
  readonly algorithm: string;
  readonly quote: string;
  readonly formula: Formula;
  /** For which numbers of ranks the source states it; any, if absent. */
  readonly for?: (p: number) => boolean;
}

const lg = Math.log2;
const even = (p: number): boolean => p % 2 === 0;
const other = (p: number): boolean => !isPowerOfTwo(p);
/** The largest power of two up to p; MPICH's comments write p for it where they count bytes. */
const core = (p: number): number => 2 ** floorLog2(p);

const ALL_BUT_ONE: Formula = (p) => [p - 1, (p - 1) / p];
const REDUCED_ALL_BUT_ONE: Formula = (p) => [p - 1, (p - 1) / p, (p - 1) / p];
const LOG_BLOCKS: Formula = (p) => [ceilLog2(p), (p - 1) / p];
const ROUNDS_OF_ALL: Formula = (p) => [ceilLog2(p), ceilLog2(p)];

const QUOTED: readonly Quoted[] = [
  {
    collective: 'allReduce',
    algorithm: 'ring',
    quote: '2(p-1)α + 2(p-1)/p·nβ + (p-1)/p·nγ',
    formula: (p) => [2 * (p - 1), (2 * (p - 1)) / p, (p - 1) / p],
  },
  {
    collective: 'allReduce',
    algorithm: 'recursiveDoubling',
    quote: 'lg p(α+nβ+nγ)',
    formula: (p) => [lg(p), lg(p), lg(p)],
    for: isPowerOfTwo,
  },
  {
    collective: 'allReduce',
    algorithm: 'recursiveDoubling',
    quote: 'fold: first 2r ranks pair, r = p - 2^⌊lg p⌋: +2 steps (2α+2nβ+nγ)',
    formula: (p) => [floorLog2(p) + 2, floorLog2(p) + 2, floorLog2(p) + 1],
    for: other,
  },
  {
    collective: 'allReduce',
    algorithm: 'halvingDoubling',
    quote: '2lg p·α + 2(p-1)/p·nβ + (p-1)/p·nγ',
    formula: (p) => [2 * lg(p), (2 * (p - 1)) / p, (p - 1) / p],
    for: isPowerOfTwo,
  },
  {
    collective: 'allReduce',
    algorithm: 'halvingDoubling',
    quote: '(2⌊lg p⌋+2)α + (2(p-1)/p+2)nβ + n(1+(p-1)/p)γ',
    formula: (p) => [
      2 * floorLog2(p) + 2,
      (2 * (core(p) - 1)) / core(p) + 2,
      1 + (core(p) - 1) / core(p),
    ],
    for: other,
  },
  {
    collective: 'allReduce',
    algorithm: 'binomialTree',
    quote: '2⌈lg p⌉(α+nβ)+⌈lg p⌉nγ',
    formula: (p) => [2 * ceilLog2(p), 2 * ceilLog2(p), ceilLog2(p)],
  },
  {
    collective: 'allGather',
    algorithm: 'ring',
    quote: '(p-1)α + (p-1)/p·nβ',
    formula: ALL_BUT_ONE,
  },
  {
    collective: 'allGather',
    algorithm: 'recursiveDoubling',
    quote: 'lg p·α + (p-1)/p·nβ',
    formula: LOG_BLOCKS,
    for: isPowerOfTwo,
  },
  {
    collective: 'allGather',
    algorithm: 'bruck',
    quote: '⌈lg p⌉α + (p-1)/p·nβ (+ local rotate)',
    formula: LOG_BLOCKS,
  },
  {
    collective: 'allGather',
    algorithm: 'neighbourExchange',
    quote: 'p/2·α + (p-1)/p·nβ',
    formula: (p) => [p / 2, (p - 1) / p],
    for: even,
  },
  { collective: 'allGather', algorithm: 'pat', quote: '⌈lg p⌉ steps', formula: LOG_BLOCKS },
  {
    collective: 'reduceScatter',
    algorithm: 'ring',
    quote: '(p-1)α + (p-1)/p·n(β+γ)',
    formula: REDUCED_ALL_BUT_ONE,
  },
  {
    collective: 'reduceScatter',
    algorithm: 'pairwiseExchange',
    quote: '(p-1)α + (p-1)/p·n(β+γ)',
    formula: REDUCED_ALL_BUT_ONE,
  },
  {
    collective: 'reduceScatter',
    algorithm: 'recursiveHalving',
    quote: 'lg p·α + (p-1)/p·n(β+γ)',
    formula: (p) => [lg(p), (p - 1) / p, (p - 1) / p],
    for: isPowerOfTwo,
  },
  {
    collective: 'broadcast',
    algorithm: 'binomialTree',
    quote: '⌈lg p⌉(α+nβ)',
    formula: ROUNDS_OF_ALL,
  },
  {
    collective: 'broadcast',
    algorithm: 'scatterAllGather',
    quote: '(lg p+p-1)α + 2(p-1)/p·nβ',
    formula: (p) => [ceilLog2(p) + p - 1, (2 * (p - 1)) / p],
  },
  {
    collective: 'broadcast',
    algorithm: 'scatterRecursiveDoubling',
    quote: '2lg p·α + 2(p-1)/p·nβ',
    formula: (p) => [2 * lg(p), (2 * (p - 1)) / p],
    for: isPowerOfTwo,
  },
  {
    collective: 'reduce',
    algorithm: 'binomialTree',
    quote: '⌈lg p⌉(α+nβ+nγ)',
    formula: (p) => [ceilLog2(p), ceilLog2(p), ceilLog2(p)],
  },
  {
    collective: 'reduce',
    algorithm: 'halvingDoubling',
    quote: '2lg p·α + 2(p-1)/p·nβ + (p-1)/p·nγ',
    formula: (p) => [2 * lg(p), (2 * (p - 1)) / p, (p - 1) / p],
    for: isPowerOfTwo,
  },
  {
    collective: 'reduce',
    algorithm: 'halvingDoubling',
    quote: '(2⌊lg p⌋+1)α + (2(p-1)/p+1)nβ + n(1+(p-1)/p)γ',
    formula: (p) => [
      2 * floorLog2(p) + 1,
      (2 * (core(p) - 1)) / core(p) + 1,
      1 + (core(p) - 1) / core(p),
    ],
    for: other,
  },
  ...(['gather', 'scatter'] as const).flatMap((collective): Quoted[] => [
    {
      collective,
      algorithm: 'binomialTree',
      quote: '⌈lg p⌉α + (p-1)/p·nβ',
      formula: LOG_BLOCKS,
    },
    { collective, algorithm: 'direct', quote: '(p-1)α + (p-1)/p·nβ', formula: ALL_BUT_ONE },
  ]),
  {
    collective: 'allToAll',
    algorithm: 'pairwiseExchange',
    quote: '(p-1)α + nβ (n incl. self; (p-1)/p·n on wire)',
    formula: ALL_BUT_ONE,
  },
  {
    collective: 'allToAll',
    algorithm: 'bruck',
    quote: '⌈lg p⌉α + (n/2)lg p·β',
    formula: (p) => [lg(p), lg(p) / 2],
    for: isPowerOfTwo,
  },
  {
    collective: 'sendRecv',
    algorithm: 'direct',
    quote: 'α + nβ',
    formula: () => [1, 1],
    for: (p) => p > 1,
  },
];

describe.each(QUOTED)(
  '$algorithm $collective',
  ({ collective, algorithm, quote, formula, ...one }) => {
    it(`costs ${quote}`, () => {
      const counts = [2, 3, 4, 5, 6, 7, 8, 12, 16, 17, 33, 64].filter(one.for ?? (() => true));
      for (const p of counts) {
        const options = optionsOf({ collective, algorithm, topology: flatTopology(p) });
        const form = rowFor(collective, algorithm).closedForm?.(options);
        const [alphas, bytes, reduced = 0] = formula(p);
        expect(form?.ports, `${p} ranks`).toBe('single');
        expect(form?.alphas, `${p} ranks`).toBe(alphas);
        expect(form?.bytes, `${p} ranks`).toBeCloseTo(bytes, 12);
        expect(form?.reducedBytes, `${p} ranks`).toBeCloseTo(reduced, 12);
      }
    });
  },
);

describe("Bruck's all-to-all on any number of ranks", () => {
  it('is told by a formula that holds: lg p·n/2 only for a power of two', () => {
    const formOf = (p: number) => {
      const topology = flatTopology(p);
      const options = optionsOf({ collective: 'allToAll', algorithm: 'bruck', topology });
      return rowFor('allToAll', 'bruck').closedForm?.(options);
    };
    expect(formOf(8)).toMatchObject({ bytes: 1.5, text: 'lg p·α + (n/2)lg p·β' });
    // 1, 10, 11, 100, 101: seven bits
    const text = '⌈lg p⌉α + s/p·nβ, s bits set in the numbers below p';
    expect(formOf(6)).toMatchObject({ bytes: 7 / 6, text });
  });
});

describe('barrier by dissemination', () => {
  it('has ⌈lg p⌉α, and the token besides', () => {
    for (const p of [2, 3, 8, 33]) {
      const options = optionsOf({
        collective: 'barrier',
        algorithm: 'dissemination',
        topology: flatTopology(p),
      });
      const form = rowFor('barrier', 'dissemination').closedForm?.(options);
      expect(form?.alphas).toBe(ceilLog2(p));
    }
  });
});

describe('the pipelined chain', () => {
  it.each(['broadcast', 'reduce'] as const)('%s: (p-2+k)(α+n/k·β), k segments', (collective) => {
    for (const p of [2, 3, 5, 8]) {
      for (const k of [1, 4, 16]) {
        const topology = flatTopology(p);
        const options = optionsOf({ collective, algorithm: 'chain', topology, chunks: k });
        const form = rowFor(collective, 'chain').closedForm?.(options);
        const rounds = p - 2 + k;
        expect(form).toMatchObject({ alphas: rounds, bytes: rounds / k });
        expect(form?.reducedBytes).toBe(collective === 'reduce' ? rounds / k : 0);
      }
    }
  });
});

describe('the two-level all-reduce', () => {
  it('is RS(n,g) + AR(n/g,b) + AG(n,g): 2(g-1)α + 2(b-1)α + 2(g-1)/g·nβ + 2(b-1)/b·(n/g)β', () => {
    for (const [b, g] of [
      [2, 2],
      [2, 4],
      [3, 5],
    ] as const) {
      const topology = { boxes: b, ranksPerBox: g };
      const algorithm = 'hierarchical';
      const options = optionsOf({ collective: 'allReduce', algorithm, topology });
      const form = rowFor('allReduce', algorithm).closedForm?.(options);
      expect(form?.alphas).toBe(2 * (g - 1) + 2 * (b - 1));
      expect(form?.bytes).toBeCloseTo((2 * (g - 1)) / g + (2 * (b - 1)) / b / g, 12);
    }
  });
});
