/** `docs/algorithms.md` lists the algorithms that exist, and what it says of them is so. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  BUILT_IN_TUNING,
  LATENCY_BOUND_BYTES,
  RING_MESSAGE_BYTES_MIN,
} from '../../collectives/tuning-rules.ts';
import { formatBytes } from '../../common/bytes.ts';
import { CASES } from './support.ts';

const TEXT = readFileSync(new URL('../../docs/algorithms.md', import.meta.url), 'utf8');

describe('docs/algorithms.md', () => {
  it('lists every row of the table, with its summary, and no other', () => {
    const listed = [...TEXT.matchAll(/^\| `(\w+)` \| `(\w+)` \| (.+) \|$/gm)].map(
      ([, collective, algorithm, summary]) => ({ collective, algorithm, summary }),
    );
    const expected = CASES.map(({ collective, algorithm, row }) => {
      return { collective, algorithm, summary: row.summary };
    });
    expect(listed).toEqual(expect.arrayContaining(expected));
    expect(listed).toHaveLength(expected.length);
  });

  it('has a section for every algorithm', () => {
    const sections = [...TEXT.matchAll(/^## .*\(`(\w+)`((?: `\w+`)+)\)$/gm)].flatMap(
      ([, algorithm, collectives = '']) =>
        [...collectives.matchAll(/\w+/g)].map(([collective]) => `${algorithm} ${collective}`),
    );
    expect(sections.sort()).toEqual(
      CASES.map(({ algorithm, collective }) => `${algorithm} ${collective}`).sort(),
    );
  });

  it('says of the algorithms that the built-in tuning table chooses when they are, and of no other', () => {
    const sections = TEXT.split(/^(?=## )/m).flatMap((text) => {
      const [, algorithm, collectives = ''] = /^## .*\(`(\w+)`((?: `\w+`)+)\)$/m.exec(text) ?? [];
      if (algorithm === undefined) return [];
      const names = [...collectives.matchAll(/\w+/g)].map(([name]) => `${algorithm} ${name}`);
      return [{ names, says: /^- Chosen: /m.test(text) }];
    });
    const chosen = new Set(
      BUILT_IN_TUNING.rules.map(({ algorithm, collective }) => `${algorithm} ${collective}`),
    );
    for (const { names, says } of sections) {
      expect([names, says]).toEqual([names, names.some((name) => chosen.has(name))]);
    }
  });

  it('names the thresholds that the tuner uses', () => {
    expect(TEXT).toContain(formatBytes(LATENCY_BOUND_BYTES));
    expect(TEXT).toContain(formatBytes(RING_MESSAGE_BYTES_MIN));
  });
});
