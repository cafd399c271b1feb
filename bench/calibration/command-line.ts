/** The command line of `npm run bench:calibration`. */
import { parseArgs } from 'node:util';
import { HlsimError, messageOf } from '../../common/errors.ts';

export interface CalibrationFlags {
  readonly rounds: number;
  readonly iterations: number;
  /** The files are this with `-ws.csv` and `-p2p.csv` behind. */
  readonly output: string;
  readonly help: boolean;
}

const ROUNDS_MAX = 100;
const ITERATIONS_MAX = 10_000;
const DEFAULTS = { rounds: '5', iters: '20', output: 'points-machine' } as const;

export const CALIBRATION_USAGE = `npm run bench:calibration -- [flags]

  --rounds 5                  every round runs everything once; the median over rounds counts
  --iters 20                  timed calls of a size in a round, each after the end of the last
  --output points-machine     writes points-machine-ws.csv and points-machine-p2p.csv
  --help

hlsim calibrate --help says how to fit them.`;

/** @throws HlsimError `HLSIM_USAGE` */
export function readCalibrationFlags(args: readonly string[]): CalibrationFlags {
  const values = { ...DEFAULTS, ...parsed(args) };
  return {
    rounds: integer('rounds', values.rounds, ROUNDS_MAX),
    iterations: integer('iters', values.iters, ITERATIONS_MAX),
    output: values.output,
    help: values.help === true,
  };
}

function parsed(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const options = { rounds: text, iters: text, output: text, help: { type: 'boolean' } } as const;
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (cause) {
    throw usageError(`${messageOf(cause)}: see npm run bench:calibration -- --help`, { cause });
  }
}

function integer(name: string, text: string, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= max) return value;
  throw usageError(
    `Expected --${name} to be a whole number from 1 to ${max} but found ${JSON.stringify(text)}`,
  );
}

function usageError(message: string, options?: { readonly cause: unknown }): HlsimError {
  return new HlsimError('HLSIM_USAGE', message, options);
}
