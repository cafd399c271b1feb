/** The postcondition matrix: every algorithm, any number of ranks, proved in both placements. */
import { describe, expect, it } from 'vitest';
import { onChannels } from '../../collectives/channels.ts';
import { BLOCKS } from '../../collectives/collective.ts';
import { lower, lowerAll } from '../../collectives/lower.ts';
import type { ScheduleOptions } from '../../collectives/schedule.ts';
import { verify } from '../../collectives/verify.ts';
import { ranksOf } from '../../common/math.ts';
import { CASES, type Case, PLACEMENTS, RANK_COUNTS, scheduleOf } from './support.ts';

/** Messages per connection that every algorithm must do with. */
const DEPTH = 2;
/** Up to here every root is tried, above it some. */
const EVERY_ROOT_RANKS = 17;

function rootsOf({ collective }: Case, nranks: number): number[] {
  if (!BLOCKS[collective].rooted) return [0];
  const some = [0, 1, Math.floor((2 * nranks) / 3), nranks - 1];
  return ranksOf(nranks).filter((rank) => nranks <= EVERY_ROOT_RANKS || some.includes(rank));
}

/** Where the options leave the verifier with a finding, or are not built as asked; `proved` counts the rest. */
function refuted(
  one: Case,
  asked: readonly ScheduleOptions[],
  channels = 1,
): { wrong: string[]; proved: number } {
  const wrong: string[] = [];
  let proved = 0;
  for (const options of asked) {
    for (const { placement, inPlace } of PLACEMENTS) {
      const schedule = scheduleOf(one, { ...options, placement });
      if (schedule === undefined) continue;
      const { algorithm, collective } = one;
      const { nranks, root = 0 } = options;
      expect(schedule).toMatchObject({ algorithm, collective, nranks, root });
      const { findings } = verify(lowerAll(onChannels(schedule, channels)), {
        inPlace,
        depth: DEPTH,
      });
      const where = `${JSON.stringify(options)} ${placement}`;
      wrong.push(...findings.slice(0, 1).map((finding) => `${where}: ${JSON.stringify(finding)}`));
      if (findings.length === 0) proved++;
    }
  }
  return { wrong, proved };
}

describe.each(CASES)('$algorithm $collective', (one) => {
  it('is proved for 1 to 33 and 64 ranks, with two messages per connection', () => {
    const asked = RANK_COUNTS.flatMap((nranks) =>
      rootsOf(one, nranks).map((root) => ({ nranks, root })),
    );
    const { wrong, proved } = refuted(one, asked);
    expect(wrong).toEqual([]);
    expect(proved).toBeGreaterThan(6);
  });

  it('is proved when blocks have several chunks', () => {
    const asked = [1, 2, 3, 4, 6].flatMap((nranks) =>
      [1, 2, 3, 6, 12].map((chunks) => ({ nranks, chunks })),
    );
    const { wrong, proved } = refuted(one, asked);
    expect(wrong).toEqual([]);
    expect(proved).toBeGreaterThan(6);
  });

  it('is proved on several channels', () => {
    const asked = [1, 2, 3, 4, 6].map((nranks) => ({ nranks }));
    const { wrong, proved } = refuted(one, asked, 3);
    expect(wrong).toEqual([]);
    expect(proved).toBeGreaterThan(2);
  });

  it('lowers for one rank to what it lowers to for all', () => {
    for (const nranks of [1, 4, 5]) {
      const schedule = scheduleOf(one, { nranks });
      if (schedule === undefined) continue;
      const programs = lowerAll(schedule);
      expect(programs.map(({ rank }) => lower(schedule, rank))).toEqual(programs);
    }
  });
});
