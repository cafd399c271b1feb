/**
 * Executes programs on symbols, which finds reads of nothing, data that meets what it does not belong
 * to, races and deadlocks; what is in the outputs at the end is compared with what the collective
 * promises.
 *
 * The symbol of a place says which logical chunk's data it holds and which ranks contributed how often
 * (`contributor-sets.ts`); `rank-state.ts` has its form.
 */
import { BLOCKS, logicalChunks } from '../collective.ts';
import { interpretWired, type StepAddress } from '../interpret.ts';
import { isOntoItself } from '../memory.ts';
import { describePlace, describeStep } from '../print-program.ts';
import type { Program, Step } from '../program.ts';
import type { Place } from '../schedule.ts';
import type { Wiring } from '../wiring.ts';
import { ContributorSets } from './contributor-sets.ts';
import { addDeadlock } from './deadlock.ts';
import type { Findings } from './finding.ts';
import { orderOf } from './happens-before.ts';
import { checkPostcondition, WrongRanks } from './postcondition.ts';
import type { RaceDetector } from './race-detector.ts';
import { initialState, NOTHING, type RankState, TAINTED } from './rank-state.ts';

export interface ExecutionOptions {
  readonly inPlace: boolean;
  readonly depth?: number;
  /** Whether messages order steps of different channels. */
  readonly messages: boolean;
}

/** Programs must be well-formed and their connections agree. */
export function checkExecution(
  programs: readonly Program[],
  wiring: Wiring,
  options: ExecutionOptions,
  findings: Findings,
): void {
  const { depth } = options;
  const execution = new Execution(programs, wiring, options, findings);
  const blocked = interpretWired<number[]>(
    wiring,
    (at, step, message) => execution.run(at, step, message),
    depth === undefined ? {} : { depth },
  );
  if (blocked.length > 0) addDeadlock(programs, blocked, findings);
  else execution.checkPostconditions();
}

class Execution {
  readonly #states: readonly RankState[];
  readonly #sets: ContributorSets;
  readonly #nlogical: number;
  /** Data of any chunk may be added to that of any other: nothing is promised of the sum. */
  readonly #isCustom: boolean;
  readonly #repeats = new Map<number, StepAddress>();
  readonly #findings: Findings;

  constructor(
    programs: readonly Program[],
    wiring: Wiring,
    { inPlace, messages }: ExecutionOptions,
    findings: Findings,
  ) {
    const shape = programs[0] as Program;
    this.#sets = new ContributorSets(programs.length);
    this.#nlogical = logicalChunks(shape);
    this.#isCustom = BLOCKS[shape.collective].contributors === 'unknown';
    this.#findings = findings;
    const isOrdered = orderOf(wiring, { messages });
    this.#states = programs.map((program) => initialState(program, inPlace, this.#sets, isOrdered));
  }

  checkPostconditions(): void {
    if (this.#isCustom) return;
    const shared = {
      sets: this.#sets,
      wrongRanks: new WrongRanks(this.#sets),
      nlogical: this.#nlogical,
      repeats: this.#repeats,
    };
    for (const state of this.#states) {
      checkPostcondition({ state, ...shared }, this.#findings);
    }
  }

  /** Carries out the step and returns what it puts on the wire, or would if it sent. */
  run(at: StepAddress, step: Step, message: readonly number[] | undefined): number[] {
    const state = this.#states[at.rank] as RankState;
    if (state.races !== undefined) this.#checkRaces(state.races, state.program, at, step);
    if (isOntoItself(state.memory, step)) return [];
    const { count, dst } = step;
    const { cells, writer, writeStep, memory } = state;
    const values: number[] = [];
    for (let offset = 0; offset < count; offset++) {
      const value = this.#value(state, at, step, message, offset);
      values.push(value);
      if (dst === undefined) continue;
      const location = memory.locate(dst) + offset;
      cells[location] = value;
      writer[location] = at.channel;
      writeStep[location] = at.step;
    }
    return values;
  }

  /** What the step makes of chunk `offset` of its message and of the places it reads. */
  #value(
    state: RankState,
    at: StepAddress,
    step: Step,
    message: readonly number[] | undefined,
    offset: number,
  ): number {
    const { kind, src, dst } = step;
    let value = NOTHING;
    if (message !== undefined) value = message[offset] as number;
    else if (kind === 'reduce' && dst !== undefined) value = this.#load(state, at, dst, offset);
    if (src === undefined) return value;
    const operand = this.#load(state, at, src, offset);
    return value === NOTHING ? operand : this.#sum(value, operand, at, step, offset);
  }

  #sum(a: number, b: number, at: StepAddress, step: Step, offset: number): number {
    if (a < 0 || b < 0) return TAINTED;
    if (this.#isCustom) return a;
    const [aChunk, bChunk] = [a % this.#nlogical, b % this.#nlogical];
    if (aChunk !== bChunk) {
      const sentence = `${describeStep(step)} adds data of chunk ${bChunk} to data of chunk ${aChunk}`;
      const chunk = (step.src?.chunk ?? 0) + offset;
      this.#findings.add('mismatch', { ...at, chunk }, sentence);
      return TAINTED;
    }
    const set = this.#sets.sum((a - aChunk) / this.#nlogical, (b - bChunk) / this.#nlogical);
    const sum = set * this.#nlogical + aChunk;
    if (this.#sets.repeats(set) && !this.#repeats.has(sum)) {
      this.#repeats.set(sum, this.#repeats.get(a) ?? this.#repeats.get(b) ?? at);
    }
    return sum;
  }

  #load({ cells, memory }: RankState, at: StepAddress, place: Place, offset: number): number {
    const value = cells[memory.locate(place) + offset] as number;
    if (value !== NOTHING) return value;
    const chunk = place.chunk + offset;
    const sentence = `reads ${describePlace({ buffer: place.buffer, chunk })}, where nothing has been stored`;
    this.#findings.add('uninitialised', { ...at, chunk }, sentence);
    return TAINTED;
  }

  #checkRaces(races: RaceDetector, program: Program, at: StepAddress, step: Step): void {
    for (const { channel, step: index, place } of races.run(at, step)) {
      const other = program.channels[channel]?.steps[index];
      const sentence =
        `${describeStep(step)} races with ${this.#findings.nameOf({ rank: at.rank, channel, step: index })} ` +
        `(${other === undefined ? '?' : describeStep(other)}) for ${describePlace(place)}`;
      this.#findings.add('race', { ...at, chunk: place.chunk }, sentence);
    }
  }
}
