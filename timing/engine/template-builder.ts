/** Builds templates from programs. See `templates.ts`. */

import { type MemoryMap, memoryMap } from '../../collectives/memory.ts';
import { type Program, receives, reduces, type Step, sends } from '../../collectives/program.ts';
import { isStepTask, type StepTask, type Task } from '../../collectives/tasks.ts';
import { defined } from '../../common/assert.ts';
import { HlsimError } from '../../common/errors.ts';
import { FloatList, IntList } from './number-lists.ts';
import { placeOrder } from './place-order.ts';
import { type StepElements, slicesOf } from './slice-sizes.ts';
import { TemplateEnds } from './template-ends.ts';
import { nodesOf, type ProgramNodes } from './template-nodes.ts';
import {
  COPIES,
  GATE,
  NONE,
  RECEIVES,
  REDUCES,
  SENDS,
  type Template,
  type Templates,
} from './templates.ts';

/** Slices of all templates together at most: a limit of memory. */
const TASKS_MAX = 2 ** 27;

export interface SliceOptions {
  readonly elements: StepElements;
  readonly bytesPerElement: number;
  readonly sliceBytes: number;
}

/** One list per column of `Templates`. */
function newColumns() {
  return {
    kind: new IntList(),
    channel: new IntList(),
    index: new IntList(),
    firstTask: new IntList(),
    puts: new IntList(),
    putsBefore: new IntList(),
    takes: new IntList(),
    takesBefore: new IntList(),
    firstWaiter: new IntList(),
    firstLeftWaiter: new IntList(),
    waiters: new IntList(),
    isSliced: new IntList(),
    needs: new IntList(),
    joins: new IntList(),
    stepOf: new IntList(),
  };
}

export class TemplateBuilder {
  readonly #options: SliceOptions;
  readonly #columns = newColumns();
  readonly #bytes = new FloatList();
  readonly #templates: Template[] = [];
  readonly #outgoing = new TemplateEnds();
  readonly #incoming = new TemplateEnds();

  constructor(options: SliceOptions) {
    this.#options = options;
  }

