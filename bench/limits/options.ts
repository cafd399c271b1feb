/** The command line of `npm run bench:limits`: a part of that of `bench:peers`. */
import { MiB } from '../../common/bytes.ts';
import { HlsimError } from '../../common/errors.ts';
import { type PeerOptions, readPeerOptions } from '../peers/options.ts';
import { BOUND_BYTES_MIN } from './fractions.ts';

export type LimitOptions = Pick<PeerOptions, 'ranks' | 'sizes' | 'rounds' | 'json' | 'help'>;

export const LIMIT_USAGE = `npm run bench:limits -- [flags]

  --ranks 2,4,8           numbers of ranks of the collectives and their bounds
  --sizes 16M,64M         bytes of the collectives' whole arrays
  --rounds 5              every round measures everything once
  --json FILE             everything that was measured
  --quick                 2 ranks, 3 rounds
  --help

See bench/README.md.`;

const SIZES_DEFAULT = [16 * MiB, 64 * MiB];
const KNOWN = ['--ranks', '--sizes', '--rounds', '--json', '--quick', '--help'];

/** @throws HlsimError `HLSIM_USAGE` */
export function readLimitOptions(args: readonly string[]): LimitOptions {
  const foreign = args.find(
    (word) => word.startsWith('--') && !KNOWN.includes(word.split('=')[0] ?? word),
  );
  if (foreign !== undefined) {
    throw new HlsimError('HLSIM_USAGE', `Expected one of ${KNOWN.join(', ')} but found ${foreign}`);
  }
  const { ranks, rounds, json, help, quick, ...read } = readPeerOptions(args);
  const isGiven = (flag: string): boolean =>
    args.some((word) => word === flag || word.startsWith(`${flag}=`));
  const sizes = isGiven('--sizes') ? read.sizes : SIZES_DEFAULT;
  const small = sizes.find((bytes) => bytes < BOUND_BYTES_MIN);
  if (small !== undefined) {
    throw new HlsimError(
      'HLSIM_USAGE',
      `Expected --sizes of at least ${BOUND_BYTES_MIN} bytes but found ${small}: bench:peers measures small ones`,
    );
  }
  return { ranks: quick && !isGiven('--ranks') ? [2] : ranks, sizes, rounds, json, help };
}
