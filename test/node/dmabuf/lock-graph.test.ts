import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LockGraph } from '../../../node/dmabuf/lock-graph.ts';
import { lockOrder, withDriverLock } from '../../../node/dmabuf/lock-order.ts';

function graph(...edges: readonly (readonly [string, string])[]): LockGraph {
  const made = new LockGraph();
  for (const [before, after] of edges) made.add(before, after);
  return made;
}

describe('LockGraph', () => {
  it('finds no cycle where paths only meet again', () => {
    expect(graph(['a', 'b'], ['a', 'c'], ['b', 'd'], ['c', 'd']).findCycle()).toBeUndefined();
  });

  it('names a cycle from its first class back to it', () => {
    expect(graph(['x', 'a'], ['a', 'b'], ['b', 'a']).findCycle()).toEqual(['a', 'b', 'a']);
    expect(graph(['a', 'a']).findCycle()).toEqual(['a', 'a']);
  });

  it('says each edge once', () => {
    expect(graph(['a', 'b'], ['a', 'b'], ['b', 'c']).edges).toEqual(['a -> b', 'b -> c']);
  });

  it('edges along a fixed order have no cycle; one that goes back closes one', () => {
    const edge = fc.tuple(fc.nat(6), fc.nat(6)).filter(([one, other]) => one < other);
    const property = fc.property(fc.array(edge, { minLength: 1 }), (edges) => {
      const named = edges.map(([one, other]) => [`l${one}`, `l${other}`] as const);
      expect(graph(...named).findCycle()).toBeUndefined();
      const [[one, other] = ['', '']] = named;
      const cycle = graph(...named, [other, one]).findCycle();
      expect(cycle?.at(0)).toBe(cycle?.at(-1));
      expect(cycle?.length).toBeGreaterThan(2);
    });
    fc.assert(property, { seed: 2 });
  });
});

describe('without a recording', () => {
  it('nothing is kept, and code under a driver lock just runs', () => {
    expect(lockOrder()).toBeUndefined();
    expect(withDriverLock('mutex', () => 5)).toBe(5);
  });
});
