/**
 * One-shot all-reduce: every rank sends its vector to every other, and each adds all of them up.
 *
 * All add in the order of the ranks, and so all get the same bits: rank r keeps what comes from ranks
 * before it, adds its own vector at its turn, and goes on. Sums are made in scratch and the last one in
 * the output, because in place the own vector lies there until it has been sent and added. In round k
 * rank k - 1 sends. Four ranks, without their scratch (digits are the ranks whose contribution is held,
 * `*` is all):
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0       1       2       3
 *   round 1  0       1       2       3
 *   round 2  0       1       2       3
 *   round 3  0       1       2       3
 *   round 4  *       *       *       3
 *   round 5  *       *       *       *
 *
 * Cost:   (p-1)·(α + n·β) + (p-1)·n·γ with one message at a time; if start-ups overlap, α of it
 * Good:   very small vectors on few ranks: nobody waits for anything but the others' first message.
 * Bad:    anything else: every rank takes and adds p - 1 whole vectors.
 *
 * The one-shot all-reduce of NVIDIA TensorRT-LLM's custom all-reduce kernels; the all-pairs exchange of
 * MSCCL's small-message algorithms (Cowan et al., "MSCCLang", ASPLOS 2023), in one phase.
 */
import type { Place, Rank, Round, Schedule, ScheduleOptions, Transfer } from '../schedule.ts';
import { everybody, localMoves, vectorIn } from './group.ts';

export function oneShotAllReduce({ nranks, chunks = 1 }: ScheduleOptions): Schedule {
  return {
    collective: 'allReduce',
    algorithm: 'oneShot',
    nranks,
    chunks,
    root: 0,
    scratch: nranks === 1 ? [] : Array.from({ length: chunks }, (_, chunk) => chunk),
    rounds: () => oneShotRounds(nranks, chunks),
  };
}

function* oneShotRounds(nranks: number, chunks: number): Generator<Round> {
  const { ranks } = everybody(nranks);
  const { own, result } = vectorIn('output', chunks);
  if (nranks === 1) {
    yield localMoves(ranks, chunks, own, result);
    return;
  }
  for (const src of ranks) {
    const round: Transfer[] = [];
    for (const dst of ranks) if (dst !== src) round.push(addition(src, dst, nranks, chunks));
    // Meanwhile the sender adds its own vector to what it has of the ranks before it.
    if (src > 1) round.push(ownAddition(src, chunks));
    yield round;
  }
  const last = nranks - 1;
  yield [{ src: last, dst: last, from: SUM, to: RESULT, count: chunks, effect: 'copy' }];
}

const OWN: Place = { buffer: 'input', chunk: 0 };
const SUM: Place = { buffer: 'scratch', chunk: 0 };
const RESULT: Place = { buffer: 'output', chunk: 0 };

/** What `dst` does with the vector of `src`, having those of all ranks before. */
function addition(src: Rank, dst: Rank, nranks: number, count: number): Transfer {
  const isLast = src === nranks - 1;
  const ends = { src, dst, from: OWN, to: isLast ? RESULT : SUM, count };
  if (src === 0 && dst > 1) return { ...ends, effect: 'copy' };
  const isFirst = (dst === 0 && src === 1) || (dst === 1 && src === 0);
  return { ...ends, effect: 'reduce', operand: isFirst ? OWN : SUM };
}

function ownAddition(rank: Rank, count: number): Transfer {
  return { src: rank, dst: rank, from: OWN, to: SUM, count, effect: 'reduce' };
}
