/** What a schedule sends, counted: tests of the claims that algorithm files make. */
import { chunkTable } from '../../../collectives/chunks.ts';
import { cost } from '../../../collectives/cost.ts';
import { lowerAll } from '../../../collectives/lower.ts';
import { problemElements } from '../../../collectives/problem-size.ts';
import type { Schedule, Transfer } from '../../../collectives/schedule.ts';
import { traceSchedule } from '../../../collectives/trace.ts';
import { ranksOf } from '../../../common/math.ts';

export interface Message extends Transfer {
  /** The first is 0. */
  readonly round: number;
}

/** All transfers from one rank to another. */
export function messagesOf(schedule: Schedule): Message[] {
  return [...schedule.rounds()].flatMap((transfers, round) =>
    transfers.filter(({ src, dst }) => src !== dst).map((transfer) => ({ ...transfer, round })),
  );
}

/** Rounds in which something is sent. */
export function sendingRounds(schedule: Schedule): number {
  return new Set(messagesOf(schedule).map(({ round }) => round)).size;
}

/** Of all ranks, the most messages and chunks that one sends. */
export function mostSent(messages: readonly Message[]): { messages: number; chunks: number } {
  const ranks = new Map<number, { messages: number; chunks: number }>();
  for (const { src, count } of messages) {
    const sent = ranks.get(src) ?? { messages: 0, chunks: 0 };
    ranks.set(src, { messages: sent.messages + 1, chunks: sent.chunks + count });
  }
  const sent = [...ranks.values()];
  return {
    messages: Math.max(0, ...sent.map((one) => one.messages)),
    chunks: Math.max(0, ...sent.map((one) => one.chunks)),
  };
}

export function chunksOf(messages: readonly Message[]): number {
  return messages.reduce((sum, { count }) => sum + count, 0);
}

/** Start-ups on the critical path, and bytes sent and reduced there in units of n. */
export function criticalWork(schedule: Schedule): {
  alphas: number;
  bytes: number;
  reducedBytes: number;
} {
  const isAllToAll = schedule.collective.startsWith('allToAll');
  const count = 24 * schedule.chunks * (isAllToAll ? schedule.nranks : 1);
  const model = { alphaSeconds: 1e-6, betaSecondsPerByte: 1e-9, gammaSecondsPerByte: 1e-10 };
  const { critical } = cost(lowerAll(schedule), chunkTable(schedule, count), {
    model,
    bytesPerElement: 1,
  });
  const { alphas, bytes, reducedBytes } = critical;
  const n = problemElements(schedule, count);
  return { alphas, bytes: bytes / n, reducedBytes: reducedBytes / n };
}

/** Whose blocks the first chunks of a rank's scratch hold, after each round in turn. */
export function scratchAfterRounds(schedule: Schedule, rank: number): string[] {
  const rows: string[] = [];
  for (const ranks of traceSchedule(schedule, { inPlace: false })) {
    const cells = ranksOf(schedule.nranks).map((chunk) => {
      const held = ranks[rank]?.at({ buffer: 'scratch', chunk });
      return held === undefined ? '.' : [...held.counts].indexOf(1);
    });
    rows.push(cells.join(' '));
  }
  return rows;
}
