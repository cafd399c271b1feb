/**
 * Carries out the tasks of the simulated ranks in virtual time.
 *
 * What follows from known times alone (a message on a link of its own, a reduction that nobody can get ahead of)
 * is worked out at once, in any order. What is decided by who comes first waits in a queue ordered by time, and
 * all that happens at one moment is taken together. Before the queue's next moment everything that follows from
 * the present is worked out, so nothing earlier can still turn up.
 */
import { defined } from '../../common/assert.ts';
import { HostThreads, THREAD_ASK } from './host-threads.ts';
import type { DelayFactor } from './jitter.ts';
import type { MomentQueue } from './moment-queue.ts';
import type { Plan } from './plan.ts';
import { CORES_END } from './shared-cores.ts';
import {
  COPIES,
  GATE,
  NONE,
  RECEIVES,
  REDUCES,
  SENDS,
  type TemplateConnection,
} from './templates.ts';
import { COPY, ISSUE, REDUCTION, type Trail, WAITING } from './trail.ts';
import { waitingWords } from './waiting-words.ts';
import type { Receivers, Wires } from './wires.ts';
import { WorkQueue } from './work-queue.ts';

/** Kind of the event that a task asks for the unit that reduces or copies; the subject is the unit. */
const UNIT = 0;
/** Units of each instance. */
const UNITS = 2;
/** In place of an instance in the work queue: a message of a connection has arrived. */
const ARRIVAL = -1;
/** Tasks after which progress is told again. */
const PROGRESS_TASKS = 2 ** 16;

export interface RunOptions {
  readonly plan: Plan;
  readonly queue: MomentQueue;
  readonly trail?: Trail | undefined;
  readonly delay?: DelayFactor | undefined;
  readonly progress?: ((done: number) => void) | undefined;
  /** Work of the units takes whole units of time, rounded down. */
  readonly isWhole?: boolean;
  /** Cards with a host have its cores do their work. */
  readonly hasHosts?: boolean;
  readonly wires: (receivers: Receivers) => Wires;
}

export interface RunResult {
  /** When the last task is done, in the model's units of time. */
  readonly time: number;
  /** Piece of work that was the last one, if there is a trail. */
  readonly last: number;
  readonly done: number;
  readonly all: number;
  readonly messages: number;
  /** In words, what waits; empty if all is done. */
  waiting(most: number): string[];
}

export class Run implements Receivers {
  readonly #plan: Plan;
  readonly #queue: MomentQueue;
  readonly #work = new WorkQueue();
  readonly #trail: Trail | undefined;
  readonly #delay: DelayFactor | undefined;
  readonly #progress: ((done: number) => void) | undefined;
  readonly #isWhole: boolean;
  readonly #wires: Wires;
  readonly #threads: HostThreads | undefined;
  /** By instance: where the state of its tasks begins. */
  readonly #firstJoin: Float64Array;
  /** By entry of state: things that the task still waits for, when the last one so far was, and its piece of work. */
  readonly #unmet: Int32Array;
  readonly #ready: Float64Array;
  readonly #readyBy: Int32Array;
  /** By unit. */
  readonly #freeAt: Float64Array;
  readonly #freedBy: Int32Array;
  /** By connection: the step whose message is the next to arrive, as index in the list of its steps, and the slice. */
  readonly #nextStep: Int32Array;
  readonly #nextSlice: Int32Array;
  /** By instance and incoming connection of its template: the connection. */
  readonly #connectionInto: Int32Array;
  readonly #incomingShift: Int32Array;
  readonly #requests: number[] = [];
  readonly #all: number;
  #done = 0;
  #messages = 0;
  #latest = 0;
  #last = NONE;

