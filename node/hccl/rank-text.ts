/** Ranks in sentences. */
import type { Rank } from '../../collectives/schedule.ts';

/** `rank 2`, `ranks 2, 3`. */
export function ranksText(ranks: readonly Rank[]): string {
  return `${ranks.length === 1 ? 'rank' : 'ranks'} ${ranks.join(', ')}`;
}

/** The text as the first words of a sentence. */
export function atStart(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
