/**
 * Runs programs in the time of the alpha-beta-gamma model, event by event. A rank has one unit that
 * reduces, and the ports of `ports.ts`; its channels share them, and whatever is ready first comes first.
 *
 * With `single` ports the steps of a channel come in turn, with `full` ports they overlap where they may
 * (`tasks.ts`). What a step sends is out of its hands at once: what comes after it does not wait until
 * it has left. Local copies are free, as in the papers.
 */
import { assert, defined } from '../common/assert.ts';
import {
  type AlphaBetaGamma,
  type Cause,
  latest,
  type Moment,
  momentAfter,
  START,
  secondsOf,
} from './critical-path.ts';
import { MessageNames } from './message-names.ts';
import { FullPorts, SinglePorts, type WireOptions, type Wires } from './ports.ts';
import { type Program, receives, reduces, type Step, sends } from './program.ts';
import { happen, isStepTask, type StepTask, type Task, tasksOf } from './tasks.ts';
import { TimeQueue } from './time-queue.ts';

/** See `ports.ts`. */
export type Ports = 'single' | 'full';

interface TimedRunOptions {
  readonly model: AlphaBetaGamma;
  readonly ports: Ports;
  /** Bytes that a step works on at each place it names. */
  readonly bytesOf: (program: Program, step: Step) => number;
}

/** Returns the moment of the last thing that happens. The programs must be proved (`verify.ts`). */
export function timedRun(programs: readonly Program[], options: TimedRunOptions): Cause {
  return new TimedRun(programs, options).run();
}

class TimedRun {
  readonly #options: TimedRunOptions;
  readonly #tasks: readonly StepTask[];
  readonly #names: MessageNames;
  /** By rank: when its reducing unit is free again. */
  readonly #reductions: Cause[];
  readonly #queue = new TimeQueue<() => void>();
  readonly #wires: Wires;
  #last: Cause = START;
  #done = 0;

  constructor(programs: readonly Program[], options: TimedRunOptions) {
    const { model, ports } = options;
    this.#options = options;
    this.#tasks = tasksOf(programs, ports === 'single' ? 'inTurn' : 'overlapping');
    this.#names = new MessageNames(this.#tasks);
    this.#reductions = programs.map(() => START);
    const wires: WireOptions = { nranks: programs.length, model, queue: this.#queue };
    this.#wires = ports === 'single' ? new SinglePorts(wires) : new FullPorts(wires);
  }

  run(): Cause {
    for (const task of this.#tasks.filter(({ unmet }) => unmet === 0)) this.#getReady(task);
    for (let event = this.#queue.next(); event !== undefined; event = this.#queue.next()) event();
    const waiting = this.#tasks.length - this.#done;
    assert(waiting === 0, `Expected programs that end but ${waiting} steps wait`);
    return this.#last;
  }

  /** All that the task depends on has happened, or will at `ready`. */
  #getReady(task: Task): void {
    const { ready } = task;
    this.#queue.add(secondsOf(ready), () => {
      if (!isStepTask(task)) {
        happen(task, ready, (next) => this.#getReady(next));
        return;
      }
      const { step } = task;
      if (!receives(step.kind)) {
        this.#begin(task, ready);
        return;
      }
      this.#wires.take({ name: this.#names.takenBy(task), ready }, (arrival) => {
        const begin = latest(ready, arrival);
        this.#queue.add(secondsOf(begin), () => this.#begin(task, begin));
      });
    });
  }

  #begin(task: StepTask, ready: Cause): void {
    const { at, program, step } = task;
    const bytes = this.#options.bytesOf(program, step);
    const done = reduces(step.kind)
      ? this.#reduce(task, ready, bytes)
      : momentAfter(ready, at, {}, this.#options.model);
    const now: Cause = { why: 'step', moment: done };
    this.#done++;
    // Of several at one time the last one: a message ends with the step that takes it.
    this.#last = latest(now, this.#last);
    if (sends(step.kind)) {
      const dst = defined(step.sendTo, 'sendTo');
      const message = { at, dst, bytes, name: this.#names.sentBy(task) };
      this.#queue.add(done.seconds, () => this.#wires.send(message, now));
    }
    happen(task, now, (next) => this.#getReady(next));
  }

  #reduce({ at }: StepTask, ready: Cause, reducedBytes: number): Moment {
    const begin = latest(ready, defined(this.#reductions[at.rank], `rank ${at.rank}`));
    const done = momentAfter(begin, at, { reducedBytes }, this.#options.model);
    this.#reductions[at.rank] = { why: 'reduction', moment: done };
    return done;
  }
}
