/** What is measured of this machine: sizes of each algorithm on some ranks, over either provider. */

export const PROVIDERS = ['ws', 'p2p'] as const;
export type Provider = (typeof PROVIDERS)[number];

/** One launch of `hlsim bench`. */
export interface Launch {
  readonly provider: Provider;
  readonly collective: string;
  readonly algorithm: string;
  readonly ranks: number;
}

/** From the cost of a message alone to that of its bytes; the first is for warming up alone. */
export const SIZES = { min: '64', max: '4M', factor: 16 } as const;
/** The first point: 1 KiB. What is measured before it, new processes run with code that is not compiled yet. */
export const POINT_BYTES_MIN = 1024;
/** Pieces of a step: the same for all, as the model of the machine has no tuner. */
export const SLICE = '256K';

const RING_RANKS = [2, 4, 3, 8] as const;
/** All-reduce by other algorithms, which the fit does not see. */
const OTHERS: readonly (readonly [algorithm: string, ranks: readonly number[]])[] = [
  ['recursiveDoubling', [2, 3, 4, 8]],
  ['halvingDoubling', [4, 8]],
  ['direct', [2, 3, 4, 8]],
  ['binomialTree', [3, 4]],
];

/** All launches of a round. */
export function launches(): readonly Launch[] {
  return PROVIDERS.flatMap((provider) => [
    ...RING_RANKS.map((ranks) => launch(provider, 'ring', ranks)),
    ...OTHERS.flatMap(([algorithm, counts]) =>
      counts.map((ranks) => launch(provider, algorithm, ranks)),
    ),
  ]);
}

function launch(provider: Provider, algorithm: string, ranks: number): Launch {
  return { provider, collective: 'all_reduce', algorithm, ranks };
}

export function launchKey({ provider, collective, algorithm, ranks }: Launch): string {
  return [provider, collective, algorithm, ranks].join(' ');
}
