/**
 * A program as simulators elsewhere take it: sends, receives and computations of each rank, and which of
 * them wait for which. Both exports (`chakra.ts`, `goal.ts`) are written from it.
 *
 * Dependencies are those of `collectives/tasks.ts`, between whole steps: what waits for a step waits for
 * the last of its operations. So an exported program is never less ordered than the one that runs here,
 * and may be a little more: whoever only reads what a step stored waits for its message to leave too.
 */
import { type ChunkTable, chunkTable, type ElementCounts } from '../../collectives/chunks.ts';
import { lowerAll } from '../../collectives/lower.ts';
import { MessageNames } from '../../collectives/message-names.ts';
import { type Program, placeOf, receives, reduces, sends } from '../../collectives/program.ts';
import type { Rank, Schedule } from '../../collectives/schedule.ts';
import { isStepTask, type StepTask, type Task, tasksOf } from '../../collectives/tasks.ts';

/** What is exported, and for which call. */
export interface ExportRequest {
  /** A schedule, or the programs of all ranks, by rank. */
  readonly work: Schedule | readonly Program[];
  readonly counts: ElementCounts;
  readonly bytesPerElement: number;
  /** Bytes of device memory that a card reads or writes a second: a reduction of two takes three times its bytes. */
  readonly memoryBytesPerSecond: number;
  /** Order of a channel's steps (`tasks.ts`); `overlapping`, which is for calls out of place, if absent. */
  readonly order?: 'inTurn' | 'overlapping';
}

export type OperationKind =
  | 'send'
  | 'recv'
  | 'reduce'
  | 'copy'
  /** Takes no time: those that need it wait for all that it needs. */
  | 'gate';

export interface RankOperation {
  /** From 0, in an order in which every operation comes after those that it needs. */
  readonly id: number;
  readonly kind: OperationKind;
  readonly channel: number;
  readonly step: number;
  readonly bytes: number;
  /** Of send and recv. */
  readonly peer: Rank | undefined;
  /** Of send and recv: no other message between these two ranks, in this direction, has it. */
  readonly tag: number | undefined;
  /** Computation, in seconds; 0 for the others. */
  readonly seconds: number;
  /** Ids of the operations of this rank that must be done first. */
  readonly needs: readonly number[];
}

export interface RankOperations {
  readonly rank: Rank;
  readonly operations: readonly RankOperation[];
}

/** A copy reads and writes; a reduction of two reads both and writes one. */
const MEMORY_ACCESSES = { copy: 2, reduce: 3 } as const;

/** The programs of all ranks, by rank. */
export function programsOf(work: ExportRequest['work']): readonly Program[] {
  return 'rounds' in work ? lowerAll(work) : work;
}

/** The operations of every rank, one rank at a time. */
export function* operationsOf(request: ExportRequest): Iterable<RankOperations> {
  const programs = programsOf(request.work);
  const [first] = programs;
  if (first === undefined) return;
  const lanes = 1 + Math.max(...programs.flatMap(lanesOf));
  const table = chunkTable(first, request.counts);
  for (const program of programs) {
    const { rank } = program;
    yield { rank, operations: new RankWriter(program, table, lanes, request).operations() };
  }
}

function lanesOf({ channels }: Program): number[] {
  return channels.map(({ lane }) => lane);
}

type Part = Omit<RankOperation, 'id' | 'needs' | 'channel' | 'step'>;

class RankWriter {
  readonly #program: Program;
  readonly #table: ChunkTable;
  readonly #lanes: number;
  readonly #request: ExportRequest;
  readonly #operations: RankOperation[] = [];
  /** What must be done before a task, so far. */
  readonly #needs = new Map<Task, number[]>();
  readonly #tasks: readonly StepTask[];
  readonly #names: MessageNames;

  constructor(program: Program, table: ChunkTable, lanes: number, request: ExportRequest) {
    this.#program = program;
    this.#table = table;
    this.#lanes = lanes;
    this.#request = request;
    this.#tasks = tasksOf([program], request.order ?? 'overlapping');
    this.#names = new MessageNames(this.#tasks);
  }

  /** Walks the graph from what waits for nothing on. */
  operations(): readonly RankOperation[] {
    const due: Task[] = this.#tasks.filter(({ unmet }) => unmet === 0).reverse();
    for (let task = due.pop(); task !== undefined; task = due.pop()) {
      const last = isStepTask(task) ? this.#addStep(task) : this.#addGate(task);
      for (const { task: next } of task.before) {
        this.#needsOf(next).push(last);
        next.unmet--;
        if (next.unmet === 0) due.push(next);
      }
    }
    return this.#operations;
  }

  #needsOf(task: Task): number[] {
    const known = this.#needs.get(task);
    if (known !== undefined) return known;
    const made: number[] = [];
    this.#needs.set(task, made);
    return made;
  }

  /** Id of the last operation of the step. */
  #addStep(task: StepTask): number {
    const { channel, step } = task.at;
    let needs = [...new Set(this.#needs.get(task))];
    for (const part of this.#parts(task)) needs = [this.#add({ ...part, channel, step, needs })];
    return needs[0] as number;
  }

  /** What stands for a gate: the one operation that it waits for, or one of its own. */
  #addGate(task: Task): number {
    const needs = [...new Set(this.#needs.get(task))];
    const [only] = needs;
    if (only !== undefined && needs.length === 1) return only;
    const nowhere = { channel: 0, step: 0, bytes: 0, peer: undefined, tag: undefined, seconds: 0 };
    return this.#add({ kind: 'gate', ...nowhere, needs });
  }

  #add(operation: Omit<RankOperation, 'id'>): number {
    const id = this.#operations.length;
    this.#operations.push({ id, ...operation });
    return id;
  }

  /** What a step does, one after the other. */
  #parts(task: StepTask): Part[] {
    const { step } = task;
    const { bytesPerElement } = this.#request;
    const { length } = this.#table.range(this.#program.rank, placeOf(step), step.count);
    const bytes = length * bytesPerElement;
    const parts: Part[] = [];
    if (receives(step.kind)) {
      parts.push({
        kind: 'recv',
        bytes,
        peer: step.recvFrom,
        tag: this.#tag(this.#names.takenBy(task)),
        seconds: 0,
      });
    }
    if (reduces(step.kind)) parts.push(this.#computation('reduce', bytes));
    if (step.kind === 'copy') parts.push(this.#computation('copy', bytes));
    if (sends(step.kind)) {
      parts.push({
        kind: 'send',
        bytes,
        peer: step.sendTo,
        tag: this.#tag(this.#names.sentBy(task)),
        seconds: 0,
      });
    }
    return parts;
  }

  #computation(kind: 'reduce' | 'copy', bytes: number): Part {
    const seconds = (bytes * MEMORY_ACCESSES[kind]) / this.#request.memoryBytesPerSecond;
    return { kind, bytes, peer: undefined, tag: undefined, seconds };
  }

  /** From the name of a message: source, destination, lane, and its number on that connection. */
  #tag(message: string): number {
    const [, , lane, number] = message.split(' ').map(Number);
    return (number as number) * this.#lanes + (lane as number);
  }
}
