/** What runs an operation in the program's thread sees of it (`program-runner.ts`), however its bytes travel. */
import type { Rank } from '../../../collectives/schedule.ts';
import type { ControlPage } from './control-page.ts';

/** One collective of one rank. */
export interface ProgramOperation {
  /** Of the operations of this kind, from 1. */
  readonly sequence: number;
  /** The call in words. */
  readonly text: string;
  /** When it is given up if it has not ended, on the clock of whoever runs it; set by them. */
  deadline: number | undefined;
  /** The peer for which `advance` has stopped. */
  readonly waitingFor: Rank | undefined;
  /** Goes as far as it can; true at the end. Throws a `ProgramFault`. */
  advance(): boolean;
}

/** Where operations run: one rank of a communicator. */
export interface ProgramPlace {
  readonly control: ControlPage;
  readonly wait: { now(): number; giveWay(): void };
  /** How often it gives its core away before it sleeps, where there are more ranks than cores. */
  readonly yields: number;
  /** There may be something to do: cheaper than to look. */
  hasNews(): boolean;
  /** From here on whoever has something for this rank wakes it. */
  aboutToSleep(): void;
  /** Returns when there may be something to do, after `timeoutMs` at the latest. After `aboutToSleep`. */
  sleep(timeoutMs: number): void;
  /** The end of `aboutToSleep`. */
  awake(): void;
  /** Lets others run for so long. */
  pause(timeoutMs: number): void;
}
