/**
 * How the programs of all ranks hang together: which channel sends and which receives the messages of
 * each connection, and which connection each step has to do with. Everything is numbered, so that who
 * walks many steps need not build keys.
 */
import type { Program, Step } from './program.ts';
import type { Rank } from './schedule.ts';

/** In place of a number: there is none. */
export const NONE = -1;

/** A channel of a rank: what runs its steps one after the other. */
export interface Process {
  readonly rank: Rank;
  readonly channel: number;
  readonly steps: readonly Step[];
  /** Number of its first step among the steps of all processes. */
  readonly firstStep: number;
}

/** Messages from one rank to another on one lane. */
export interface Connection {
  readonly src: Rank;
  readonly dst: Rank;
  readonly lane: number;
  /** Numbers of the steps that send its messages, and of those that receive them, in order. */
  readonly sends: readonly number[];
  readonly receives: readonly number[];
}

/** Step `i` of process `p` has the number `processes[p].firstStep + i`. */
export interface Wiring {
  readonly processes: readonly Process[];
  /** By rank, the number of its first process: channel c has that number plus c. */
  readonly firstProcess: readonly number[];
  readonly connections: readonly Connection[];
  /** By number of a step: its process. */
  readonly processOf: Int32Array;
  /** By number of a step: the connection that it receives from, or `NONE`. */
  readonly takes: Int32Array;
  /** By number of a step: the connection that it sends to, or `NONE`. */
  readonly puts: Int32Array;
}

interface OpenConnection extends Connection {
  readonly sends: number[];
  readonly receives: number[];
}

/** `programs` are those of all ranks, by rank. */
export function wire(programs: readonly Program[]): Wiring {
  const processes: Process[] = [];
  const firstProcess: number[] = [];
  let total = 0;
  for (const { rank, channels } of programs) {
    firstProcess.push(processes.length);
    for (const { id, steps } of channels) {
      processes.push({ rank, channel: id, steps, firstStep: total });
      total += steps.length;
    }
  }
  const lanes = programs.flatMap(({ channels }) => channels.map(({ lane }) => lane));
  return { processes, firstProcess, ...connect(processes, lanes, total, programs.length) };
}

/** `lanes` are those of the processes; `total` is the number of their steps. */
function connect(
  processes: readonly Process[],
  lanes: readonly number[],
  total: number,
  nranks: number,
): Pick<Wiring, 'connections' | 'processOf' | 'takes' | 'puts'> {
  const find = connectionFinder(nranks);
  const processOf = new Int32Array(total);
  const takes = new Int32Array(total).fill(NONE);
  const puts = new Int32Array(total).fill(NONE);
  for (const [index, { rank, steps, firstStep }] of processes.entries()) {
    const lane = lanes[index] as number;
    processOf.fill(index, firstStep, firstStep + steps.length);
    let number = firstStep;
    for (const { recvFrom, sendTo } of steps) {
      if (recvFrom !== undefined) {
        takes[number] = find.number(recvFrom, rank, lane);
        find.list[takes[number] as number]?.receives.push(number);
      }
      if (sendTo !== undefined) {
        puts[number] = find.number(rank, sendTo, lane);
        find.list[puts[number] as number]?.sends.push(number);
      }
      number++;
    }
  }
  return { connections: find.list, processOf, takes, puts };
}

function connectionFinder(nranks: number): {
  readonly list: OpenConnection[];
  number(src: Rank, dst: Rank, lane: number): number;
} {
  const list: OpenConnection[] = [];
  const byLane = new Map<number, Map<number, number>>();
  return {
    list,
    number(src, dst, lane) {
      let known = byLane.get(lane);
      if (known === undefined) {
        known = new Map();
        byLane.set(lane, known);
      }
      const key = src * nranks + dst;
      let number = known.get(key);
      if (number === undefined) {
        number = list.length;
        known.set(key, number);
        list.push({ src, dst, lane, sends: [], receives: [] });
      }
      return number;
    },
  };
}

/** The process of a channel; `NONE` if the rank has no such channel. */
export function processAt(wiring: Wiring, rank: Rank, channel: number): number {
  const first = wiring.firstProcess[rank];
  if (first === undefined || channel < 0) return NONE;
  const process = first + channel;
  return process < (wiring.firstProcess[rank + 1] ?? wiring.processes.length) ? process : NONE;
}

/** The process that sends the messages of a connection, or that receives them; `NONE` if none does. */
export function processAtEnd(
  wiring: Wiring,
  connection: Connection,
  end: 'sends' | 'receives',
): number {
  const step = connection[end][0];
  return step === undefined ? NONE : (wiring.processOf[step] as number);
}
