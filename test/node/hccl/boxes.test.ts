import { describe, expect, it } from 'vitest';
import { topologyOf } from '../../../node/hccl/boxes.ts';

describe('boxes of a communicator', () => {
  it.each([
    ['aabbcc', 3, 2],
    ['aaa', 1, 3],
    ['abc', 3, 1],
    ['a', 1, 1],
  ])('%s: hosts of equal size, one behind the other', (hosts, boxes, ranksPerBox) => {
    expect(topologyOf([...hosts])).toEqual({ boxes, ranksPerBox });
  });

  it.each(['abab', 'aab', 'abb', 'aabbaa', 'aabc', 'aabbbb'])(
    '%s: every rank counts as a box of its own',
    (hosts) => {
      expect(topologyOf([...hosts])).toEqual({ boxes: hosts.length, ranksPerBox: 1 });
    },
  );
});