  constructor(options: RunOptions) {
    const { plan, queue, trail, delay, progress, isWhole = false, wires } = options;
    const { instances, templates, connections } = plan;
    this.#plan = plan;
    this.#queue = queue;
    this.#trail = trail;
    this.#delay = delay;
    this.#progress = progress;
    this.#isWhole = isWhole;
    this.#firstJoin = new Float64Array(instances.count + 1);
    this.#incomingShift = new Int32Array(instances.count);
    let [all, into] = [0, 0];
    for (let instance = 0; instance < instances.count; instance++) {
      const template = this.#templateOf(instance);
      this.#firstJoin[instance + 1] = (this.#firstJoin[instance] as number) + template.joins;
      this.#incomingShift[instance] = into - template.firstIncoming;
      into += template.endIncoming - template.firstIncoming;
      all += template.tasks;
    }
    this.#all = all;
    const joins = this.#firstJoin[instances.count] as number;
    this.#unmet = new Int32Array(joins);
    this.#ready = new Float64Array(joins);
    this.#readyBy = new Int32Array(trail === undefined ? 0 : joins).fill(NONE);
    this.#freeAt = new Float64Array(UNITS * instances.count);
    this.#freedBy = new Int32Array(UNITS * instances.count).fill(NONE);
    this.#nextStep = new Int32Array(connections.count);
    this.#nextSlice = new Int32Array(connections.count);
    this.#connectionInto = new Int32Array(into);
    for (let connection = 0; connection < connections.count; connection++) {
      const shift = this.#incomingShift[connections.destination[connection] as number] as number;
      this.#connectionInto[shift + (connections.incoming[connection] as number)] = connection;
    }
    this.#initJoins(templates.needs, templates.joins);
    this.#wires = wires(this);
    if (options.hasHosts !== true || plan.cores.length === 0) return;
    const finish = (instance: number, task: number, time: number, cause: number): void =>
      this.#finish(instance, task, time, cause);
    this.#threads = new HostThreads({ plan, queue, trail, delay, finish });
  }

