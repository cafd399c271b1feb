/** The command line of `npm run bench:calibration`. */
import { parseFlags, wholeNumberFlag } from '../command-line.ts';

export interface CalibrationFlags {
  readonly rounds: number;
  readonly iterations: number;
  /** The files are this with `-ws.csv` and `-p2p.csv` behind. */
  readonly output: string;
  readonly help: boolean;
}

const ROUNDS_MAX = 100;
const ITERATIONS_MAX = 10_000;
const TEXT = { type: 'string' } as const;
const OPTIONS = { rounds: TEXT, iters: TEXT, output: TEXT, help: { type: 'boolean' } } as const;
const DEFAULTS = { rounds: '5', iters: '20', output: 'points-machine' } as const;

export const CALIBRATION_USAGE = `npm run bench:calibration -- [flags]

  --rounds 5                  every round runs everything once; the median over rounds counts
  --iters 20                  timed calls of a size in a round, each after the end of the last
  --output points-machine     writes points-machine-ws.csv and points-machine-p2p.csv
  --help

hlsim calibrate --help says how to fit them.`;

/** @throws HlsimError `HLSIM_USAGE` */
export function readCalibrationFlags(args: readonly string[]): CalibrationFlags {
  const values = { ...DEFAULTS, ...parseFlags('bench:calibration', args, OPTIONS) };
  return {
    rounds: wholeNumberFlag('rounds', values.rounds, ROUNDS_MAX),
    iterations: wholeNumberFlag('iters', values.iters, ITERATIONS_MAX),
    output: values.output,
    help: values.help === true,
  };
}
