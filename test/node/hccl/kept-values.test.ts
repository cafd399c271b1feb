import { describe, expect, it } from 'vitest';
import { KeptValues } from '../../../node/hccl/kept-values.ts';

describe('kept values', () => {
  it('are made once, and the one used longest ago goes first', () => {
    const kept = new KeptValues<string>(2);
    const made: string[] = [];
    const get = (key: string) =>
      kept.get(key, () => {
        made.push(key);
        return `value of ${key}`;
      });
    expect(['a', 'b', 'a', 'c', 'a', 'b'].map(get)).toEqual(
      ['a', 'b', 'a', 'c', 'a', 'b'].map((key) => `value of ${key}`),
    );
    expect(made).toEqual(['a', 'b', 'c', 'b']);
  });

  it('are not kept if making them fails', () => {
    const kept = new KeptValues<number>(2);
    expect(() =>
      kept.get('a', () => {
        throw new Error('No');
      }),
    ).toThrow('No');
    expect(kept.get('a', () => 1)).toBe(1);
    kept.clear();
    expect(kept.get('a', () => 2)).toBe(2);
  });
});
