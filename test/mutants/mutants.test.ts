/**
 * The suite notices each fault that it is there for. Every mutant runs the tests that it names in a
 * process of its own, with the fault in; at least one of them must fail.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { defined } from '../../common/assert.ts';
import { type Mutant, mutated, scenarioOf } from './mutant.ts';
import { ranWith } from './run.ts';
import { MUTANTS, UNCHANGED } from './table.ts';

const TOP = fileURLToPath(new URL('../../', import.meta.url));
const PLACE = { top: TOP, cache: mkdtempSync(join(tmpdir(), 'hlsim-mutants-')) };
const SCENARIOS = Array.from({ length: 20 }, (_, index) => `R${index + 1}`);
const NAMED = MUTANTS.map((mutant) => [`${mutant.id}: ${mutant.fault}`, mutant] as const);
/** What a mutant that is itself broken fails with, instead of doing wrong. */
const BROKEN = /ReferenceError|SyntaxError|is not (defined|a function)|Cannot read properties/;
/** A machine of two cores runs two at a time: the next one starts with each. */
const runs = new Map<string, ReturnType<typeof ranWith>>();

function run(mutant: Mutant): ReturnType<typeof ranWith> {
  const next = MUTANTS[MUTANTS.indexOf(mutant) + 1];
  const running = started(mutant);
  if (next !== undefined) started(next);
  return running;
}

function started(mutant: Mutant): ReturnType<typeof ranWith> {
  const running = runs.get(mutant.id) ?? ranWith(PLACE, mutant);
  // Whoever asks for it hears of its failure.
  running.catch(() => undefined);
  runs.set(mutant.id, running);
  return running;
}

describe('the table of mutants', () => {
  it('has each scenario, in order, and each mutant once', () => {
    const ids = MUTANTS.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect([...new Set(MUTANTS.map(scenarioOf))]).toEqual(SCENARIOS);
  });

  it.each(MUTANTS)(
    '$id: its places are there, each once, and its tests are fast ones',
    (mutant) => {
      const source = readFileSync(TOP + mutant.file, 'utf8');
      expect(mutated(source, mutant)).not.toBe(source);
      expect(mutant.tests.length).toBeGreaterThan(0);
      for (const file of mutant.tests) {
        expect(file).toMatch(/^test\/(conformance|node|simulation)\//);
        expect(existsSync(TOP + file), file).toBe(true);
      }
    },
  );

  it('a place that is not there, or is there twice, is an error', () => {
    const mutant = { ...defined(MUTANTS[0], 'a mutant'), edits: [{ find: 'x', replace: 'y' }] };
    expect(mutated('axb', mutant)).toBe('ayb');
    expect(() => mutated('ab', mutant)).toThrow(/exactly once .* 0 times/);
    expect(() => mutated('xx', mutant)).toThrow(/exactly once .* 2 times/);
  });
});

afterAll(async () => {
  await Promise.allSettled(runs.values());
  rmSync(PLACE.cache, { recursive: true });
});

describe('the tests that a mutant names', () => {
  it('pass without a fault, in the same runner', async () => {
    const { passed, failures } = await ranWith(PLACE, UNCHANGED);
    expect(failures).toEqual([]);
    expect(passed).toBeGreaterThan(0);
  });

  it.each(NAMED)('fail with %s', async (_, mutant) => {
    const { failures } = await run(mutant);
    expect(failures.length).toBeGreaterThan(0);
    for (const failure of failures) expect(failure).not.toMatch(BROKEN);
  });
});
