import { describe, expect, it } from 'vitest';
import { candidatesOf, tunableCollectives } from '../../cli/tune-run.ts';
import { COLLECTIVE_WORDS } from '../../collectives/names.ts';
import { buildSchedule } from '../../collectives/table.ts';

describe('candidatesOf()', () => {
  it('are the algorithms that can be built for so many ranks, with each number of channels', () => {
    const names = (nranks: number) =>
      candidatesOf({
        collectives: ['all_gather'],
        topology: { boxes: nranks, ranksPerBox: 1 },
        channels: [1, 2],
      });
    expect(names(4)).toContainEqual({
      ...{ collective: 'all_gather', algorithm: 'recursiveDoubling', channels: 2 },
    });
    const three = names(3).map(({ algorithm }) => algorithm);
    expect(three).toContain('ring');
    expect(three).not.toContain('recursiveDoubling');
  });

  it('can all be built', () => {
    const topology = { boxes: 3, ranksPerBox: 2 };
    const collectives = tunableCollectives();
    const candidates = candidatesOf({ collectives, topology, channels: [1, 4] });
    expect(new Set(candidates.map(({ collective }) => collective))).toEqual(new Set(collectives));
    for (const { collective, algorithm, channels } of candidates) {
      const request = { collective: COLLECTIVE_WORDS[collective], algorithm, channels, topology };
      expect(() => buildSchedule(request)).not.toThrow();
    }
  });
});

describe('tunableCollectives()', () => {
  it('are those that a size can be told of, and that HCCL picks an algorithm for', () => {
    const words = Object.keys(COLLECTIVE_WORDS);
    const others = words.filter((word) => !tunableCollectives().some((one) => one === word));
    expect(others).toEqual(['sendrecv', 'alltoall_v']);
  });
});
