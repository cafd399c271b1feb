/** What the rounds of all ranks say, as figures with their range. */
import { defined } from '../../common/assert.ts';
import { type Spread, spreadOf } from '../peers/statistics.ts';
import { PLACES, type Place, type RankReport, type StepCost, type Variant } from './options.ts';

/** Of one place to compute, over all rounds; a step takes as long as on its slowest rank. */
export interface PlaceSummary {
  readonly place: Place;
  readonly rows: number;
  readonly onMs: Spread;
  readonly offMs: Spread;
  readonly computingMs: Spread;
  readonly communicationMs: Spread;
  /** Time without overlap through time with it, of the same round: above 1 where overlap is faster. */
  readonly ratio: Spread;
  /** Part of the communication's own time by which overlap makes a step shorter. */
  readonly hidden: Spread;
  /** The most that could be: what is left to compute after the first bucket may be less. */
  readonly hideable: Spread;
  /**
   * Cores that each host keeps busy while it does nothing but communicate: that part of the time cannot be
   * hidden by computing on the same core.
   */
  readonly communicationCores: Spread;
}

export function summariesOf(reports: readonly RankReport[]): readonly PlaceSummary[] {
  return PLACES.map((place) => summaryOf(reports, place));
}

/** Whether on every rank, with and without overlap, the same bits came out. */
export function sameBits(reports: readonly RankReport[]): boolean {
  const digests = reports.flatMap((report) => [report.digests.on, report.digests.off]);
  return new Set(digests).size === 1;
}

function summaryOf(reports: readonly RankReport[], place: Place): PlaceSummary {
  const ranks = reports.map((report) => report.places[place]);
  const first = defined(ranks[0], 'the report of rank 0');
  const rounds = first.rounds.map((_, round) => {
    const costs = (variant: Variant): readonly StepCost[] =>
      ranks.map((rank) => defined(rank.rounds[round], `round ${round}`)[variant]);
    const wallMs = (variant: Variant): number =>
      Math.max(...costs(variant).map((cost) => cost.wallMs));
    const besideMs = Math.min(...costs('computing').map((cost) => cost.wallMs - cost.firstMs));
    const cores = costs('communication').map((cost) => cost.cpuMs / cost.wallMs);
    return {
      onMs: wallMs('on'),
      offMs: wallMs('off'),
      computingMs: wallMs('computing'),
      communicationMs: wallMs('communication'),
      ratio: wallMs('off') / wallMs('on'),
      hidden: (wallMs('off') - wallMs('on')) / wallMs('communication'),
      hideable: Math.min(1, besideMs / wallMs('communication')),
      communicationCores: cores.reduce((sum, value) => sum + value, 0) / cores.length,
    };
  });
  const spread = (of: keyof (typeof rounds)[number]): Spread =>
    defined(spreadOf(rounds.map((round) => round[of])), 'at least one round');
  return {
    place,
    rows: first.rows,
    onMs: spread('onMs'),
    offMs: spread('offMs'),
    computingMs: spread('computingMs'),
    communicationMs: spread('communicationMs'),
    ratio: spread('ratio'),
    hidden: spread('hidden'),
    hideable: spread('hideable'),
    communicationCores: spread('communicationCores'),
  };
}
