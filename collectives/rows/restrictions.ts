/** Restrictions that several rows share. */
import { isPowerOfTwo } from '../../common/math.ts';
import type { Restriction } from '../algorithm-row.ts';

export const CHUNKS_PER_RANK: Restriction = {
  needs: 'a number of chunks that is a multiple of the number of ranks',
  holds: ({ nranks, chunks = nranks }) => chunks % nranks === 0,
};

export const POWER_OF_TWO: Restriction = {
  needs: 'a power of two of ranks',
  holds: ({ nranks }) => isPowerOfTwo(nranks),
};
