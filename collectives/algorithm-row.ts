/** What a row of the one list of algorithms says. */
import type { CollectiveName } from './collective.ts';
import type { Schedule, ScheduleOptions } from './schedule.ts';

/** Something that a call must satisfy. */
export interface Restriction {
  /** Completes "ring allReduce needs ...". */
  readonly needs: string;
  readonly holds: (options: AlgorithmOptions) => boolean;
}

/** What a row of the table is asked with: a builder for several collectives sees which is meant. */
export interface AlgorithmOptions extends ScheduleOptions {
  readonly collective: CollectiveName;
}

/** Time = alphas·α + bytes·β + reducedBytes·γ, the last two as fractions of n. */
export interface ClosedForm {
  readonly alphas: number;
  /** In units of n: of the vector, of all that is gathered, scattered or reduced, or of a rank's input. */
  readonly bytes: number;
  readonly reducedBytes: number;
  /** `single`: one message at a time leaves a rank; `full`: start-up times to several peers overlap. */
  readonly ports: 'single' | 'full';
  /** The formula as the source writes it. */
  readonly text: string;
}

export interface AlgorithmRow {
  /** Unique within a collective. */
  readonly name: string;
  readonly collectives: readonly CollectiveName[];
  readonly restrictions: readonly Restriction[];
  readonly build: (options: AlgorithmOptions) => Schedule;
  /**
   * What the literature says it costs; absent where no closed form is exact. `cost.ts` comes to the same
   * with the ports that it names, for counts that the chunks divide.
   */
  readonly closedForm?: (options: AlgorithmOptions) => ClosedForm;
  /** One sentence for help texts. */
  readonly summary: string;
}
