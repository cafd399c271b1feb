/**
 * Paper tests: what the header of an algorithm file claims is a test that quotes it. The test also fails
 * when the header no longer says so.
 */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { chunkTable } from '../../../collectives/chunks.ts';
import { type Cost, cost } from '../../../collectives/cost.ts';
import type { AlphaBetaGamma } from '../../../collectives/critical-path.ts';
import { lowerAll } from '../../../collectives/lower.ts';
import { memoryMap } from '../../../collectives/memory.ts';
import { problemElements } from '../../../collectives/problem-size.ts';
import type { Place, Rank, Schedule, Transfer } from '../../../collectives/schedule.ts';
import type { Ports } from '../../../collectives/timed-run.ts';
import { ranksOf } from '../../../common/math.ts';

/** Powers of two, odd numbers, and some between. */
export const RANKS = [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 16, 17];
export const POWERS_OF_TWO = [1, 2, 4, 8, 16, 32];
export const OTHERS = [3, 5, 6, 7, 9, 11, 12, 13, 24];

/** `check` shows what `quote`, from a comment of `file`, claims. Line breaks do not count. */
export function claim(file: string, quote: string, check: () => void): void {
  it(`${file}: ${quote}`, () => {
    const path = new URL(`../../../collectives/algorithms/${file}`, import.meta.url);
    const text = readFileSync(path, 'utf8').replaceAll(/^ \* /gm, '').replaceAll(/\s+/g, ' ');
    expect(text.includes(quote), `${file} no longer says so`).toBe(true);
    check();
  });
}

/** Multiples of α, n·β and n·γ. */
export type Formula = readonly [alphas: number, bytes: number, reducedBytes?: number];

/** Where start-ups, bytes and reductions dominate in turn. */
const MODELS: readonly AlphaBetaGamma[] = [
  { alphaSeconds: 3e-6, betaSecondsPerByte: 1 / 37e9, gammaSecondsPerByte: 1 / 200e9 },
  { alphaSeconds: 1e-3, betaSecondsPerByte: 1e-10, gammaSecondsPerByte: 1e-11 },
  { alphaSeconds: 1e-9, betaSecondsPerByte: 1e-9, gammaSecondsPerByte: 0 },
  { alphaSeconds: 0, betaSecondsPerByte: 1e-10, gammaSecondsPerByte: 1e-9 },
];
const BYTES_PER_ELEMENT = 4;

/** n elements in chunks of one size. */
function evenCount({ collective, nranks, chunks }: Schedule): number {
  return 24 * chunks * (collective === 'allToAll' ? nranks : 1);
}

/** The bytes that the papers call n, in a call that `costOf` prices. */
export function bytesOf(schedule: Schedule): number {
  return problemElements(schedule, evenCount(schedule)) * BYTES_PER_ELEMENT;
}

export function costOf(schedule: Schedule): Cost {
  const table = chunkTable(schedule, evenCount(schedule));
  const options = { model: MODELS[0] as AlphaBetaGamma, bytesPerElement: BYTES_PER_ELEMENT };
  return cost(lowerAll(schedule), table, options);
}

/** Each model's price of the schedule in seconds, and that of the formula. */
function prices(schedule: Schedule, formula: Formula, ports: Ports = 'single'): [number, number][] {
  const [alphas, bytes, reducedBytes = 0] = formula;
  const n = bytesOf(schedule);
  const programs = lowerAll(schedule);
  const table = chunkTable(schedule, evenCount(schedule));
  return MODELS.map((model) => [
    cost(programs, table, { model, bytesPerElement: BYTES_PER_ELEMENT, ports }).seconds,
    alphas * model.alphaSeconds +
      bytes * n * model.betaSecondsPerByte +
      reducedBytes * n * model.gammaSecondsPerByte,
  ]);
}

export function expectCost(schedule: Schedule, formula: Formula, ports?: Ports): void {
  for (const [found, expected] of prices(schedule, formula, ports)) {
    expect(found).toBeCloseTo(expected, 12);
  }
}

export function expectCostAtMost(schedule: Schedule, formula: Formula): void {
  for (const [found, bound] of prices(schedule, formula)) {
    expect(found).toBeLessThanOrEqual(bound * (1 + 1e-9));
  }
}

/** Messages that a rank sends, and that it receives. */
export function messagesOf(schedule: Schedule, rank: Rank): { sent: number; received: number } {
  const messages = transfersOf(schedule).filter(({ src, dst }) => src !== dst);
  return {
    sent: messages.filter(({ src }) => src === rank).length,
    received: messages.filter(({ dst }) => dst === rank).length,
  };
}

export function transfersOf(schedule: Schedule): Transfer[] {
  return [...schedule.rounds()].flat();
}

/** Rounds in which something is sent. */
export function messageRounds(schedule: Schedule): Transfer[][] {
  return [...schedule.rounds()]
    .map((round) => round.filter(({ src, dst }) => src !== dst))
    .filter((round) => round.length > 0);
}

/** All ranks' payload together, as a multiple of n. */
export function payloadOf(schedule: Schedule): number {
  const sent = costOf(schedule).ranks.map(({ sentBytes }) => sentBytes);
  return sent.reduce((sum, bytes) => sum + bytes, 0) / bytesOf(schedule);
}

/**
 * The sum that each rank's output chunks hold, written out with its brackets: equal texts are equal bits.
 * With `commutes`, a + b and b + a are the same text, as they are the same bits.
 */
export function sumsOf(schedule: Schedule, { commutes }: { commutes: boolean }): string[][] {
  const add = (a: string, b: string): string => {
    const [first, second] = commutes && b < a ? [b, a] : [a, b];
    return `(${first}+${second})`;
  };
  const memories = ranksOf(schedule.nranks).map((rank) => memoryMap(schedule, rank, true));
  const cells = memories.map(({ size }, rank) => Array.from({ length: size }, () => `${rank}`));
  const locate = (rank: Rank, place: Place): number => memories[rank]?.locate(place) ?? -1;
  const read = (rank: Rank, place: Place, chunk: number): string =>
    cells[rank]?.[locate(rank, place) + chunk] ?? '?';
  for (const round of schedule.rounds()) {
    const stores = round.flatMap(({ src, dst, from, to, operand = to, count, effect }) =>
      Array.from({ length: count }, (_, chunk) => {
        const moved = read(src, from, chunk);
        const value = effect === 'copy' ? moved : add(moved, read(dst, operand, chunk));
        return { rank: dst, at: locate(dst, to) + chunk, value };
      }),
    );
    for (const { rank, at, value } of stores) cells[rank]?.splice(at, 1, value);
  }
  const output: Place = { buffer: 'output', chunk: 0 };
  return cells.map((row, rank) => row.slice(locate(rank, output)).slice(0, schedule.chunks));
}

/** Every rank holds the same sum in each chunk, with the same brackets. */
export function expectSameBits(schedule: Schedule, options = { commutes: false }): void {
  const [first, ...rest] = sumsOf(schedule, options);
  for (const sums of rest) expect(sums).toEqual(first);
}
