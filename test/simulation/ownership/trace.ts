/** What happened, in order. Two runs of one seed must give the same digest. */
import { createHash } from 'node:crypto';
import type { Clock } from '../../../common/clock.ts';

export class Trace {
  readonly #clock: Clock;
  readonly lines: string[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(line: string): void {
    this.lines.push(`${this.#clock.now()} ${line}`);
  }

  digest(): string {
    return createHash('sha256').update(this.lines.join('\n')).digest('hex');
  }
}
