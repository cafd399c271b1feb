/**
 * What every place holds after each round of a schedule, symbolically. Follows the schedule itself,
 * not its programs, and so checks the lowering from the other side.
 */
import { defined } from '../common/assert.ts';
import { ranksOf } from '../common/math.ts';
import { chunksIn } from './collective.ts';
import { addContributions, type Contribution, initialContribution } from './contribution.ts';
import { type MemoryMap, memoryMap } from './memory.ts';
import type { Place, Rank, Round, Schedule } from './schedule.ts';

/** What the chunks of one rank hold; `undefined` where nothing has been stored. */
export interface Holdings {
  at(place: Place): Contribution | undefined;
}

interface RankState extends Holdings {
  readonly rank: Rank;
  readonly memory: MemoryMap;
  readonly cells: (Contribution | undefined)[];
}

interface Store {
  readonly state: RankState;
  readonly location: number;
  readonly value: Contribution;
}

/**
 * The holdings of all ranks, by rank: first before round 1, then after each round. They are live:
 * look at them before asking for the next.
 */
export function* traceSchedule(
  schedule: Schedule,
  { inPlace }: { readonly inPlace: boolean },
): Generator<readonly Holdings[]> {
  const states = ranksOf(schedule.nranks).map((rank) => initialState(schedule, rank, inPlace));
  yield states;
  for (const round of schedule.rounds()) {
    for (const { state, location, value } of storesOf(round, states)) state.cells[location] = value;
    yield states;
  }
}

function initialState(schedule: Schedule, rank: Rank, inPlace: boolean): RankState {
  const memory = memoryMap(schedule, rank, inPlace);
  const cells: (Contribution | undefined)[] = Array.from({ length: memory.size });
  for (let chunk = 0; chunk < chunksIn(schedule, rank, 'input'); chunk++) {
    cells[memory.locate({ buffer: 'input', chunk })] = initialContribution(schedule, rank, chunk);
  }
  return { rank, memory, cells, at: (place) => cells[memory.locate(place)] };
}

/** All stores of a round, of values as they were when it began. */
function storesOf(round: Round, states: readonly RankState[]): Store[] {
  return round.flatMap(({ src, dst, from, to, operand = to, count, effect }) => {
    const sender = defined(states[src], `rank ${src}`);
    const state = defined(states[dst], `rank ${dst}`);
    return Array.from({ length: count }, (_, offset): Store => {
      const moved = defined(sender.at(nth(from, offset)), `what rank ${src} sends`);
      const location = state.memory.locate(nth(to, offset));
      if (effect === 'copy') return { state, location, value: moved };
      const own = defined(state.at(nth(operand, offset)), `what rank ${dst} reduces with`);
      return { state, location, value: addContributions(moved, own) };
    });
  });
}

function nth({ buffer, chunk }: Place, offset: number): Place {
  return { buffer, chunk: chunk + offset };
}
