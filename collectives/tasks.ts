/**
 * Programs as a graph of tasks: what must be done before what. Steps of a channel in turn, as the papers
 * have it; or overlapping, as an executor may that waits only where two steps touch a common place.
 */
import { defined } from '../common/assert.ts';
import { type Cause, latest, START, type WaitedFor } from './critical-path.ts';
import type { StepAddress } from './interpret.ts';
import { memoryMap } from './memory.ts';
import { type Channel, type Program, readsOf, type Step } from './program.ts';
import type { Place } from './schedule.ts';

/** Work of a step: what it waits for has happened when `unmet` is 0, the last of it at `ready`. */
export interface StepTask extends Task {
  readonly at: StepAddress;
  readonly program: Program;
  readonly step: Step;
  /** Where its channel's messages go. */
  readonly lane: number;
}

export interface Task {
  unmet: number;
  ready: Cause;
  readonly before: { readonly task: Task; readonly why: WaitedFor }[];
}

export function isStepTask(task: Task): task is StepTask {
  return 'step' in task;
}

/** The tasks of all programs; their `before` lists lead to the rest of the graph. */
export function tasksOf(programs: readonly Program[], order: 'inTurn' | 'overlapping'): StepTask[] {
  return programs.flatMap((program) => {
    const channels = program.channels.map((channel) => stepTasks(program, channel));
    if (order === 'inTurn') orderInTurn(channels);
    else orderWhereNeeded(program, channels);
    return channels.flat();
  });
}

/** That `task` has happened, at `moment`; calls `go` for every task that waited for nothing else. */
export function happen(task: Task, moment: Cause, go: (next: Task) => void): void {
  for (const { task: next, why } of task.before) {
    next.ready = latest(next.ready, { ...moment, why });
    next.unmet--;
    if (next.unmet === 0) go(next);
  }
}

function newTask(): Task {
  return { unmet: 0, ready: START, before: [] };
}

function link(earlier: Task, later: Task, why: WaitedFor): void {
  earlier.before.push({ task: later, why });
  later.unmet++;
}

function stepTasks(program: Program, { id, lane, steps }: Channel): StepTask[] {
  const { rank } = program;
  // Written out in full: there are as many as steps, and copies by `...` would take most of the time.
  return steps.map((step, index) => ({
    unmet: 0,
    ready: START,
    before: [],
    at: { rank, channel: id, step: index },
    program,
    step,
    lane,
  }));
}

function orderInTurn(channels: readonly (readonly StepTask[])[]): void {
  for (const tasks of channels) {
    for (const [index, task] of tasks.entries()) {
      const previous = tasks[index - 1];
      if (previous !== undefined) link(previous, task, 'step');
      for (const { channel, step } of task.step.depends) {
        link(defined(channels[channel]?.[step], `step ${channel}.${step}`), task, 'depends');
      }
    }
  }
}

/**
 * Without turns, "it and all before it in its channel" must be said: a task of its own that waits for
 * those. So must "it comes before the later steps of its channel too": a gate that they wait for.
 */
function orderWhereNeeded(program: Program, channels: readonly (readonly StepTask[])[]): void {
  const ends = channels.map((tasks, channel) => endsOf(tasks, referred(channels, channel)));
  for (const tasks of channels) {
    const places = new Places(program);
    let gate: Task | undefined;
    for (const task of tasks) {
      gate = gateOf(task, ends, gate);
      if (gate !== undefined) link(gate, task, 'depends');
      for (const earlier of places.touch(task)) link(earlier, task, 'step');
    }
  }
}

/** What the task and the later ones of its channel wait for, because it or an earlier one depends on it. */
function gateOf(
  { step: { depends } }: StepTask,
  ends: readonly ReadonlyMap<number, Task>[],
  previous: Task | undefined,
): Task | undefined {
  if (depends.length === 0) return previous;
  const gate = newTask();
  if (previous !== undefined) link(previous, gate, 'depends');
  for (const { channel, step } of depends) {
    link(defined(ends[channel]?.get(step), `step ${channel}.${step}`), gate, 'depends');
  }
  return gate;
}

/** Steps of a channel that others depend on, in ascending order. */
function referred(channels: readonly (readonly StepTask[])[], channel: number): number[] {
  const steps = channels
    .flat()
    .flatMap(({ step }) => step.depends.filter((ref) => ref.channel === channel));
  return [...new Set(steps.map((ref) => ref.step))].sort((a, b) => a - b);
}

/** For each of these steps a task that waits for it and all before it. */
function endsOf(tasks: readonly StepTask[], steps: readonly number[]): Map<number, Task> {
  const ends = new Map<number, Task>();
  let previous: Task | undefined;
  let from = 0;
  for (const step of steps) {
    const end = newTask();
    if (previous !== undefined) link(previous, end, 'depends');
    for (const task of tasks.slice(from, step + 1)) link(task, end, 'depends');
    ends.set(step, end);
    previous = end;
    from = step + 1;
  }
  return ends;
}

/** Who wrote each location of a rank's memory last, and who has read it since. */
class Places {
  readonly #locate: (place: Place) => number;
  /** By location. */
  readonly #writers: (Task | undefined)[];
  readonly #readers: (Task[] | undefined)[];

  constructor(program: Program) {
    const { locate, size } = memoryMap(program, program.rank, false);
    this.#locate = locate;
    this.#writers = new Array(size).fill(undefined);
    this.#readers = new Array(size).fill(undefined);
  }

  /** The earlier tasks that touch a place that `task` touches, one of them writing. */
  touch(task: StepTask): readonly Task[] {
    const { step } = task;
    const earlier: Task[] = [];
    const reads = readsOf(step);
    for (const place of reads) this.#addWriters(place, step.count, earlier);
    if (step.dst !== undefined) {
      this.#addWriters(step.dst, step.count, earlier);
      this.#addReaders(step.dst, step.count, earlier);
    }
    for (const place of reads) this.#read(task, place, step.count);
    if (step.dst !== undefined) this.#write(task, step.dst, step.count);
    return earlier.length < 2 ? earlier : [...new Set(earlier)];
  }

  #addWriters(place: Place, count: number, earlier: Task[]): void {
    const first = this.#locate(place);
    for (let location = first; location < first + count; location++) {
      const writer = this.#writers[location];
      if (writer !== undefined && writer !== earlier.at(-1)) earlier.push(writer);
    }
  }

  #addReaders(place: Place, count: number, earlier: Task[]): void {
    const first = this.#locate(place);
    for (let location = first; location < first + count; location++) {
      for (const reader of this.#readers[location] ?? []) earlier.push(reader);
    }
  }

  #read(task: StepTask, place: Place, count: number): void {
    const first = this.#locate(place);
    for (let location = first; location < first + count; location++) {
      const readers = this.#readers[location];
      if (readers === undefined) this.#readers[location] = [task];
      else readers.push(task);
    }
  }

  #write(task: StepTask, place: Place, count: number): void {
    const first = this.#locate(place);
    for (let location = first; location < first + count; location++) {
      this.#writers[location] = task;
      this.#readers[location] = undefined;
    }
  }
}
