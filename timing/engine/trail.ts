/**
 * What happened and why: every piece of work with the one that it could not begin before. Kept only where the
 * path to the end is asked for.
 */
import type { Rank } from '../../collectives/schedule.ts';
import type { Activity, Span } from '../prediction.ts';
import { FloatList, IntList } from './number-lists.ts';
import type { Plan } from './plan.ts';
import { NONE } from './templates.ts';

const ACTIVITIES: readonly Activity[] = [
  'issue',
  'link',
  'latency',
  'reduction',
  'copy',
  'waiting',
];
export const ISSUE = 0;
export const LINK = 1;
export const LATENCY = 2;
export const REDUCTION = 3;
export const COPY = 4;
export const WAITING = 5;
/** Not work: where the way goes from one rank to another. */
const TAKEN = 6;
const FREED = 7;

/** One piece of work. */
export interface Piece {
  readonly activity: number;
  readonly instance: number;
  readonly task: number;
  readonly begin: number;
  readonly end: number;
  /** Hop and link, of `LINK` and `LATENCY`. */
  readonly hop?: number;
  readonly link?: number;
}

interface TrailOptions {
  /** Told of every piece. */
  readonly record: ((span: Span) => void) | undefined;
  /** Whether `pathTo` will be asked. */
  readonly isKept: boolean;
  /** Units of the run's time in a second. */
  readonly perSecond: number;
}

export class Trail {
  readonly #plan: Plan;
  readonly #record: ((span: Span) => void) | undefined;
  readonly #isKept: boolean;
  readonly #perSecond: number;
  readonly #whole = new IntList();
  readonly #times = new FloatList();

  constructor(plan: Plan, { record, isKept, perSecond }: TrailOptions) {
    this.#plan = plan;
    this.#record = record;
    this.#isKept = isKept;
    this.#perSecond = perSecond;
  }

  /** Returns the number of the piece, to be given as cause of what it allows. */
  add(piece: Piece, cause: number): number {
    const { activity, instance, task, begin, end, hop = NONE, link = NONE } = piece;
    if (this.#record !== undefined) this.#record(this.#spanOf(piece, 0));
    if (!this.#isKept || activity === WAITING) return cause;
    for (const item of [activity, instance, task, hop, link, cause]) this.#whole.push(item);
    this.#times.push(begin);
    return this.#times.push(end) / 2 - 1;
  }

  /** What comes next is at the other end of the connection: it takes the message. */
  taken(connection: number, cause: number): number {
    return this.#cross(TAKEN, connection, cause);
  }

  /** What comes next is back at the connection's source: it has its slot again. */
  freed(connection: number, cause: number): number {
    return this.#cross(FREED, connection, cause);
  }

  #cross(activity: number, connection: number, cause: number): number {
    if (!this.#isKept) return cause;
    for (const item of [activity, NONE, NONE, connection, NONE, cause]) this.#whole.push(item);
    this.#times.push(0);
    return this.#times.push(0) / 2 - 1;
  }

  /** The pieces that lead to this one, first one first. Ranks are those that really are on the way. */
  pathTo(last: number): Span[] {
    const path: Span[] = [];
    let element = 0;
    for (let at = last; at !== NONE; ) {
      const { piece, cause } = this.#piece(at);
      if (piece.activity >= TAKEN) element = this.#across(piece, element);
      else path.push(this.#spanOf(piece, element));
      at = cause;
    }
    return path.reverse();
  }

  /** Going back over a crossing: how the instance before it is renumbered, if the one after it is by `element`. */
  #across({ activity, hop: connection = NONE }: Piece, element: number): number {
    const { connections, simulated, instances } = this.#plan;
    const reached = connections.destinationRank[connection] as Rank;
    if (activity === FREED) return simulated.elementOf(simulated.apply(element, reached));
    const source = instances.rank[connections.source[connection] as number] as Rank;
    const back = simulated.inverse(simulated.elementOf(reached));
    return simulated.elementOf(simulated.apply(element, simulated.apply(back, source)));
  }

  #piece(number: number): { piece: Piece; cause: number } {
    const at = 6 * number;
    const [hop, link] = [this.#whole.at(at + 3), this.#whole.at(at + 4)];
    return {
      piece: {
        activity: this.#whole.at(at),
        instance: this.#whole.at(at + 1),
        task: this.#whole.at(at + 2),
        begin: this.#times.at(2 * number),
        end: this.#times.at(2 * number + 1),
        ...(hop === NONE ? {} : { hop, link }),
      },
      cause: this.#whole.at(at + 5),
    };
  }

  /** The piece as what the rank does that `element` takes the simulated one to. */
  #spanOf(piece: Piece, element: number): Span {
    const { templates, hops, connections, links, simulated, instances } = this.#plan;
    const { activity, instance, task, begin, end, hop, link } = piece;
    const step = templates.stepOf[task] as number;
    const span: Span = {
      activity: ACTIVITIES[activity] as Activity,
      rank: simulated.apply(element, instances.rank[instance] as Rank),
      channel: templates.channel[step] as number,
      step: templates.index[step] as number,
      slice: task - (templates.firstTask[step] as number),
      bytes: templates.bytes[task] as number,
      beginSeconds: begin / this.#perSecond,
      endSeconds: end / this.#perSecond,
    };
    if (hop === undefined || link === undefined) return span;
    const reached = connections.destinationRank[hops.connection[hop] as number] as number;
    const used = links.at(link);
    return {
      ...span,
      peer: simulated.apply(element, reached),
      linkKind: used.link.kind,
      link: used.number,
    };
  }
}
