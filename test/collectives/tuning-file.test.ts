import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COLLECTIVES } from '../../collectives/collective.ts';
import { algorithmsFor } from '../../collectives/table.ts';
import type { TuningRule, TuningTable } from '../../collectives/tuner.ts';
import {
  readTuningFile,
  TUNING_FILE_BYTES_MAX,
  writeTuningFile,
} from '../../collectives/tuning-file.ts';
import { BUILT_IN_TUNING } from '../../collectives/tuning-rules.ts';
import { parseTuningTable, TUNING_RULES_MAX } from '../../collectives/tuning-table.ts';
import { HlsimError } from '../../common/errors.ts';

const TEXT = `# measured on two hosts
rules:
  - collective: all_reduce
    bytes: { to: 32K }
    ranks: { from: 2, to: 8 }
    algorithm: recursiveDoubling
    channels: 2
  - collective: all_reduce
    algorithm: ring
    sliceBytes: 1M
    chunks: 16
`;

function errorOf(read: () => unknown): string {
  try {
    read();
  } catch (reason) {
    if (reason instanceof HlsimError) return `${reason.code}: ${reason.message}`;
    throw reason;
  }
  throw new Error('Expected an error');
}

describe('readTuningFile()', () => {
  it('reads rules as people write them', () => {
    expect(readTuningFile(TEXT)).toEqual({
      rules: [
        {
          collective: 'allReduce',
          bytes: { to: 32768 },
          ranks: { from: 2, to: 8 },
          algorithm: 'recursiveDoubling',
          channels: 2,
        },
        {
          collective: 'allReduce',
          algorithm: 'ring',
          channels: 1,
          sliceBytes: 1048576,
          chunks: 16,
        },
      ],
    });
  });

  it.each([
    ['a collective', 'collective: all_reduce', 'collective: all_to_nobody', 3],
    ['an algorithm', 'algorithm: recursiveDoubling', 'algorithm: magic', 6],
    ['a size', '32K', 'lots', 4],
    ['a count', 'from: 2', 'from: none', 5],
    ['channels', 'channels: 2', 'channels: 65', 7],
    ['an order', 'from: 2, to: 8', 'from: 9, to: 8', 5],
    ['a field', 'channels: 2', 'chanels: 2', 7],
    ['a missing algorithm', '    algorithm: ring\n', '', 8],
    ['YAML', '{ to: 32K }', '{ to: 32K', 5],
    ['a doubled field', 'channels: 2', 'algorithm: ring', 7],
  ])('names the line of a wrong value: %s', (_, right, wrong, line) => {
    const message = errorOf(() => readTuningFile(TEXT.replace(right, wrong)));
    expect(message).toMatch(/^HLSIM_CONFIG: Expected /);
    expect(message).toMatch(new RegExp(`line ${line}\\b`));
    expect(message).not.toContain('\n');
  });

  it('names the rule, the field, what was expected and what was found', () => {
    const found = errorOf(() => readTuningFile(TEXT.replace('32K', 'lots')));
    expect(found).toBe(
      'HLSIM_CONFIG: Expected bytes.to in rule 1 of the tuning table to be a size such as ' +
        '8, 64K, 16M or 1G but found "lots" (line 4)',
    );
  });

  it.each(['', '7', '[]', 'rules: 7', 'rules: [7]', 'rule: []', '"', '\u0000', '- - -\n- {'])(
    'refuses %j',
    (text) => {
      expect(errorOf(() => readTuningFile(text))).toMatch(/^HLSIM_CONFIG: Expected /);
    },
  );

  it('refuses more than it is made for', () => {
    const long = errorOf(() => readTuningFile(' '.repeat(TUNING_FILE_BYTES_MAX + 1)));
    expect(long).toContain(`at most ${TUNING_FILE_BYTES_MAX} bytes`);
    const rules = Array.from({ length: TUNING_RULES_MAX + 1 }, () => ({}));
    expect(errorOf(() => parseTuningTable({ rules }))).toContain(`at most ${TUNING_RULES_MAX}`);
    const laughs = Array.from({ length: 9 }, (_, depth) => {
      const item = depth === 0 ? 'ha' : `*a${depth - 1}`;
      return `a${depth}: &a${depth} [${Array.from({ length: 9 }, () => item).join(', ')}]`;
    });
    expect(errorOf(() => readTuningFile(laughs.join('\n')))).toContain('alias');
  });

  it('ends with a table or one clear error, whatever it is given', () => {
    const pieces = fc.array(fc.constantFrom(...TEXT.split(/(?<=[ \n])/), '*', '&a ', '[', '!!'));
    fc.assert(
      fc.property(pieces, (words) => {
        try {
          readTuningFile(words.join(''));
        } catch (reason) {
          expect(reason).toBeInstanceOf(HlsimError);
        }
      }),
    );
  });
});

describe('writeTuningFile()', () => {
  const count = fc.integer({ min: 1, max: 4096 });
  const bytes = fc.oneof(
    fc.nat(2 ** 31),
    count.map((n) => n * 1024),
  );
  const range = (value: fc.Arbitrary<number>) =>
    fc
      .tuple(value, value)
      .map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }))
      .chain((both) => fc.constantFrom(both, { from: both.from }, { to: both.to }, {}));
  const rule: fc.Arbitrary<TuningRule> = fc
    .constantFrom(...COLLECTIVES.filter((name) => algorithmsFor(name).length > 0))
    .chain((collective) =>
      fc.record(
        {
          collective: fc.constant(collective),
          algorithm: fc.constantFrom(...algorithmsFor(collective)),
          channels: fc.integer({ min: 1, max: 32 }),
          bytes: range(bytes),
          ranks: range(count),
          boxes: range(count),
          chunks: count,
          sliceBytes: bytes.map((n) => n + 1),
        },
        { requiredKeys: ['collective', 'algorithm', 'channels'] },
      ),
    );

  it('writes what readTuningFile() gives back', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 12 }), (rules) => {
        const table: TuningTable = { rules };
        expect(readTuningFile(writeTuningFile(table))).toEqual(table);
      }),
    );
  });

  it('writes for people: a header, sizes with units, ranges in one line', () => {
    const lines = writeTuningFile(BUILT_IN_TUNING).split('\n');
    expect(lines[0]).toBe(
      '# Tuning table of hlsim: the first rule that fits decides how a call is carried out.',
    );
    expect(lines).toContain('  - collective: all_reduce');
    expect(lines).toContain('    bytes: { to: 32K }');
  });
});
