/** The table of behaviours itself: nothing twice, a reason for what is left out, a file for each suite. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DMA_BUF_BEHAVIOURS } from './dma-buf-behaviours.ts';

const FOLDER = import.meta.dirname;
const sources = readdirSync(FOLDER)
  .filter((name) => /^dma-buf-.*\.test\.ts$/.test(name))
  .map((name) => readFileSync(join(FOLDER, name), 'utf8'));
const suites = [...new Set(DMA_BUF_BEHAVIOURS.map(({ suite }) => suite))];

describe('behaviours that the kernel tests', () => {
  it('are each in the table once', () => {
    const names = DMA_BUF_BEHAVIOURS.map(({ suite, name }) => `${suite}: ${name}`);
    expect(new Set(names).size).toBe(names.length);
  });

  it.each(suites)('of %s are tested in one file, completely', (suite) => {
    const files = sources.filter(
      (source) => source.includes(`SUITE = '${suite}'`) && source.includes('behavesCompletely('),
    );
    expect(files).toHaveLength(1);
  });

  const left = DMA_BUF_BEHAVIOURS.flatMap(({ suite, name, left: reason }) =>
    reason === undefined ? [] : [[suite, name, reason] as const],
  );
  it.each(left)('left out of %s: %s, because %s', (suite, name, reason) => {
    const named = sources.filter((source) => source.includes(`'${name}'`));
    expect([suite, named]).toEqual([suite, []]);
    expect(reason.split(' ').length).toBeGreaterThan(4);
  });
});
