/** Pipelines: segments that follow each other over the same connections, one round apart. */
import type { Round, Transfer } from '../schedule.ts';

/** A connection of a pipeline. Segment s goes over it in round `start + s`. */
export interface Way {
  readonly start: number;
  readonly move: (segment: number) => Transfer;
}

/** `leading`: transfers of the first round that come before. */
export function* pipeline(
  ways: readonly Way[],
  segments: number,
  leading: readonly Transfer[] = [],
): Generator<Round> {
  if (ways.length === 0) yield leading;
  const rounds = Math.max(0, ...ways.map(({ start }) => start + segments));
  for (let round = 0; round < rounds; round++) {
    const moves = ways
      .filter(({ start }) => start <= round && round < start + segments)
      .map(({ start, move }) => move(round - start));
    yield round === 0 ? [...leading, ...moves] : moves;
  }
}

/**
 * Phases on data of their own, each one round behind the one before. Where they send the same rank several
 * messages at once, these go in rounds of their own.
 */
export function* staggered(phases: Iterable<Iterable<Round>>): Generator<Round> {
  const waiting = [...phases].map((phase) => phase[Symbol.iterator]());
  let running: Iterator<Round>[] = [];
  while (waiting.length > 0 || running.length > 0) {
    running.push(...waiting.splice(0, 1));
    const steps = running.map((phase) => ({ phase, step: phase.next() }));
    running = steps.filter(({ step }) => step.done !== true).map(({ phase }) => phase);
    const round = steps.flatMap(({ step }) => (step.done === true ? [] : step.value));
    if (steps.length === 1 && round.length > 0) yield round;
    else yield* messageByMessage([round]);
  }
}

/**
 * The same rounds cut such that nobody sends the same rank two messages in one, so that both ends of an
 * exchange take turns and short queues will do. For phases whose rounds write nothing that they read.
 */
export function* messageByMessage(rounds: Iterable<Round>): Generator<Round> {
  for (const round of rounds) {
    const cut: Transfer[][] = [];
    const sent = new Map<number, number>();
    for (const transfer of round) {
      const connection = transfer.src * CONNECTION_KEYS + transfer.dst;
      const turn = sent.get(connection) ?? 0;
      sent.set(connection, turn + 1);
      if (turn === cut.length) cut.push([]);
      cut[turn]?.push(transfer);
    }
    yield* cut;
  }
}

/** More than there are ranks. */
const CONNECTION_KEYS = 2 ** 20;
