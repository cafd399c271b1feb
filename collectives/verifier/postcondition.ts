/** Compares what a rank's output holds at the end with what the collective promises. */
import { chunksIn, type Promised, promisedBlock } from '../collective.ts';
import type { StepAddress } from '../interpret.ts';
import type { Program } from '../program.ts';
import type { Rank } from '../schedule.ts';
import { NONE } from '../wiring.ts';
import { COUNT_MAX, type ContributorSets } from './contributor-sets.ts';
import type { Findings } from './finding.ts';
import { NOTHING, type RankState, TAINTED } from './rank-state.ts';

export interface Ending {
  readonly state: RankState;
  readonly sets: ContributorSets;
  readonly wrongRanks: WrongRanks;
  /** Chunks of the collective as a whole. */
  readonly nlogical: number;
  /** By symbol: the step that first counted a contribution again to make it. */
  readonly repeats: ReadonlyMap<number, StepAddress>;
}

export function checkPostcondition(ending: Ending, findings: Findings): void {
  const { program, memory, cells } = ending.state;
  const { rank, chunks } = program;
  const start = memory.locate({ buffer: 'output', chunk: 0 });
  const blocks = chunksIn(program, rank, 'output') / chunks;
  for (let block = 0; block < blocks; block++) {
    const promised = promisedBlock(program, rank, block);
    if (promised === undefined) continue;
    const set = setOf(promised, program, ending.sets);
    for (let offset = 0; offset < chunks; offset++) {
      const chunk = block * chunks + offset;
      const found = cells[start + chunk] as number;
      const logical = promised.block * chunks + offset;
      if (found === set * ending.nlogical + logical || found === TAINTED) continue;
      const wrong = wrongnessOf(found, logical, promised, ending);
      if (wrong === undefined) continue;
      if (findings.isFull) {
        findings.omitted++;
        continue;
      }
      const complaint = complaintAbout(found, wrong, promised, ending, findings);
      const sentence = `output ends with ${complaint} (${program.collective} promises otherwise)`;
      findings.add('postcondition', { rank, ...storedBy(ending, start + chunk), chunk }, sentence);
    }
  }
}

function setOf({ ranks }: Promised, { nranks }: Program, sets: ContributorSets): number {
  return ranks.length === nranks ? sets.all : sets.single(ranks[0] ?? NONE);
}

/** The step that stored last, if there is one. */
function storedBy({ state }: Ending, location: number): Partial<StepAddress> {
  const channel = state.writer[location] as number;
  return channel === NONE ? {} : { channel, step: state.writeStep[location] as number };
}

/** What is wrong with what a chunk holds: the rank that contributed too often or too rarely, if that. */
type Wrongness = 'nothing' | 'chunk' | Rank;

function wrongnessOf(
  found: number,
  logical: number,
  promised: Promised,
  { nlogical, wrongRanks }: Ending,
): Wrongness | undefined {
  if (found === NOTHING) return 'nothing';
  if (found % nlogical !== logical) return 'chunk';
  const rank = wrongRanks.find(Math.floor(found / nlogical), promised);
  return rank === NONE ? undefined : rank;
}

function complaintAbout(
  found: number,
  wrong: Wrongness,
  { ranks }: Promised,
  { sets, nlogical, repeats }: Ending,
  findings: Findings,
): string {
  if (wrong === 'nothing') return 'nothing in it';
  if (wrong === 'chunk') return `data of chunk ${found % nlogical} in it`;
  const count = sets.count(Math.floor(found / nlogical), wrong);
  const expected = ranks.includes(wrong) ? 1 : 0;
  const many = count === COUNT_MAX ? `at least ${count}` : `${count}`;
  const complaint = `the contribution of rank ${wrong} in it ${many} times instead of ${expected}`;
  const first = count > 1 ? repeats.get(found) : undefined;
  return first === undefined
    ? complaint
    : `${complaint}, counted again by ${findings.nameOf(first)}`;
}

/** A rank that is in a set too often or not often enough: looked for once per set and promise. */
export class WrongRanks {
  readonly #sets: ContributorSets;
  readonly #known = new Map<number, Rank>();

  constructor(sets: ContributorSets) {
    this.#sets = sets;
  }

  /** `NONE` if there is none. */
  find(set: number, promised: Promised): Rank {
    const { nranks } = this.#sets;
    const [owner = NONE] = promised.ranks;
    // A promise is about one rank or about all.
    const key = set * (nranks + 1) + (promised.ranks.length === 1 ? owner : nranks);
    let rank = this.#known.get(key);
    if (rank === undefined) {
      rank = this.#search(set, promised);
      this.#known.set(key, rank);
    }
    return rank;
  }

  #search(set: number, { ranks, times }: Promised): Rank {
    const sets = this.#sets;
    const promised = new Set(ranks);
    let wrong = NONE;
    for (let rank = sets.nranks - 1; rank >= 0; rank--) {
      const count = sets.count(set, rank);
      const expected = promised.has(rank) ? 1 : 0;
      const isTooOften = times === 'once' && count > expected;
      // Too often tells more than too rarely.
      if (isTooOften || (count < expected && (wrong === NONE || sets.count(set, wrong) === 0)))
        wrong = rank;
    }
    return wrong;
  }
}
