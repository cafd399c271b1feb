/** Names of the messages that steps take and send: connection, and number on it. Both ends have the same. */
import { receives, sends } from './program.ts';
import type { Rank } from './schedule.ts';
import type { StepTask } from './tasks.ts';

export class MessageNames {
  readonly #taken = new Map<StepTask, string>();
  readonly #sent = new Map<StepTask, string>();
  readonly #numbers = new Map<string, number>();

  /** `tasks` of a channel are in its order. */
  constructor(tasks: readonly StepTask[]) {
    for (const task of tasks) {
      const { step, at, lane } = task;
      if (receives(step.kind)) {
        this.#taken.set(task, this.#next('to', step.recvFrom, at.rank, lane));
      }
      if (sends(step.kind)) this.#sent.set(task, this.#next('from', at.rank, step.sendTo, lane));
    }
  }

  /** Empty if it takes none. */
  takenBy(task: StepTask): string {
    return this.#taken.get(task) ?? '';
  }

  /** Empty if it sends none. */
  sentBy(task: StepTask): string {
    return this.#sent.get(task) ?? '';
  }

  #next(end: 'to' | 'from', src: Rank | undefined, dst: Rank | undefined, lane: number): string {
    const connection = `${src} ${dst} ${lane}`;
    const number = this.#numbers.get(`${end} ${connection}`) ?? 0;
    this.#numbers.set(`${end} ${connection}`, number + 1);
    return `${connection} ${number}`;
  }
}