  run(): RunResult {
    this.#begin();
    this.#drain();
    const queue = this.#queue;
    while (queue.length > 0) {
      const now = queue.time;
      while (queue.time === now) {
        this.#takeAll(now);
        this.#serve(now);
        this.#threads?.serve(now);
        this.#drain();
      }
      this.#threads?.settle(now);
      this.#wires.settle(now);
      this.#drain();
    }
    return {
      time: this.#latest,
      last: this.#last,
      done: this.#done,
      all: this.#all,
      messages: this.#messages,
      waiting: (most) =>
        waitingWords(this.#plan, this.#wires.waiting(most), most, (instance, join) => {
          return this.#unmet[(this.#firstJoin[instance] as number) + join] as number;
        }),
    };
  }

  arrived(connection: number, time: number, cause: number): void {
    this.#work.add(time, ARRIVAL, connection, cause);
  }

  left(instance: number, task: number, time: number, cause: number): void {
    const { stepOf, firstLeftWaiter, firstWaiter } = this.#plan.templates;
    const step = stepOf[task] as number;
    const first = firstLeftWaiter[step] as number;
    const end = firstWaiter[step + 1] as number;
    if (first < end) this.#tell(instance, task, first, end, time, cause);
  }

  /** All events of this moment. */
  #takeAll(now: number): void {
    const queue = this.#queue;
    while (queue.time === now) {
      queue.take();
      const { kind, subject, detail, cause } = queue;
      if (kind === UNIT) this.#requests.push(subject, detail, cause);
      else if (kind === THREAD_ASK) this.#threads?.asked(subject, detail, now, cause);
      else if (kind === CORES_END) this.#threads?.ended(subject, detail, now);
      else this.#wires.happen(kind, subject, detail, now, cause);
    }
  }

  #templateOf(instance: number) {
    const { templates } = this.#plan.templates;
    return defined(templates[this.#plan.instances.template[instance] as number], 'template');
  }

  #initJoins(needs: Int32Array, joins: Int32Array): void {
    const { instances, templates } = this.#plan;
    for (let instance = 0; instance < instances.count; instance++) {
      const { firstStep, endStep } = this.#templateOf(instance);
      const first = this.#firstJoin[instance] as number;
      for (let step = firstStep; step < endStep; step++) {
        const join = joins[step] as number;
        if (join === NONE) continue;
        const slices =
          (templates.firstTask[step + 1] as number) - (templates.firstTask[step] as number);
        this.#unmet.fill(needs[step] as number, first + join, first + join + slices);
      }
    }
  }

  /** What waits for nothing is ready at 0. */
  #begin(): void {
    const { needs, firstTask } = this.#plan.templates;
    for (let instance = 0; instance < this.#plan.instances.count; instance++) {
      const { firstStep, endStep } = this.#templateOf(instance);
      for (let step = firstStep; step < endStep; step++) {
        if (needs[step] !== 0) continue;
        const end = firstTask[step + 1] as number;
        for (let task = firstTask[step] as number; task < end; task++) {
          this.#work.add(0, instance, task, NONE);
        }
      }
    }
  }

  /** Works out all that follows from what is known. */
  #drain(): void {
    const work = this.#work;
    while (work.length > 0) {
      work.take();
      if (work.whose === ARRIVAL) this.#take(work.what, work.time, work.cause);
      else this.#start(work.whose, work.what, work.time, work.cause);
    }
  }

  /** The next message of a connection is there. */
  #take(connection: number, time: number, cause: number): void {
    const { templates, connections } = this.#plan;
    const { steps } = templates.incoming[
      connections.incoming[connection] as number
    ] as TemplateConnection;
    const index = this.#nextStep[connection] as number;
    const slice = this.#nextSlice[connection] as number;
    const step = steps[index] as number;
    const task = (templates.firstTask[step] as number) + slice;
    this.#messages++;
    if (task + 1 < (templates.firstTask[step + 1] as number)) {
      this.#nextSlice[connection] = slice + 1;
    } else {
      this.#nextSlice[connection] = 0;
      this.#nextStep[connection] = index + 1;
    }
    const instance = connections.destination[connection] as number;
    const by = this.#trail?.taken(connection, cause) ?? NONE;
    if (templates.joins[step] === NONE) this.#start(instance, task, time, by);
    else this.#meet(instance, step, task, time, by);
  }

  /** One of the things has happened that the task waits for. */
  #meet(instance: number, step: number, task: number, time: number, cause: number): void {
    const { joins, firstTask } = this.#plan.templates;
    const at =
      (this.#firstJoin[instance] as number) +
      (joins[step] as number) +
      task -
      (firstTask[step] as number);
    if (time >= (this.#ready[at] as number)) {
      this.#ready[at] = time;
      if (this.#trail !== undefined) this.#readyBy[at] = cause;
    }
    const unmet = (this.#unmet[at] as number) - 1;
    this.#unmet[at] = unmet;
    if (unmet > 0) return;
    const by = this.#trail === undefined ? NONE : (this.#readyBy[at] as number);
    this.#work.add(this.#ready[at] as number, instance, task, by);
  }

  /** All that the task waits for has happened. */
  #start(instance: number, task: number, ready: number, cause: number): void {
    const { templates, instances } = this.#plan;
    const step = templates.stepOf[task] as number;
    const kind = templates.kind[step] as number;
    if (kind === GATE) {
      const { firstWaiter } = templates;
      const [first, end] = [firstWaiter[step] as number, firstWaiter[step + 1] as number];
      this.#tell(instance, task, first, end, ready, cause);
      return;
    }
    if (this.#threads?.has(instance) === true) {
      this.#threads.ask(instance, task, ready, cause);
      return;
    }
    let issue = instances.issueSeconds[instance] as number;
    if (this.#delay !== undefined)
      issue *= this.#delay(~(instances.rank[instance] as number), step);
    const begin = ready + issue;
    let by = cause;
    if (this.#trail !== undefined && issue > 0) {
      by = this.#trail.add({ activity: ISSUE, instance, task, begin: ready, end: begin }, cause);
    }
    const isWork = (kind & (REDUCES | COPIES)) !== 0 && (templates.bytes[task] as number) > 0;
    if (!isWork) {
      this.#finish(instance, task, begin, by);
      return;
    }
    const unit = UNITS * instance + (kind & COPIES ? 1 : 0);
    if ((kind & REDUCES) !== 0 && this.#templateOf(instance).reducesInOrder) {
      this.#occupy(unit, task, begin, by);
    } else this.#queue.add(begin, UNIT, unit, task, by);
  }

  /** Gives the units that tasks have asked for now to them, in the order of the program. */
  #serve(now: number): void {
    const requests = this.#requests;
    if (requests.length === 0) return;
    const order = Array.from({ length: requests.length / 3 }, (_, index) => 3 * index);
    if (order.length > 1) {
      order.sort(
        (a, b) =>
          (requests[a] as number) - (requests[b] as number) ||
          (requests[a + 1] as number) - (requests[b + 1] as number),
      );
    }
    for (const at of order) {
      const [unit, task] = [requests[at] as number, requests[at + 1] as number];
      this.#occupy(unit, task, now, requests[at + 2] as number);
    }
    requests.length = 0;
  }

  /** The task has the unit from `time` on, or as soon as it is free. */
  #occupy(unit: number, task: number, time: number, cause: number): void {
    const { instances, templates } = this.#plan;
    const instance = Math.floor(unit / UNITS);
    const isCopy = unit % UNITS === 1;
    const rates = isCopy ? instances.copyBytesPerSecond : instances.reduceBytesPerSecond;
    const free = this.#freeAt[unit] as number;
    let [begin, by] = [time, cause];
    const trail = this.#trail;
    if (free > time) {
      begin = free;
      by = this.#freedBy[unit] as number;
      trail?.add({ activity: WAITING, instance, task, begin: time, end: free }, cause);
    }
    const work = (templates.bytes[task] as number) / (rates[instance] as number);
    const end = begin + (this.#isWhole ? Math.floor(work) : work);
    if (trail !== undefined) {
      by = trail.add({ activity: isCopy ? COPY : REDUCTION, instance, task, begin, end }, by);
    }
    this.#freeAt[unit] = end;
    this.#freedBy[unit] = by;
    this.#finish(instance, task, end, by);
  }

  /** The task's work is done, at `end`. */
  #finish(instance: number, task: number, end: number, cause: number): void {
    const { stepOf, kind, firstTask, firstWaiter, firstLeftWaiter, takes, takesBefore } =
      this.#plan.templates;
    const step = stepOf[task] as number;
    const does = kind[step] as number;
    if (++this.#done % PROGRESS_TASKS === 0) this.#progress?.(this.#done / this.#all);
    if (end >= this.#latest) {
      this.#latest = end;
      this.#last = cause;
    }
    if ((does & RECEIVES) !== 0) {
      const into = (this.#incomingShift[instance] as number) + (takes[step] as number);
      const message = (takesBefore[step] as number) + task - (firstTask[step] as number);
      this.#wires.taken(this.#connectionInto[into] as number, message, end, cause);
    }
    const first = firstWaiter[step] as number;
    const last = firstLeftWaiter[step] as number;
    if (first < last) this.#tell(instance, task, first, last, end, cause);
    if ((does & SENDS) !== 0) this.#wires.send(instance, task, end, cause);
  }

  /** Tells those that wait for the task: some slice by slice, the others for the last slice. */
  #tell(
    instance: number,
    task: number,
    first: number,
    end: number,
    time: number,
    cause: number,
  ): void {
    const { stepOf, firstTask, waiters, isSliced } = this.#plan.templates;
    const step = stepOf[task] as number;
    const slice = task - (firstTask[step] as number);
    const isLast = task + 1 === (firstTask[step + 1] as number);
    for (let index = first; index < end; index++) {
      const waiter = waiters[index] as number;
      const firstOf = firstTask[waiter] as number;
      if (isSliced[index] === 1) this.#meet(instance, waiter, firstOf + slice, time, cause);
      else if (isLast) {
        const endOf = firstTask[waiter + 1] as number;
        for (let of = firstOf; of < endOf; of++) this.#meet(instance, waiter, of, time, cause);
      }
    }
  }
}
