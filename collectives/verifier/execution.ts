/**
 * Executes programs on symbolic contributions, which finds reads of nothing, data that meets what it
 * does not belong to, races and deadlocks; what is in the outputs at the end is compared with what
 * the collective promises.
 */
import { chunksIn } from '../collective.ts';
import {
  addContributions,
  type Contribution,
  initialContribution,
  promisedContribution,
} from '../contribution.ts';
import { interpret, type StepAddress } from '../interpret.ts';
import { type MemoryMap, memoryMap } from '../memory.ts';
import { describePlace, describeStep } from '../print-program.ts';
import { type Program, receives, reduces, type Step } from '../program.ts';
import type { Place } from '../schedule.ts';
import { addDeadlock } from './deadlock.ts';
import type { Findings } from './finding.ts';
import { RaceDetector } from './race-detector.ts';

/** `undefined`: nothing was ever stored. `tainted`: the consequence of something reported already. */
type Cell = Contribution | 'tainted' | undefined;

interface RankState {
  readonly program: Program;
  readonly memory: MemoryMap;
  readonly cells: Cell[];
  /** Only with several channels: steps of one channel are in order. */
  readonly races: RaceDetector | undefined;
}

export interface ExecutionOptions {
  readonly inPlace: boolean;
  readonly depth?: number;
}

/** Programs must be well-formed and their connections agree. */
export function checkExecution(
  programs: readonly Program[],
  { inPlace, ...options }: ExecutionOptions,
  findings: Findings,
): void {
  const states = programs.map((program) => initialState(program, inPlace));
  const blocked = interpret<Cell[]>(
    programs,
    (at, step, message) =>
      new StepExecution(states[at.rank] as RankState, at, step, findings).run(message),
    options,
  );
  if (blocked.length > 0) addDeadlock(programs, blocked, findings);
  else for (const state of states) checkPostcondition(state, findings);
}

function initialState(program: Program, inPlace: boolean): RankState {
  const { rank, channels } = program;
  const memory = memoryMap(program, rank, inPlace);
  const cells: Cell[] = Array.from({ length: memory.size });
  for (let chunk = 0; chunk < chunksIn(program, 'input'); chunk++) {
    cells[memory.locate({ buffer: 'input', chunk })] = initialContribution(program, rank, chunk);
  }
  const isParallel = channels.filter(({ steps }) => steps.length > 0).length > 1;
  const races = isParallel ? new RaceDetector(channels.length, memory.size) : undefined;
  return { program, memory, cells, races };
}

/** One step of one rank. */
class StepExecution {
  readonly #state: RankState;
  readonly #at: StepAddress;
  readonly #step: Step;
  readonly #findings: Findings;

  constructor(state: RankState, at: StepAddress, step: Step, findings: Findings) {
    this.#state = state;
    this.#at = at;
    this.#step = step;
    this.#findings = findings;
  }

  /** Carries out the step and returns what it puts on the wire, or would if it sent. */
  run(message: Cell[] | undefined): Cell[] {
    const { kind, src, dst, depends } = this.#step;
    const { races } = this.#state;
    races?.begin(this.#at, depends);
    const values = kind === 'copy' && this.#isOntoItself(src, dst) ? [] : this.#carryOut(message);
    races?.end(this.#at);
    return values;
  }

  #carryOut(message: Cell[] | undefined): Cell[] {
    const { count, src, dst } = this.#step;
    const values: Cell[] = [];
    for (let offset = 0; offset < count; offset++) {
      values.push(this.#value(nth(src, offset), nth(dst, offset), message?.[offset]));
    }
    if (dst !== undefined) {
      for (const [offset, value] of values.entries()) this.#store(nth(dst, offset), value);
    }
    return values;
  }

  #isOntoItself(src: Place | undefined, dst: Place | undefined): boolean {
    const { memory } = this.#state;
    return src !== undefined && dst !== undefined && memory.locate(src) === memory.locate(dst);
  }

  #value(src: Place | undefined, dst: Place | undefined, message: Cell): Cell {
    const { kind } = this.#step;
    const operand = src === undefined ? undefined : this.#load(src);
    if (!reduces(kind)) return receives(kind) ? message : operand;
    const first = kind === 'reduce' && dst !== undefined ? this.#load(dst) : message;
    return this.#sum(first, operand, src);
  }

  #sum(a: Cell, b: Cell, place: Place | undefined): Cell {
    if (a === undefined || b === undefined || a === 'tainted' || b === 'tainted') return 'tainted';
    if (a.chunk === b.chunk) return addContributions(a, b);
    const where = { ...this.#at, ...(place === undefined ? {} : { chunk: place.chunk }) };
    const sentence = `adds data of chunk ${b.chunk} to data of chunk ${a.chunk}`;
    this.#findings.add('mismatch', where, `${describeStep(this.#step)} ${sentence}`);
    return 'tainted';
  }

  #load(place: Place): Cell {
    const { memory, cells, races } = this.#state;
    const location = memory.locate(place);
    const rival = races?.read(this.#at, location);
    if (rival !== undefined) this.#addRace(place, rival);
    const value = cells[location];
    if (value !== undefined) return value;
    const sentence = `reads ${describePlace(place)}, where nothing has been stored`;
    this.#findings.add('uninitialised', { ...this.#at, chunk: place.chunk }, sentence);
    return 'tainted';
  }

  #store(place: Place | undefined, value: Cell): void {
    if (place === undefined) return;
    const { memory, cells, races } = this.#state;
    const location = memory.locate(place);
    const rival = races?.write(this.#at, location);
    if (rival !== undefined) this.#addRace(place, rival);
    cells[location] = value;
  }

  #addRace(place: Place, { channel, step }: { channel: number; step: number }): void {
    const other = this.#state.program.channels[channel]?.steps[step];
    const sentence =
      `${describeStep(this.#step)} races with channel ${channel} step ${step} ` +
      `(${other === undefined ? '?' : describeStep(other)}) for ${describePlace(place)}`;
    this.#findings.add('race', { ...this.#at, chunk: place.chunk }, sentence);
  }
}

function nth(place: Place | undefined, offset: number): Place | undefined {
  return place === undefined ? undefined : { buffer: place.buffer, chunk: place.chunk + offset };
}

function checkPostcondition({ program, memory, cells }: RankState, findings: Findings): void {
  for (let chunk = 0; chunk < chunksIn(program, 'output'); chunk++) {
    const found = cells[memory.locate({ buffer: 'output', chunk })];
    const complaint = complaintAbout(found, promisedContribution(program, chunk));
    if (complaint === undefined) continue;
    const sentence = `output ends with ${complaint} (${program.collective} promises otherwise)`;
    findings.add('postcondition', { rank: program.rank, chunk }, sentence);
  }
}

/** What is wrong with what a chunk holds; `undefined` if nothing, or if it was reported already. */
function complaintAbout(found: Cell, promised: Contribution): string | undefined {
  if (found === 'tainted') return undefined;
  if (found === undefined) return 'nothing in it';
  if (found.chunk !== promised.chunk) return `data of chunk ${found.chunk} in it`;
  const wrong = [...found.counts].findIndex((count, rank) => count !== promised.counts[rank]);
  if (wrong < 0) return undefined;
  const times = `${found.counts[wrong]} times instead of ${promised.counts[wrong]}`;
  return `the contribution of rank ${wrong} in it ${times}`;
}
