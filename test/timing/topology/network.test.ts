import { describe, expect, it } from 'vitest';
import type { Network } from '../../../timing/network.ts';
import { builtInTopology } from '../../../timing/topology/built-in.ts';
import { type NetworkOptions, networkOf } from '../../../timing/topology/network.ts';

function network(name: string, options: NetworkOptions = {}): Network {
  return networkOf(builtInTopology(name), options);
}

/** Names of the links of each segment. */
function way(found: Network, src: number, dst: number): string[][] {
  return found.route(src, dst).map(({ links }) => links.map((link) => found.link(link).name));
}

function rate(found: Network, src: number, dst: number): number {
  const links = found.route(src, dst).flatMap(({ links: some }) => some);
  return Math.min(...links.map((link) => found.link(link).bytesPerSecond));
}

describe('networkOf', () => {
  it.each(['hls1', 'dl1', 'hls2', 'hls3'])('joins two cards in a box of %s by one link', (name) => {
    expect(way(network(name), 0, 1)).toEqual([['box0/card0>card1']]);
  });

  it('multiplies rate, cables and efficiency', () => {
    expect(rate(network('hls2'), 0, 1)).toBeCloseTo(37.5e9 * 0.98365, -1);
    expect(rate(network('hls3'), 0, 1)).toBeCloseTo(75e9 * 0.98365, -1);
  });

  it('takes a third from a link of three cables with one that failed', () => {
    const whole = rate(network('hls2'), 0, 1);
    const changes = [{ kind: 'fail', link: 'box0/card0>card1/port0' }] as const;
    expect(rate(network('hls2', { changes }), 0, 1) / whole).toBeCloseTo(2 / 3, 12);
  });

  it('degrades a kind of links', () => {
    const changes = [{ kind: 'degrade', link: 'scaleUp', rate: 0.5 }] as const;
    const whole = rate(network('hls2'), 3, 5);
    expect(rate(network('hls2', { changes }), 3, 5)).toBe(whole / 2);
  });

  it('makes a straggler slow in everything its card does, and nobody else', () => {
    const slow = network('hls2', { changes: [{ kind: 'straggler', rank: 3, slow: 2 }] });
    const plain = network('hls2');
    expect(slow.card(3).issueSeconds).toBe(2 * plain.card(3).issueSeconds);
    expect(slow.card(3).reduceBytesPerSecond).toBe(plain.card(3).reduceBytesPerSecond / 2);
    expect(slow.card(2)).toEqual(plain.card(2));
    expect(slow.symmetry).toBe('none');
  });

  it('leads messages around a link that failed', () => {
    const changes = [{ kind: 'fail', link: 'box0/card0<>card1' }] as const;
    const found = network('hls2', { changes });
    expect(way(found, 0, 1).flat()).not.toContain('box0/card0>card1');
    expect(found.route(0, 1).length).toBeGreaterThan(0);
  });

  it('refuses a network without a route, naming the cards', () => {
    const changes = [{ kind: 'fail', link: 'scaleOut' }] as const;
    expect(() => network('flat', { changes })).toThrow(/a route between every two cards of flat/);
  });

  it('takes only the cards that were asked for', () => {
    const found = network('hls2', { cards: [1, 4, 6] });
    expect(found.nranks).toBe(3);
    expect(way(found, 0, 2)).toEqual([['box0/card1>card6']]);
  });

  it('stores messages twice on the way through host memory', () => {
    expect(network('hls2', { boxes: 2 }).route(0, 8)).toHaveLength(1);
    expect(network('hls2', { boxes: 2, path: 'bounce' }).route(0, 8)).toHaveLength(3);
  });
});