  add(program: Program): void {
    const nodes = nodesOf(program);
    const firstStep = this.#columns.kind.length;
    const firstTask = this.#bytes.length;
    const firstOutgoing = this.#outgoing.beginProgram();
    const firstIncoming = this.#incoming.beginProgram();
    for (const task of nodes.steps) this.#addStep(program, task);
    const tasks = this.#bytes.length - firstTask;
    for (const _ of nodes.gates) this.#addGate();
    const memory = memoryMap(program, program.rank, false);
    for (const task of [...nodes.steps, ...nodes.gates]) {
      this.#addWaiters(task, firstStep, nodes, memory);
    }
    const joins = this.#addJoins(firstStep);
    this.#templates.push({
      rank: program.rank,
      firstStep,
      endStep: this.#columns.kind.length,
      firstOutgoing,
      endOutgoing: this.#outgoing.all.length,
      firstIncoming,
      endIncoming: this.#incoming.all.length,
      joins,
      tasks,
      reducesInOrder: this.#reducesInOrder(firstStep),
    });
  }

  finish(): Templates {
    const columns = this.#columns;
    columns.firstTask.push(this.#bytes.length);
    columns.firstWaiter.push(columns.waiters.length);
    return {
      kind: Uint8Array.from(columns.kind.items()),
      channel: columns.channel.items(),
      index: columns.index.items(),
      firstTask: columns.firstTask.items(),
      puts: columns.puts.items(),
      putsBefore: columns.putsBefore.items(),
      takes: columns.takes.items(),
      takesBefore: columns.takesBefore.items(),
      firstWaiter: columns.firstWaiter.items(),
      firstLeftWaiter: columns.firstLeftWaiter.items(),
      waiters: columns.waiters.items(),
      isSliced: Uint8Array.from(columns.isSliced.items()),
      needs: columns.needs.items(),
      joins: columns.joins.items(),
      stepOf: columns.stepOf.items(),
      bytes: this.#bytes.items(),
      templates: this.#templates,
      outgoing: this.#outgoing.all,
      incoming: this.#incoming.all,
    };
  }

  #addStep(program: Program, { step, at }: StepTask): void {
    const { elements, bytesPerElement, sliceBytes } = this.#options;
    const number = this.#columns.kind.length;
    const all = elements(program.rank, step);
    const slices = slicesOf(all, bytesPerElement, sliceBytes);
    this.#addRow(kindOf(step), at.channel, at.step);
    this.#addTasks(number, slices, all);
    const { lane } = defined(program.channels[at.channel], `channel ${at.channel}`);
    const message = { step: number, slices, bytes: all * bytesPerElement };
    const { puts, putsBefore, takes, takesBefore, needs } = this.#columns;
    this.#outgoing.add(step.sendTo, lane, message, puts, putsBefore);
    this.#incoming.add(step.recvFrom, lane, message, takes, takesBefore);
    needs.push(step.recvFrom === undefined ? 0 : 1);
  }

  #addGate(): void {
    const { puts, putsBefore, takes, takesBefore, needs, kind } = this.#columns;
    this.#addTasks(kind.length, 1, 0);
    this.#addRow(GATE, 0, 0);
    puts.push(NONE);
    putsBefore.push(0);
    takes.push(NONE);
    takesBefore.push(0);
    needs.push(0);
  }

  #addRow(kind: number, channel: number, index: number): void {
    this.#columns.kind.push(kind);
    this.#columns.channel.push(channel);
    this.#columns.index.push(index);
  }

  /** Slices that differ by one element at most, larger ones first. */
  #addTasks(step: number, slices: number, elements: number): void {
    const { bytesPerElement } = this.#options;
    if (this.#bytes.length + slices > TASKS_MAX) throw tooManySlices(this.#options.sliceBytes);
    const smaller = Math.floor(elements / slices) * bytesPerElement;
    const larger = elements % slices;
    this.#columns.firstTask.push(this.#bytes.length);
    for (let slice = 0; slice < slices; slice++) {
      this.#columns.stepOf.push(step);
      this.#bytes.push(slice < larger ? smaller + bytesPerElement : smaller);
    }
  }

  /** First those that wait for the work alone, then those that wait until it has left. */
  #addWaiters(task: Task, firstStep: number, nodes: ProgramNodes, memory: MemoryMap): void {
    const { firstWaiter, firstLeftWaiter, waiters, isSliced, needs } = this.#columns;
    const own = firstStep + nodes.numberOf(task);
    const left: { readonly step: number; readonly sliced: boolean }[] = [];
    const add = (step: number, sliced: boolean): void => {
      waiters.push(step);
      isSliced.push(sliced ? 1 : 0);
      needs.set(step, needs.at(step) + 1);
    };
    firstWaiter.push(waiters.length);
    for (const { task: next, why } of task.before) {
      const step = firstStep + nodes.numberOf(next);
      const { isSliced: sliced, hasToLeave } = this.#order(task, next, why, memory);
      if (hasToLeave)
        left.push({ step, sliced: sliced && this.#slices(own) === this.#slices(step) });
      else add(step, sliced && this.#slices(own) === this.#slices(step));
    }
    firstLeftWaiter.push(waiters.length);
    for (const { step, sliced } of left) add(step, sliced);
  }

  #order(task: Task, next: Task, why: string, memory: MemoryMap) {
    if (!isStepTask(task)) return { isSliced: false, hasToLeave: false };
    const isByPlace = why === 'step' && isStepTask(next);
    if (isByPlace) return placeOrder(task.step, next.step, memory);
    return { isSliced: false, hasToLeave: sends(task.step.kind) };
  }

  #slices(step: number): number {
    const { firstTask } = this.#columns;
    const end = step + 1 < firstTask.length ? firstTask.at(step + 1) : this.#bytes.length;
    return end - firstTask.at(step);
  }

  /** Room for the state of tasks that wait for more than a message. Returns how much. */
  #addJoins(firstStep: number): number {
    const { needs, takes, joins, kind } = this.#columns;
    let room = 0;
    for (let step = firstStep; step < kind.length; step++) {
      const fromPlaces = needs.at(step) - (takes.at(step) === NONE ? 0 : 1);
      joins.push(fromPlaces === 0 ? NONE : room);
      if (fromPlaces > 0) room += this.#slices(step);
    }
    return room;
  }

  /** Whether all reductions take messages of one connection, and wait for nothing else. */
  #reducesInOrder(firstStep: number): boolean {
    const { kind, takes, joins } = this.#columns;
    let connection = NONE;
    for (let step = firstStep; step < kind.length; step++) {
      if ((kind.at(step) & REDUCES) === 0) continue;
      const from = takes.at(step);
      const isOther = connection !== NONE && from !== connection;
      if (from === NONE || isOther || joins.at(step) !== NONE) return false;
      connection = from;
    }
    return true;
  }
}

function kindOf({ kind }: Step): number {
  const local = kind === 'copy' ? COPIES : 0;
  return (
    (receives(kind) ? RECEIVES : 0) |
    (sends(kind) ? SENDS : 0) |
    (reduces(kind) ? REDUCES : 0) |
    local
  );
}

function tooManySlices(sliceBytes: number): HlsimError {
  return new HlsimError(
    'HLSIM_USAGE',
    `Expected at most ${TASKS_MAX} slices but found more with ${sliceBytes} bytes in each: take larger slices`,
    { fields: { sliceBytes } },
  );
}
