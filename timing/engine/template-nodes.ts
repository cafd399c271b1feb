/** The task graph of one program as numbered nodes: its steps in their order, and then its gates. */
import type { Program } from '../../collectives/program.ts';
import { isStepTask, type StepTask, type Task, tasksOf } from '../../collectives/tasks.ts';

export interface ProgramNodes {
  readonly steps: readonly StepTask[];
  readonly gates: readonly Task[];
  /** Number of a node, from 0 on. */
  numberOf(task: Task): number;
}

export function nodesOf(program: Program): ProgramNodes {
  const steps = tasksOf([program], 'overlapping');
  const numbers = new Map<Task, number>();
  for (const step of steps) numbers.set(step, numbers.size);
  const gates: Task[] = [];
  const reach = (task: Task): void => {
    for (const { task: next } of task.before) {
      if (isStepTask(next) || numbers.has(next)) continue;
      numbers.set(next, numbers.size);
      gates.push(next);
    }
  };
  for (const step of steps) reach(step);
  // Grows while it is walked: a gate may lead to others.
  for (const gate of gates) reach(gate);
  return { steps, gates, numberOf: (task) => numbers.get(task) as number };
}
