import { describe, expect, it } from 'vitest';
import { HlsimError } from '../../../common/errors.ts';
import { builtInTopologyText } from '../../../timing/topology/built-in.ts';
import { networkOf } from '../../../timing/topology/network.ts';
import { readTopology } from '../../../timing/topology/read.ts';

const FLAT = builtInTopologyText('flat');

function errorOf(work: () => unknown): HlsimError {
  try {
    work();
  } catch (error) {
    if (error instanceof HlsimError) return error;
    throw error;
  }
  throw new Error('Expected an error but found none');
}

/** Number of the first line with this text. */
function lineWith(text: string, wanted: string): number {
  return text.split('\n').findIndex((line) => line.includes(wanted)) + 1;
}

describe('readTopology', () => {
  it.each([
    ['a rate without its unit', 'value: 12.5GB/s', 'value: 12.5GB'],
    ['a status that there is not', 'status: assumed', 'status: sure'],
    ['a count below 1', 'count: 8', 'count: 0'],
    ['a field that there is not', 'rate: port.rate', 'speed: 3, rate: port.rate'],
    ['a parameter that there is not', 'rate: port.rate', 'rate: port.speed'],
    ['a parameter of another quantity', 'rate: port.rate', 'rate: port.latency'],
    ['a kind of boxes that there is not', '- {kind: flat', '- {kind: nonsense'],
    ['a kind of cards that there is not', 'cards: {kind: card', 'cards: {kind: nonsense'],
    ['a name with a blank', 'name: flat', 'name: fl at'],
  ])('refuses %s with its line', (_, before, after) => {
    const text = FLAT.replace(before, after);
    expect(text).not.toBe(FLAT);
    const error = errorOf(() => readTopology(text, 'my.yaml'));
    expect(error.code).toBe('HLSIM_TOPOLOGY_UNREADABLE');
    expect(error.message).toContain('my.yaml');
    expect(error.message).toContain(`(line ${lineWith(text, after)})`);
  });

  it('says in which line the YAML is broken', () => {
    const { message } = errorOf(() => readTopology('name: flat\nboxes: [', 'my.yaml'));
    expect(message).toMatch(/error in line 2/);
  });
});

describe('a hostile file', () => {
  it('with all links between 4096 and 4096 switches is refused before any is made', () => {
    const text = FLAT.replace(
      'switches:\n  fabric: {}',
      'switches:\n  fabric: {}\n  one: {count: 4096}\n  two: {count: 4096}\nlinks:\n  - {kind: x, from: one, to: two, wiring: all, rate: port.rate, latency: port.latency}',
    );
    expect(text).not.toBe(FLAT);
    const error = errorOf(() => networkOf(readTopology(text, 'my.yaml')));
    expect(error.code).toBe('HLSIM_TOPOLOGY_IMPOSSIBLE');
    expect(error.message).toContain('16777216');
  });

  it('with many lines that each lay many links in a box is refused', () => {
    const line =
      '      - {kind: x, from: card, to: card, rate: port.rate, latency: port.latency}\n';
    const text = FLAT.replace('kind: card, count: 1}', 'kind: card, count: 200}').replace(
      '    links:\n',
      `    links:\n${line.repeat(1000)}`,
    );
    const error = errorOf(() => networkOf(readTopology(text, 'my.yaml')));
    expect(error.code).toBe('HLSIM_TOPOLOGY_IMPOSSIBLE');
    expect(error.message).toContain('use a switch');
  });
});
