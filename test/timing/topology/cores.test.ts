/** Cores that cards share, in topology files. */
import { describe, expect, it } from 'vitest';
import { builtInTopology } from '../../../timing/topology/built-in.ts';
import { MACHINE } from '../../../timing/topology/machine.ts';
import { networkOf } from '../../../timing/topology/network.ts';
import { readTopology } from '../../../timing/topology/read.ts';

const CARD = 'cores: machine, turn: process.turn';

describe('cores of a topology', () => {
  it('are those that the cards name, with the work of a turn', () => {
    const network = networkOf(builtInTopology('machine'), { cards: 3 });
    const host = { cores: 'machine', count: 2, turnSeconds: 400e-6 };
    for (const rank of [0, 1, 2]) expect(network.card(rank).host).toEqual(host);
    const names = network.parameters.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['machine.cores', 'process.turn']));
    expect(networkOf(builtInTopology('flat'), { cards: 3 }).card(0).host).toBeUndefined();
  });

  it('are slower for a straggler, and other numbers may be set in their place', () => {
    const network = networkOf(builtInTopology('machine'), {
      cards: 2,
      overrides: { 'machine.cores': 3.5, 'process.turn': 1e-3 },
      changes: [{ kind: 'straggler', rank: 1, slow: 2 }],
    });
    expect(network.card(0).host).toEqual({ cores: 'machine', count: 3.5, turnSeconds: 1e-3 });
    expect(network.card(1).host?.turnSeconds).toBe(2e-3);
  });

  it.each([
    [
      'cores that there are not',
      CARD,
      'cores: engine',
      /cards > process > cores .*machine.*engine/,
    ],
    ['a turn without cores', CARD, 'turn: process.turn', /cores .* found nothing/],
    ['a turn that is a rate', CARD, 'cores: machine, turn: machine.rate', /turn .*a time/],
    ['a count that is a time', 'count: machine.cores', 'count: process.turn', /count .*a number/],
    ['no count', '{count: machine.cores}', '{}', /machine > count/],
  ])('are refused with %s', (_, from, to, expected) => {
    const text = MACHINE.replace(from, to);
    expect(text).not.toBe(MACHINE);
    const read = () => readTopology(text, 'machine.yaml');
    expect(read).toThrow(expected);
    expect(read).toThrow(/line \d+/);
  });

  it('are refused where there are none', () => {
    const none = MACHINE.replace('machine.cores:\n    value: 2', 'machine.cores:\n    value: 0');
    expect(() => networkOf(readTopology(none, 'machine.yaml'), { cards: 2 })).toThrow(
      /machine\.cores .* more than 0/,
    );
  });
});
