/** The command line of `npm run bench:overlap`. */
import { parseFlags, wholeNumberFlag } from '../command-line.ts';

export interface OverlapFlags {
  readonly rounds: number;
  readonly steps: number;
  /** Of the slow link, in bytes per second and direction. */
  readonly linkRate: number;
  readonly json: string | undefined;
  readonly help: boolean;
}

/** Bytes per second of one MB/s, as network cards are sold. */
export const MEGABYTES_PER_SECOND = 1_000_000;
const ROUNDS_MAX = 1_000;
const STEPS_MAX = 1_000;
const RATE_MAX = 100_000;
const TEXT = { type: 'string' } as const;
const OPTIONS = {
  ...{ rounds: TEXT, steps: TEXT, 'link-rate': TEXT, json: TEXT },
  help: { type: 'boolean' },
} as const;
const DEFAULTS = { rounds: '9', steps: '5', 'link-rate': '125' } as const;

export const OVERLAP_USAGE = `npm run bench:overlap -- [flags]

  --rounds 9        every round runs every variant of a step
  --steps 5         steps of a variant in a round
  --link-rate 125   MB/s of the slow link (125: Ethernet of 1 Gbit/s), to which the kernel holds connections
  --json FILE       everything that was measured
  --help

See bench/README.md.`;

/** @throws HlsimError `HLSIM_USAGE` */
export function readOverlapFlags(args: readonly string[]): OverlapFlags {
  const values = { ...DEFAULTS, ...parseFlags('bench:overlap', args, OPTIONS) };
  return {
    rounds: wholeNumberFlag('rounds', values.rounds, ROUNDS_MAX),
    steps: wholeNumberFlag('steps', values.steps, STEPS_MAX),
    linkRate: MEGABYTES_PER_SECOND * wholeNumberFlag('link-rate', values['link-rate'], RATE_MAX),
    json: values.json,
    help: values.help === true,
  };
}
