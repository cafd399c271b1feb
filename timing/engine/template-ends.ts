/** The connections of one direction of all templates, while these are built. */
import type { Rank } from '../../collectives/schedule.ts';
import type { IntList } from './number-lists.ts';
import { NONE, type TemplateConnection } from './templates.ts';

interface OpenConnection extends TemplateConnection {
  readonly steps: number[];
  messages: number;
  bytes: number;
}

interface StepMessages {
  readonly step: number;
  readonly slices: number;
  readonly bytes: number;
}

export class TemplateEnds {
  readonly all: OpenConnection[] = [];
  /** Of the program that is being added: number by lane and peer. */
  readonly #numbers = new Map<number, Map<Rank, number>>();

  /** Returns the number that its first connection will have. */
  beginProgram(): number {
    this.#numbers.clear();
    return this.all.length;
  }

  /** Appends a step to its connection, and what `Templates` wants to know of it to the two columns. */
  add(
    peer: Rank | undefined,
    lane: number,
    { step, slices, bytes }: StepMessages,
    numbers: IntList,
    before: IntList,
  ): void {
    if (peer === undefined) {
      numbers.push(NONE);
      before.push(0);
      return;
    }
    const number = this.#numberOf(peer, lane);
    const connection = this.all[number] as OpenConnection;
    numbers.push(number);
    before.push(connection.messages);
    connection.steps.push(step);
    connection.messages += slices;
    connection.bytes += bytes;
  }

  #numberOf(peer: Rank, lane: number): number {
    let byPeer = this.#numbers.get(lane);
    if (byPeer === undefined) {
      byPeer = new Map();
      this.#numbers.set(lane, byPeer);
    }
    let number = byPeer.get(peer);
    if (number === undefined) {
      number = this.all.length;
      byPeer.set(peer, number);
      this.all.push({ peer, lane, steps: [], messages: 0, bytes: 0 });
    }
    return number;
  }
}
